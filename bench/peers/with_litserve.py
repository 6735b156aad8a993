"""LitServe: one inference worker and one API server a core, as it does by itself on many cores."""

import os
from typing import Annotated, Any

import litserve
from fastapi import Body, Response

from bench.peers.model import Model

RAW = "application/octet-stream"


class Numbers(litserve.LitAPI):
    """Numbers in, numbers out."""

    def setup(self, device: str) -> None:
        """Load the model, in each worker."""
        del device
        self.model = Model()

    def decode_request(self, request: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
        """Take the instances out of the body."""
        return request["instances"]

    def predict(self, x: Any) -> Any:  # noqa: ANN401 - its parent's
        """Answer."""
        return self.model.predict(x)

    def encode_response(self, output: Any) -> dict[str, Any]:  # noqa: ANN401 - its parent's
        """Put the answer into JSON."""
        return {"predictions": output.tolist()}


class Raw(litserve.LitAPI):
    """A raw tensor in, a raw tensor out."""

    def setup(self, device: str) -> None:
        """Load the model, in each worker."""
        del device
        self.model = Model()

    def decode_request(self, request: Annotated[bytes, Body(media_type=RAW)]) -> bytes:
        """The body is the tensor."""
        return request

    def predict(self, x: bytes) -> bytes:
        """Answer."""
        return self.model.predict_raw(x)

    def encode_response(self, output: bytes) -> Response:
        """The tensor is the body."""
        return Response(output, media_type=RAW)


if __name__ == "__main__":
    API = {"/json": Numbers, "/raw": Raw}[os.environ["BENCH_PATH"]]
    litserve.LitServer(
        API(api_path=os.environ["BENCH_PATH"]),
        accelerator="cpu",
        workers_per_device=int(os.environ["BENCH_WORKERS"]),
        fast_queue=os.environ["BENCH_VARIANT"] == "fast queue",
    ).run(
        host="127.0.0.1",
        port=int(os.environ["BENCH_PORT"]),
        log_level="warning",
        generate_client_file=False,
        num_api_servers=int(os.environ["BENCH_WORKERS"]),
    )
