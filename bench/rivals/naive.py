"""(a) What most first attempts do: Keras loads the model in every call."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from bench.rivals import event as events


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer one event."""
    del context
    model = tf.keras.models.load_model("/opt/model/model.keras")
    rows = events.read(event, (-1, *model.input_shape[1:]))
    return events.write(event, model.predict(rows, verbose=0))
