"""The same requests with the arithmetic elsewhere: the same answers, and errors that say why."""

from __future__ import annotations

import http.client
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from local.docker import docker
from tests.e2e.api import Answer, send
from tests.e2e.test_predictions import BAD, IMAGE, PREDICT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.project import Project

DIGITS = Path(__file__).resolve().parents[2] / "models/digits"
ENDPOINTS = "label=thimble.endpoint"
# Each answer takes the emulator a second, most of it waiting.
AT_ONCE = 6
# Short, so that a hanging backend is not waited for long. Six containers that start at once, beside
# the other half of the suite, count into it.
TIMEOUT = 12
GATEWAY_SECONDS = 30
READY_SECONDS = 20


def held_out(rows: int) -> bytes:
    """A predict request of rows that training never saw."""
    with np.load(DIGITS / "evaluation.npz") as data:
        name = next(n for n in data.files if n != "y")
        return json.dumps({"instances": data[name][:rows].tolist()}).encode()


@dataclass(frozen=True, slots=True)
class Asked:
    """One request."""

    path: str
    body: bytes | None = None
    kind: str = "application/json"
    method: str = "POST"

    def send(self, url: str) -> Answer:
        """Send it."""
        return send(url, self.path, self.body, self.kind, self.method)


ASKED = {
    **{
        f"sample {digit}": Asked(IMAGE, (DIGITS / f"samples/{digit}.png").read_bytes(), "image/png")
        for digit in range(10)
    },
    "32 rows": Asked(PREDICT, held_out(32)),
    "status": Asked("/v1/models/digits", method="GET"),
    "metadata": Asked("/v1/models/digits/metadata", method="GET"),
    "health": Asked("/ping", method="GET"),
    "wrong method": Asked(PREDICT, method="GET"),
    **{name: Asked(path, body, kind) for name, (_, path, body, kind) in BAD.items()},
}


def answers(url: str) -> dict[str, Answer]:
    """What the API says to all of them."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(
            zip(ASKED, pool.map(lambda asked: asked.send(url), ASKED.values()), strict=True)
        )


@dataclass(frozen=True, slots=True)
class Remote:
    """The API with a backend in a container.

    Attributes:
        options: How the stack was deployed.
        container: The backend's.
        answers: What the API said.
    """

    options: list[str]
    container: str
    answers: dict[str, Answer]


@pytest.fixture(scope="module")
def url(project: Project) -> str:
    """Where the API is; its address outlives a change of the backend."""
    return str(project.outputs()["url"])


@pytest.fixture(scope="module")
def plain(url: str) -> dict[str, Answer]:
    """What the API says with the arithmetic inside the function."""
    return answers(url)


@pytest.fixture(scope="module", params=["sagemaker", "http"])
def remote(
    request: pytest.FixtureRequest, project: Project, url: str, plain: dict[str, Answer]
) -> Iterator[Remote]:
    """The API with the arithmetic elsewhere; `plain` was asked before."""
    assert plain
    kind = {"sagemaker": sagemaker, "http": somebodys_server}[request.param]
    with kind(project) as (options, container):
        yield Remote(options, container, answers(url))


@contextmanager
def sagemaker(project: Project) -> Iterator[tuple[list[str], str]]:
    """An endpoint made by the program; gone with the setting."""
    settings = ("thimble:backend=sagemaker", f"thimble:function.timeout={TIMEOUT}")
    with project.deployed_with(*settings) as options:
        [container] = endpoints(project)
        yield options, container
    assert endpoints(project) == []


@contextmanager
def somebodys_server(project: Project) -> Iterator[tuple[list[str], str]]:
    """A server that the program knows nothing of: here the same image, started by hand."""
    gateway = docker(
        *("network", "inspect", "bridge"), "--format", "{{(index .IPAM.Config 0).Gateway}}"
    ).strip()
    # Any that is free at that address, and named: one that Docker draws is another after a restart.
    with socket.create_server((gateway, 0)) as probe:
        port = probe.getsockname()[1]
    container = docker(
        # As little as it says it needs: nothing can be written, and the user is nobody.
        *("run", "--detach", "--read-only", "--user=1000:1000", "--cap-drop=ALL"),
        f"--publish={gateway}:{port}:8080",
        *(str(project.outputs()["image_uri"]), "serve"),
    ).strip()
    try:
        with project.deployed_with(
            "thimble:backend=http",
            f"thimble:backendUrl=http://host.docker.internal:{port}/v1/models/digits",
            f"thimble:function.timeout={TIMEOUT}",
        ) as options:
            yield options, container
    finally:
        docker("rm", "--force", "--volumes", container)


def endpoints(project: Project, stack: str = "local") -> list[str]:
    """The containers behind a stack's endpoints, running or not."""
    owner = f"label=thimble.emulator={project.emulator(stack)['sagemaker_port']}"
    return docker("ps", "--all", "--quiet", "--filter", ENDPOINTS, "--filter", owner).split()


@contextmanager
def stopped(container: str) -> Iterator[None]:
    """A container that does not run, for a while."""
    docker("stop", "-t", "5", container)
    try:
        yield
    finally:
        docker("start", container)
        wait_until_ready(container)


@contextmanager
def hanging(container: str) -> Iterator[None]:
    """A container that takes connections and never answers, for a while."""
    docker("pause", container)
    try:
        yield
    finally:
        docker("unpause", container)


def wait_until_ready(container: str) -> None:
    """Return when the server in a container answers."""
    host, _, port = docker("port", container, "8080/tcp").split()[0].rpartition(":")
    deadline = time.monotonic() + READY_SECONDS
    while True:
        connection = http.client.HTTPConnection(host, int(port), timeout=1)
        try:
            connection.request("GET", "/ping")
            assert connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            assert time.monotonic() < deadline, f"{container} does not come back"
            time.sleep(0.1)
        else:
            return
        finally:
            connection.close()


@pytest.mark.parametrize("name", ASKED)
def test_same_answer(remote: Remote, plain: dict[str, Answer], name: str) -> None:
    """Wherever the model runs, status and body are the same to the last byte."""
    assert plain[name] == remote.answers[name]


def test_second_up_changes_nothing(remote: Remote, project: Project) -> None:
    """Deployed twice, it is deployed once."""
    project.ok("local", "up", "--json", "--expect-no-changes", *remote.options)


def test_stopped_backend(remote: Remote, url: str) -> None:
    """Without its backend the API says 503 and why; with it, it answers again."""
    with stopped(remote.container):
        answer = ASKED["32 rows"].send(url)
    assert (503, ["error"]) == (answer.status, list(answer.document))
    assert remote.answers["32 rows"] == ASKED["32 rows"].send(url)


def test_hanging_backend(remote: Remote, url: str) -> None:
    """A backend that never answers is a 504 of the function's own, before the gateway gives up."""
    begun = time.monotonic()
    with hanging(remote.container):
        answer = ASKED["32 rows"].send(url)
        seconds = time.monotonic() - begun
    assert (504, ["error"]) == (answer.status, list(answer.document)), answer.body
    assert seconds < GATEWAY_SECONDS
    assert remote.answers["32 rows"] == ASKED["32 rows"].send(url)


def test_health_needs_no_backend(remote: Remote, url: str) -> None:
    """The health route speaks for the function."""
    with stopped(remote.container):
        assert ASKED["health"].send(url).status == 200


def test_down_takes_the_endpoint_along(project: Project) -> None:
    """A stack with an endpoint leaves no container of it behind, and its neighbour alone."""
    try:
        project.ok("local", "up", "--json", "--stack=dev", "--config", "thimble:backend=sagemaker")
        [container] = endpoints(project, "dev")
        project.ok("local", "down", "--stack=dev")
        assert container not in docker("ps", "--all", "--quiet").split()
        assert project.outputs()
    finally:
        project.run("local", "down", "--stack=dev", "--discard")
