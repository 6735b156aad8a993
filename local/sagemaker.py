"""SageMaker for the embedded stack: moto's control plane, and real containers as its data plane.

`python -m local.sagemaker --port N` answers every SageMaker and application-autoscaling call with
moto, and forwards `POST /endpoints/NAME/invocations` to the container that serves that endpoint:
the model's own image, started with `serve` as SageMaker does.
"""

from __future__ import annotations

import argparse
import http.client
import ipaddress
import json
import threading
from typing import TYPE_CHECKING, Any

from local.docker import docker
from local.errors import DockerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Environ = dict[str, Any]
StartResponse = "Callable[[str, list[tuple[str, str]]], object]"

ENDPOINT_LABEL = "thimble.endpoint"
OWNER_LABEL = "thimble.emulator"
CONTAINER_PORT = 8080
TIMEOUT_SECONDS = 60.0  # SageMaker's own limit for an invocation


def start_container(owner: str, name: str, image: str, environment: dict[str, str]) -> None:
    """Serve an endpoint with a container of its image, published on 127.0.0.1 only.

    Args:
        owner: Port of the emulator that the endpoint belongs to.
        name: The endpoint's name.
        image: Image reference by digest.
        environment: What the SageMaker model sets in the container.

    Raises:
        DockerError: The container did not start.
    """
    stop_container(owner, name)
    labels = [f"--label={OWNER_LABEL}={owner}", f"--label={ENDPOINT_LABEL}={name}"]
    settings = [f"--env={key}={value}" for key, value in environment.items()]
    publish = f"--publish=127.0.0.1::{CONTAINER_PORT}"
    docker("run", "--detach", *labels, *settings, publish, image, "serve")


def stop_container(owner: str, name: str | None = None) -> None:
    """Remove the container of one endpoint, or of every endpoint of one emulator."""
    containers = _find(owner, name)
    if containers:
        docker("rm", "--force", "--volumes", *containers)


def _find(owner: str, name: str | None) -> list[str]:
    filters = [f"--filter=label={OWNER_LABEL}={owner}"]
    if name is not None:
        filters.append(f"--filter=label={ENDPOINT_LABEL}={name}")
    return docker("ps", "--all", "--quiet", *filters).split()


class DataPlane:
    """A WSGI application: endpoint invocations here, everything else to moto."""

    def __init__(self, owner: str, control_plane: Callable[..., Iterable[bytes]]) -> None:
        self.owner = owner
        self.control_plane = control_plane

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        path = str(environ.get("PATH_INFO", ""))
        if path == "/health":
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [b"ok"]
        parts = path.strip("/").split("/")
        if len(parts) == 3 and (parts[0], parts[2]) == ("endpoints", "invocations"):  # noqa: PLR2004
            return self._invoke(parts[1], environ, start_response)
        return self.control_plane(environ, start_response)

    def _invoke(
        self, name: str, environ: Environ, start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length)
        headers = {"Content-Type": environ.get("CONTENT_TYPE") or "application/json"}
        try:
            status, kind, answer = self._forward(name, body, headers)
        except (OSError, DockerError, IndexError) as error:
            return _error(start_response, "503 Service Unavailable", "ServiceUnavailable", error)
        if status >= 400:  # noqa: PLR2004 - SageMaker wraps whatever its container refuses
            start_response(
                "424 Failed Dependency",
                [("Content-Type", "application/json"), ("x-amzn-ErrorType", "ModelError")],
            )
            wrapped = {
                "Message": f"Received client error ({status}) from primary with message "
                f'"{answer.decode(errors="replace")}".',
                "OriginalMessage": answer.decode(errors="replace"),
                "OriginalStatusCode": status,
            }
            return [json.dumps(wrapped).encode()]
        start_response("200 OK", [("Content-Type", kind)])
        return [answer]

    def _forward(self, name: str, body: bytes, headers: dict[str, str]) -> tuple[int, str, bytes]:
        container = _find(self.owner, name)[0]
        address = docker("port", container, f"{CONTAINER_PORT}/tcp").split()[0]
        host, _, port = address.rpartition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=TIMEOUT_SECONDS)
        try:
            connection.request("POST", "/invocations", body, headers)
            response = connection.getresponse()
            kind = response.headers.get("Content-Type", "application/json")
            return response.status, kind, response.read()
        finally:
            connection.close()


def _error(
    start_response: Callable[..., Any], status: str, kind: str, error: Exception
) -> Iterable[bytes]:
    start_response(status, [("Content-Type", "application/json"), ("x-amzn-ErrorType", kind)])
    return [json.dumps({"Message": f"the endpoint's container does not answer: {error}"}).encode()]


def main() -> None:
    """Serve on 127.0.0.1 for this machine and on Docker's gateway address for its containers."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from moto.sagemaker.models import FakeEndpointConfig
    from werkzeug.serving import make_server

    # moto knows no Graviton machine and would refuse this program's own default.
    setattr(FakeEndpointConfig, "validate_instance_type", lambda *_: None)  # noqa: B010 - untyped
    parser = argparse.ArgumentParser(prog="python -m local.sagemaker")
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    application = DataPlane(str(port), DomainDispatcherApplication(create_backend_app))
    # The daemon's own address on its bridge: the first of the subnet, as Docker assigns it.
    subnet = docker("network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Subnet}}")
    gateway = str(next(ipaddress.ip_network(subnet.strip()).hosts()))
    containers = make_server(gateway, port, application, threaded=True)
    threading.Thread(target=containers.serve_forever, daemon=True).start()
    make_server("127.0.0.1", port, application, threaded=True).serve_forever()


if __name__ == "__main__":
    main()
