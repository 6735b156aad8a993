"""(c) Stock LiteRT: the same .tflite file through ai_edge_litert and numpy, loaded once."""

from __future__ import annotations

from typing import Any

from ai_edge_litert.interpreter import Interpreter

from bench.rivals import event as events

RUN = Interpreter("/opt/model/model.tflite", num_threads=1).get_signature_runner()
(INPUT,) = RUN.get_input_details()
(OUTPUT,) = RUN.get_output_details()
SHAPE = (-1, *(int(size) for size in RUN.get_input_details()[INPUT]["shape"][1:]))


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer one event."""
    del context
    return events.write(event, RUN(**{INPUT: events.read(event, SHAPE)})[OUTPUT])
