"""(b) TensorFlow loaded once; of Keras' three ways to call a model the one that is fastest warm."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from bench.rivals import event as events

MODEL = tf.keras.models.load_model("/opt/model/model.keras")


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer one event."""
    del context
    rows = events.read(event, (-1, *MODEL.input_shape[1:]))
    return events.write(event, MODEL.predict_on_batch(rows))
