"""Real models on the real library: the digits example as converted, and tiny ones."""

import http.client
import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from handler.messages import Request, Response
from handler.server.dispatcher import Client, Dispatcher
from handler.service import Service, open_service
from tests.handler.serving import Listener, Serving, serving
from tests.handler.tiny import Port, Step, write_model, write_table, write_three

PROJECT = Path(__file__).parents[2]
EVENTS = PROJECT / "tests" / "events"
SAMPLES = PROJECT / "models" / "digits" / "samples"


@pytest.fixture(scope="session")
def library() -> str:
    """Path of LiteRT's C library, out of the wheel that the image takes it from."""
    spec = importlib.util.find_spec("ai_edge_litert")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return str(Path(spec.submodule_search_locations[0], "libLiteRt.so"))


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The digits example, converted once a session without quantization."""
    out = tmp_path_factory.mktemp("digits") / "model"
    command = [sys.executable, "-m", "convert", "models/digits", "--recipe", "float32"]
    done = subprocess.run(
        [*command, "--out", str(out)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three inputs, three outputs, every dimension free: log(a), a + b and ids + ids."""
    return write_three(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def quantized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One input and one output, both int8 inside: sigmoid(x)."""
    return write_model(
        tmp_path_factory.mktemp("quantized"),
        inputs=(Port("x", "int8", (-1, 4), (0.05, 0)),),
        outputs=(Port("y", "int8", (-1, 4), (1 / 256, -128)),),
        steps=(Step("LOGISTIC", ("x",), "y"),),
    )


@pytest.fixture(scope="session")
def open_model(library: str) -> Callable[[Path], Service]:
    """Opens the service of a model's folder."""
    return lambda folder: open_service({"MODEL_DIR": str(folder), "LITERT_LIBRARY": library})


@pytest.fixture(scope="session")
def digits_service(digits: Path, open_model: Callable[[Path], Service]) -> Service:
    """The digits model, loaded."""
    return open_model(digits)


@pytest.fixture
def listener(digits_service: Service) -> Iterator[Listener]:
    """One for a test."""
    bodies: list[bytes] = []

    class Noting(Dispatcher):
        def answer(self, request: Request, client: Client) -> Response:
            del client
            bodies.append(request.body)
            return Response(200, b"{}")

    with serving(digits_service, kind=Noting) as server:
        yield Listener(server, bodies)


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a model that looks numbers of rows up, 0 to 3."""
    return write_table(tmp_path_factory.mktemp("table"))


@pytest.fixture(scope="session")
def tiny_service(tiny: Path, open_model: Callable[[Path], Service]) -> Service:
    """The tiny model, loaded."""
    return open_model(tiny)


@pytest.fixture(scope="session")
def post() -> Callable[[Service, object], tuple[int, dict[str, Any]]]:
    """Posts to :predict and gives back the status and the parsed answer."""

    def send(service: Service, body: object) -> tuple[int, dict[str, Any]]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        path = f"/v1/models/{service.manifest.name}:predict"
        response = service.answer(Request("POST", path, {}, data))
        return response.status, json.loads(response.body)

    return send


@pytest.fixture(scope="session")
def load_event() -> Callable[[str], dict[str, Any]]:
    """Reads a gateway payload of tests/events by name."""

    def load(name: str) -> dict[str, Any]:
        event: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))
        return event

    return load


@pytest.fixture(scope="session")
def sample() -> Callable[[int], bytes]:
    """The PNG of a digit that comes with the example."""
    return lambda digit: (SAMPLES / f"{digit}.png").read_bytes()


@pytest.fixture(scope="session")
def image_of_three(load_event: Callable[[str], dict[str, Any]]) -> list[Any]:
    """The digit 3 as nested numbers, 8 x 8 x 1."""
    rows: list[Any] = json.loads(load_event("predict")["body"])["instances"][0]
    return rows


@pytest.fixture
def environment(digits: Path, library: str) -> Mapping[str, str]:
    """The environment variables of a Lambda that serves the digits example."""
    return {"MODEL_DIR": str(digits), "LITERT_LIBRARY": library}


@pytest.fixture(scope="module")
def server(digits_service: Service) -> Iterator[Serving]:
    """A server of the digits model."""
    with serving(digits_service) as running:
        yield running


@pytest.fixture
def client(server: Serving) -> Iterator[http.client.HTTPConnection]:
    """One client connection."""
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    yield client
    client.close()
