"""Models and data on S3: fetched once, whole, by the process that has credentials."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pytest
from moto.server import ThreadedMotoServer

from convert import fetch
from convert.errors import FetchError
from convert.measure import measure
from tests.handler import tiny

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """An S3 on this machine."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client, with an empty bucket `models` and an empty cache."""
    environment = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    client.create_bucket(Bucket="models")
    yield client
    for entry in client.list_objects_v2(Bucket="models").get("Contents", ()):
        client.delete_object(Bucket="models", Key=entry["Key"])
    client.delete_bucket(Bucket="models")
    client.close()


def one(url: str) -> Path:
    """Fetches one address."""
    return fetch.fetch_all([url])[url]


def test_file_is_fetched_once(s3: Any) -> None:
    """A file keeps its name; asked for again it is not downloaded again."""
    s3.put_object(Bucket="models", Key="deep/model.keras", Body=b"weights")
    first = one("s3://models/deep/model.keras")
    assert ("model.keras", b"weights") == (first.name, first.read_bytes())
    inode = first.stat().st_ino
    assert (first, inode) == ((again := one("s3://models/deep/model.keras")), again.stat().st_ino)


def test_replaced_file_is_fetched_anew(s3: Any) -> None:
    """What was replaced on S3 is fetched anew."""
    s3.put_object(Bucket="models", Key="model.keras", Body=b"old")
    one("s3://models/model.keras")
    s3.put_object(Bucket="models", Key="model.keras", Body=b"new")
    assert b"new" == one("s3://models/model.keras").read_bytes()


@pytest.mark.parametrize("end", ["", "/"])
def test_prefix_is_a_folder(s3: Any, end: str) -> None:
    """Everything below a prefix becomes a folder, as a SavedModel needs it."""
    for name in ("saved_model.pb", "variables/variables.index", "assets/"):
        s3.put_object(Bucket="models", Key=f"saved/1/{name}", Body=name.encode())
    folder = one(f"s3://models/saved/1{end}")
    assert b"saved_model.pb" == (folder / "saved_model.pb").read_bytes()
    assert ["saved_model.pb", "variables/variables.index"] == sorted(
        file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()
    )


def test_name_that_leaves_the_folder_is_refused(s3: Any, tmp_path: Path) -> None:
    """A key cannot write outside the cache."""
    s3.put_object(Bucket="models", Key="saved/../../out", Body=b"")
    with pytest.raises(FetchError, match="not a name that a file may have"):
        one("s3://models/saved")
    assert not list(tmp_path.rglob("out"))


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("s3://models/no.keras", "not found"),
        ("s3://nobodys/model.keras", "no bucket 'nobodys'"),
        ("s3://models", "expected s3://BUCKET/KEY"),
        ("s3://Not_A_Bucket/model.keras", "expected s3://BUCKET/KEY"),
    ],
)
@pytest.mark.usefixtures("s3")
def test_nothing_there(url: str, fault: str, tmp_path: Path) -> None:
    """An address with nothing behind it is told apart by what is missing, and leaves nothing."""
    with pytest.raises(FetchError, match=fault):
        one(url)
    assert not list(tmp_path.rglob("*.keras"))


@pytest.mark.usefixtures("s3")
def test_no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without credentials the line says how to come by them."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(FetchError, match="no AWS credentials: run aws"):
        one("s3://models/model.keras")


@pytest.mark.usefixtures("s3")
def test_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where S3 cannot be reached the line says so."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(FetchError, match="Could not connect"):
        one("s3://models/model.keras")


class _Odd(BaseHTTPRequestHandler):
    """Refuses the bucket `closed`; of any other it promises 100 bytes and gives 10."""

    def do_HEAD(self) -> None:
        """What a HEAD is answered."""
        closed = self.path.startswith("/closed")
        self.send_response(403 if closed else 200)
        self.send_header("Content-Length", "100")
        self.send_header("ETag", '"e"')
        self.end_headers()

    def do_GET(self) -> None:
        """What a GET is answered."""
        if not self.path.startswith("/closed"):
            self.do_HEAD()
            self.wfile.write(b"0123456789")
            self.close_connection = True
            return
        body = b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>"
        self.send_response(403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Silent."""


@pytest.fixture
def odd(s3: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An S3 that refuses, or that breaks off."""
    assert s3
    with ThreadingHTTPServer(("127.0.0.1", 0), _Odd) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        yield
        server.shutdown()
        thread.join()


@pytest.mark.usefixtures("odd")
def test_access_denied() -> None:
    """A refusal names the permissions that are wanting."""
    with pytest.raises(FetchError, match=r"refuses \(AccessDenied\).*s3:GetObject.*s3:ListBucket"):
        one("s3://closed/model.keras")


@pytest.mark.usefixtures("odd")
def test_download_cut_short_leaves_nothing(tmp_path: Path) -> None:
    """Half a file is an error, and nothing of it stays in the cache."""
    with pytest.raises(FetchError, match=r"s3://models/model\.keras: "):
        one("s3://models/model.keras")
    assert not [entry for entry in (tmp_path / "cache").rglob("*") if entry.is_file()]


@pytest.fixture
def card(s3: Any, tmp_path: Path) -> Path:
    """A card whose model and evaluation data are on S3."""
    ports = [tiny.Port(name, "float32", (-1, 3)) for name in ("x", "y")]
    tiny.write_model(tmp_path / "made", (ports[0],), (ports[1],), (tiny.Step("RELU", ("x",), "y"),))
    s3.upload_file(str(tmp_path / "made" / "model.tflite"), "models", "relu/model.tflite")
    np.savez(tmp_path / "e.npz", x=np.eye(3, dtype=np.float32), y=np.arange(3))
    s3.upload_file(str(tmp_path / "e.npz"), "models", "relu/e.npz")
    folder = tmp_path / "card"
    folder.mkdir()
    (folder / "model.yaml").write_text(
        "name: relu\nmodel: s3://models/relu/model.tflite\nevaluation: s3://models/relu/e.npz\n"
    )
    return folder


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs the command line, child and all."""
    command = [sys.executable, "-m", "convert", *map(str, arguments)]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )


def test_card_with_everything_on_s3_converts(card: Path, tmp_path: Path) -> None:
    """The child opens what its parent fetched, and has no way to ask for it itself."""
    done = run(card, "--recipe", "float32", "--out", tmp_path / "out")
    assert 0 == done.returncode, done.stderr
    made = tmp_path / "made" / "model.tflite"
    assert made.read_bytes() == (tmp_path / "out" / "model.tflite").read_bytes()
    assert 1.0 == json.loads((tmp_path / "out" / "report.json").read_text())["original"]["metric"]


def test_digest_is_of_the_contents(card: Path, tmp_path: Path) -> None:
    """--digest prints the sha256 of what lies on S3, for whoever has to know when it changed."""
    done = run(card, "--digest")
    assert (0, "") == (done.returncode, done.stderr)
    assert {
        "model": measure(tmp_path / "made" / "model.tflite")[1],
        "calibration": None,
        "evaluation": measure(tmp_path / "e.npz")[1],
        "training": None,
    } == json.loads(done.stdout)


@pytest.mark.usefixtures("s3")
def test_address_on_the_command_line(convert: Any) -> None:
    """What is not there on S3 is one line, and leaves nothing."""
    fault = convert.fails("s3://models/no.keras", "--recipe", "float32")
    assert "s3://models/no.keras: not found" in fault
