"""The command: its processes, how they share the connections, how they start and how they end."""

import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from time import monotonic, sleep

import pytest

from handler.server.acceptor import own_cores
from tests.handler.serving import PING

PROJECT = Path(__file__).parents[2]
RAW = b"application/octet-stream"
ZEROS = (
    b"POST /v1/models/digits:predict HTTP/1.1\r\nHost: a\r\ncontent-length: 256\r\n"
    b"content-type: %b\r\naccept: %b\r\n\r\n" % (RAW, RAW)
) + bytes(256)


class Command:
    """`python -m handler.serve` as it runs.

    Args:
        environment: Its settings.
        options: Its options.
    """

    def __init__(self, environment: Mapping[str, str], *options: str) -> None:
        command = [sys.executable, "-m", "handler.serve", "--host", "127.0.0.1", "--port", "0"]
        self.process = subprocess.Popen(
            [*command, "--workers", "2", *options],
            cwd=PROJECT,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.port = int(self.wait_for(r"serving digits on 127.0.0.1:(\d+) with 2 workers")[1])

    def wait_for(self, pattern: str) -> re.Match[str]:
        """The first line on stderr that matches."""
        assert self.process.stderr is not None
        seen = ""
        for line in iter(self.process.stderr.readline, ""):
            seen += line
            if match := re.search(pattern, line):
                return match
        pytest.fail(f"no {pattern} in: {seen}")

    def workers(self) -> dict[int, int]:
        """The workers' pids, and how many sockets each has open."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        return {int(child): _sockets(int(child)) for child in children}

    def connect(self) -> socket.socket:
        """A client that has been answered once."""
        client = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        ping(client)
        return client

    def stop(self) -> int:
        """End it as a container is ended."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(10)


def ping(client: socket.socket) -> None:
    """Ask and be answered."""
    client.sendall(PING)
    assert client.recv(1000).endswith(b'{"status":"ok"}')


def predict(client: socket.socket) -> bytes:
    """The scores of a black picture."""
    client.sendall(ZEROS)
    head, _, body = client.recv(1000).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 "), head + body
    return body


def _sockets(pid: int) -> int:
    count = 0
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed since it was listed
            count += entry.readlink().name.startswith("socket:")
    return count


@pytest.fixture
def start(environment: Mapping[str, str]) -> Iterator[Callable[..., Command]]:
    """Starts the command; kills what a test left."""
    started: list[Command] = []

    def start_one(*options: str, **settings: str) -> Command:
        started.append(Command({**environment, **settings}, *options))
        return started[-1]

    yield start_one
    for one in started:
        one.process.kill()
        one.process.communicate(timeout=10)


def test_connections_are_shared_evenly(start: Callable[..., Command]) -> None:
    """Eight connections are four for each of two workers, and who has fewer gets the next."""
    command = start()
    before = command.workers()

    with ExitStack() as stack:
        clients = [stack.enter_context(command.connect()) for _ in range(8)]
        after = command.workers()
        assert [4, 4] == [after[pid] - before[pid] for pid in before]

        # Every second one went to the same worker.
        for client in clients[::2]:
            client.close()
        while sum(command.workers().values()) > sum(after.values()) - 4:
            sleep(0.01)
        for _ in range(4):
            stack.enter_context(command.connect())
        assert after == command.workers()


def test_a_burst_of_connections_waits_for_workers_that_are_busy(
    start: Callable[..., Command],
) -> None:
    """More than fit between the processes, while no worker takes any: each is answered later."""
    command = start(TELEMETRY="off")  # nobody reads its lines
    workers = list(command.workers())
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    with ExitStack() as stack:
        clients = [
            stack.enter_context(socket.create_connection(("127.0.0.1", command.port), timeout=10))
            for _ in range(900)
        ]
        for client in clients:
            client.sendall(PING)
        sleep(0.5)  # the acceptor has handed over what it can
        for pid in workers:
            os.kill(pid, signal.SIGCONT)

        assert {b"HTTP/1.1 200"} == {client.recv(1000)[:12] for client in clients}
        assert 0 == command.stop()


def test_a_worker_that_dies_is_replaced(start: Callable[..., Command]) -> None:
    """It is said, and the next connections are served."""
    command = start()
    victim = min(command.workers())
    os.kill(victim, signal.SIGKILL)

    command.wait_for(rf"worker {victim} ended with signal 9, .* replaced")
    with ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(command.connect())
        end = monotonic() + 10
        while len(command.workers()) < 2 and monotonic() < end:
            sleep(0.01)
        assert 2 == len(command.workers())
        assert victim not in command.workers()


@pytest.fixture(scope="module")
def large(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The digits model with 5 MB behind its end, which LiteRT does not look at."""
    files = Path(shutil.copytree(digits, tmp_path_factory.mktemp("large") / "model"))
    content = (files / "model.tflite").read_bytes() + bytes(5 << 20)
    (files / "model.tflite").write_bytes(content)
    manifest = json.loads((files / "model.json").read_text(encoding="utf-8"))
    manifest["sha256"] = hashlib.sha256(content).hexdigest()
    (files / "model.json").write_text(json.dumps(manifest), encoding="utf-8")
    return files


def test_a_large_model_is_loaded_once(
    start: Callable[..., Command], large: Path, tmp_path: Path
) -> None:
    """Also a worker's replacement has it from the acceptor: its files may be gone by then."""
    files = Path(shutil.copytree(large, tmp_path / "model"))
    command = start(MODEL_DIR=str(files))
    with command.connect() as client:
        expected = predict(client)

    shutil.rmtree(files)
    for victim in command.workers():
        os.kill(victim, signal.SIGKILL)
        command.wait_for("replaced")

    with ExitStack() as stack:
        clients = [stack.enter_context(command.connect()) for _ in range(4)]
        assert [expected] * 4 == [predict(client) for client in clients]


def test_each_worker_has_threads_of_its_own(start: Callable[..., Command], large: Path) -> None:
    """A model that computes with several is loaded by each: threads do not survive a fork."""
    command = start(MODEL_DIR=str(large), MODEL_THREADS="2")

    with ExitStack() as stack:
        clients = [stack.enter_context(command.connect()) for _ in range(2)]
        answers = {predict(client) for client in clients}
        threads = [len([*Path(f"/proc/{pid}/task").iterdir()]) for pid in command.workers()]

    assert 1 == len(answers)
    assert all(count > 1 for count in threads)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_all_of_it_cleanly(start: Callable[..., Command], number: int) -> None:
    """Told to stop, also by Ctrl-C to every process, it exits 0 with a connection open."""
    command = start()
    with command.connect() as client:
        if number == signal.SIGINT:
            os.killpg(command.process.pid, number)
        else:
            command.process.send_signal(number)
        assert 0 == command.process.wait(10)
        assert b"" == client.recv(1)

    assert command.process.stdout is not None
    assert command.process.stderr is not None
    assert '"route":"ping"' in command.process.stdout.read()
    assert "Traceback" not in command.process.stderr.read()


def test_a_signal_while_models_are_loaded_is_heeded(environment: Mapping[str, str]) -> None:
    """Told to stop before it serves, it never begins to, says nothing and exits 0."""
    command = [sys.executable, "-m", "handler.serve", "--host", "127.0.0.1", "--port", "0"]
    with subprocess.Popen(
        [*command, "--workers", "2"],
        cwd=PROJECT,
        env={**os.environ, **environment},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        while not children.read_text(encoding="ascii"):
            sleep(0.001)
        process.terminate()
        _, said = process.communicate(timeout=10)

    assert 0 == process.returncode, said
    assert "serv" not in said


def test_each_worker_has_a_core_to_itself_where_there_are_as_many(
    start: Callable[..., Command],
) -> None:
    """So does the one that replaces another; elsewhere all of them have all."""
    bound = os.sched_getaffinity(0)
    expected = [{core} for core in sorted(bound)] if len(bound) == 2 else [bound, bound]
    server = start()
    first, *_ = server.workers()

    os.kill(first, signal.SIGKILL)
    server.wait_for("replaced")
    found: list[set[int]] = []
    end = monotonic() + 10
    while found != expected and monotonic() < end:
        sleep(0.01)
        found = sorted((os.sched_getaffinity(pid) for pid in server.workers()), key=sorted)

    assert expected == found


@pytest.mark.parametrize(
    ("workers", "settings", "expected"),
    [
        (3, {}, [2, 5, 7]),
        (3, {"MODEL_THREADS": "1"}, [2, 5, 7]),
        (3, {"MODEL_THREADS": "3"}, []),
        (2, {}, []),
        (4, {}, []),
    ],
)
def test_cores_are_given_out_only_one_to_one(
    monkeypatch: pytest.MonkeyPatch, workers: int, settings: dict[str, str], expected: list[int]
) -> None:
    """Fewer workers than cores may move; a model of several threads needs several cores."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {7, 2, 5})

    assert expected == own_cores(workers, settings)


def test_no_worker_outlives_the_acceptor(start: Callable[..., Command]) -> None:
    """Even killed, the server leaves nothing behind."""
    command = start()
    workers = command.workers()
    command.process.kill()
    command.process.wait(10)

    end = monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in workers) and monotonic() < end:
        sleep(0.01)
    assert [] == [pid for pid in workers if Path(f"/proc/{pid}").exists()]


def _run(
    environment: Mapping[str, str],
    *options: str,
    start: Sequence[str] = ("-m", "handler.serve"),
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *start, "--host", "127.0.0.1", *options],
        cwd=PROJECT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_port_in_use_ends_the_process(environment: Mapping[str, str]) -> None:
    """Exit status 1 and one line that names the port and the option."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = _run(environment, "--port", str(port))

    assert 1 == done.returncode
    advice = "choose another --host or --port"
    expected = f"cannot serve on 127.0.0.1:{port}: Address already in use; {advice}\n"
    assert expected == done.stderr


def test_a_model_that_cannot_be_served_ends_the_process(
    environment: Mapping[str, str], tmp_path: Path
) -> None:
    """Exit status 1 and one line that says why."""
    done = _run({**environment, "MODEL_DIR": str(tmp_path)}, "--port", "0")

    assert 1 == done.returncode
    assert done.stderr.startswith("cannot serve: cannot read ")
    assert 1 == len(done.stderr.splitlines())


def test_a_worker_that_fails_for_a_fault_of_ours_says_where(
    environment: Mapping[str, str],
) -> None:
    """The acceptor alone would only know its exit status."""
    lines = (
        "import sys; from handler.server import worker; from handler.serve import main",
        "worker.places = None; sys.exit(main(sys.argv[1:]))",
    )
    done = _run(environment, "--port", "0", start=["-c", "\n".join(lines)])

    assert 1 == done.returncode
    assert "TypeError: 'NoneType' object is not callable" in done.stderr
    assert done.stderr.endswith("ended with status 1 before its model was loaded\n")


def test_a_wrong_setting_ends_the_process(environment: Mapping[str, str]) -> None:
    """Exit status 2, and the setting and its value are named, wherever they came from."""
    done = _run({**environment, "SERVE_QUEUE": "many"})

    assert 2 == done.returncode
    assert "--queue: 'many' is not a whole number from 0 to 1000000" in done.stderr


def test_lambda_loads_nothing_of_the_server(environment: Mapping[str, str]) -> None:
    """The cold start pays for none of it."""
    script = "import sys, handler.app; print(json.dumps([*sys.modules]))"
    done = subprocess.run(
        [sys.executable, "-c", f"import json; {script}"],
        cwd=PROJECT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    loaded = json.loads(done.stdout)
    assert [] == [name for name in loaded if name.startswith(("handler.server", "uvicorn"))]
    assert "httptools" not in loaded
