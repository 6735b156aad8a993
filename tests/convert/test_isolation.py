"""The process of its own: what it knows, what it may take, and that nothing outlives it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from convert import isolation
from convert.errors import EndedError
from convert.isolation import Limits

ROOT = Path(__file__).parents[2]
PLENTY = Limits(memory_gib=8, time_s=60)


def run(code: str, scratch: Path, limits: Limits = PLENTY) -> int:
    """Runs a line of Python as the child."""
    return isolation.run([sys.executable, "-S", "-c", code], scratch, limits)


def until(condition: Callable[[], bool], seconds: float = 30) -> bool:
    """Waits for a condition; says whether it came."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


def alive(pid: int) -> bool:
    """Whether a process is there and not only waiting to be reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_environment_holds_no_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a credential is called, the child does not see it, nor a home that may hold one."""
    secrets = (
        "AWS_SECRET_ACCESS_KEY",
        "PULUMI_ACCESS_TOKEN",
        "GITHUB_TOKEN",
        "ACTIONS_RUNTIME_URL",
    )
    for name in (*secrets, "DATABASE_URL", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, "secret")
    seen = tmp_path / "seen.json"
    code = f"import json, os; json.dump(dict(os.environ), open({str(seen)!r}, 'w'))"
    assert 0 == run(code, tmp_path)
    environment = json.loads(seen.read_text())
    assert "secret" not in environment.values()
    assert os.environ["PATH"] == environment["PATH"]
    assert {str(tmp_path)} == {environment["HOME"], environment["TMPDIR"]}


def test_exit_code_is_handed_on(tmp_path: Path) -> None:
    """The child has said itself what was wrong; its code is the command's."""
    assert 3 == run("raise SystemExit(3)", tmp_path)


def test_memory_limit(tmp_path: Path) -> None:
    """A child that holds more than it may is ended, with one line that says how much it had."""
    code = "import time; held = bytearray(200 * 2**20); time.sleep(60)"
    with pytest.raises(EndedError, match=r"held 0\.[12]\d GiB .* more than 0\.1.*--memory-limit"):
        run(code, tmp_path, Limits(memory_gib=0.1, time_s=60))


def test_memory_limit_counts_what_the_child_starts(tmp_path: Path) -> None:
    """Memory of the child's own children counts, and they end with it."""
    hog = "import os, time; held = bytearray(200 * 2**20); time.sleep(60)"
    code = (
        f"import subprocess, sys; p = subprocess.Popen([sys.executable, '-S', '-c', {hog!r}]); "
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(p.pid)); p.wait()"
    )
    with pytest.raises(EndedError, match="--memory-limit"):
        run(code, tmp_path, Limits(memory_gib=0.1, time_s=60))
    assert until(lambda: not alive(int((tmp_path / "pid").read_text())))


def test_time_limit(tmp_path: Path) -> None:
    """A child that takes longer than it may is ended."""
    started = time.monotonic()
    with pytest.raises(EndedError, match=r"longer than 0\.5 s .*--time-limit"):
        run("import time; time.sleep(60)", tmp_path, Limits(memory_gib=8, time_s=0.5))
    assert time.monotonic() - started < 30


def test_crash_is_one_line_that_names_the_place(tmp_path: Path) -> None:
    """A child that dies of signal 11 becomes one line, with the place in this package."""
    crash = tmp_path / isolation.CRASH
    code = (
        "import faulthandler; "
        f"faulthandler.enable(open({str(crash)!r}, 'w')); "
        "exec(compile('faulthandler._sigsegv()', '/somewhere/convert/litert.py', 'exec'))"
    )
    with pytest.raises(EndedError, match=r"signal 11 \(SIGSEGV\) in convert/litert\.py, line 1:"):
        run(code, tmp_path)


def test_killed_from_outside_tells_of_memory(tmp_path: Path) -> None:
    """Where the system takes the child away, the line says what that usually means."""
    with pytest.raises(EndedError, match="ran out of memory"):
        run("import os; os.kill(os.getpid(), 9)", tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_ends_both(tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C, SIGTERM or a closed terminal end the child, and the command says which it was."""
    code = (
        "import signal, sys; from pathlib import Path; "
        # What runs the tests may ignore them, as nohup does, and children inherit that.
        "signal.signal(signal.SIGINT, signal.default_int_handler); "
        "signal.signal(signal.SIGHUP, signal.SIG_DFL); "
        "from convert import isolation; "
        "isolation.run([sys.executable, '-S', '-c', 'import os, time; "
        "print(os.getpid(), flush=True); time.sleep(60)'], "
        "Path(sys.argv[1]), isolation.Limits(memory_gib=8, time_s=60))"
    )
    command = [sys.executable, "-S", "-c", code, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        process.send_signal(number)
        assert 128 + number == process.wait(timeout=30)
    assert until(lambda: not alive(child))


def test_signal_while_the_child_starts_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child that runs already, but that nobody can name yet, is ended like any other."""
    started = []

    class Starting(subprocess.Popen[bytes]):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            started.append(self.pid)
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr("convert.isolation.subprocess.Popen", Starting)
    with pytest.raises(SystemExit) as ended:
        run("import time; time.sleep(60)", tmp_path)
    assert 128 + signal.SIGTERM == ended.value.code
    assert until(lambda: not alive(started[0]))


def test_child_does_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    """Where the command itself is killed, its child ends and takes the scratch folder along."""
    command = [sys.executable, "-m", "convert", "models/digits", "--out", str(tmp_path / "out")]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("loading")
        [child] = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        assert any(tmp_path.iterdir())
        process.kill()
        process.wait()
        assert until(lambda: not alive(int(child)))
        process.stderr.read()
    assert [] == list(tmp_path.iterdir())
