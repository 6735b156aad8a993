"""`python -m bench.mobilenet FOLDER`: MobileNetV2 224x224 in float, and the card that converts it.

Its weights are random: nothing here depends on what it has learned, and trained ones would have to
be downloaded. The seed is fixed; each normalization knows its input's mean and variance, and the
last layer is scaled up, so that different inputs get clearly different answers and a wrong one is
seen.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

CARD = """\
name: mobilenet
model: model.keras
task: classification
metric: accuracy
"""
SEED = 7
SPREAD = 8.0


def make(folder: Path) -> None:
    """Write model.keras and model.yaml.

    Args:
        folder: Where to; made if it is not there.
    """
    # TensorFlow speaks of its CPU features and missing GPUs before anybody asks.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import numpy as np
    import tensorflow as tf

    from bench.inputs import mobilenet_inputs

    tf.keras.utils.set_random_seed(SEED)
    model = tf.keras.applications.MobileNetV2(weights=None)
    for layer in model.layers:
        if isinstance(layer, tf.keras.layers.BatchNormalization):
            layer.momentum = 0.0
    model(np.concatenate(mobilenet_inputs(8)), training=True)
    last = model.layers[-1]
    last.set_weights([weights * SPREAD for weights in last.get_weights()])
    folder.mkdir(parents=True, exist_ok=True)
    model.save(folder / "model.keras")
    (folder / "model.yaml").write_text(CARD, encoding="utf-8")


if __name__ == "__main__":
    make(Path(sys.argv[1]))
