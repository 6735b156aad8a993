"""BentoML: synchronous methods, one worker a core, as its guide advises for work on the CPU."""

import os
from typing import Annotated

import bentoml
import numpy as np
from bentoml.validators import ContentType

from bench.peers.model import Model

RAW = ContentType("application/octet-stream")


@bentoml.service(
    workers=int(os.environ["BENCH_WORKERS"]),
    # A line a request is the dearest thing that it does by itself.
    logging={"access": {"enabled": False}},
)
class Predictions:
    """One model."""

    def __init__(self) -> None:
        self.model = Model()

    @bentoml.api(route="/json")
    def predict(self, instances: np.ndarray) -> np.ndarray:
        """Numbers in, numbers out."""
        return self.model.predict(instances)

    @bentoml.api(route="/raw")
    def predict_raw(self, body: Annotated[bytes, RAW], /) -> Annotated[bytes, RAW]:
        """A raw tensor in, a raw tensor out."""
        return self.model.predict_raw(body)
