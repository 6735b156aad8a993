"""What Keras 2 left behind in .h5 files: written by tf_keras, which is Keras 2, and read here."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convert import keras2
from convert.errors import ModelError
from convert.litert import LiteRtModel
from convert.load import load

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import tf_keras

SEED = 66
layers = tf_keras.layers


def recurrent(value: Any) -> Any:
    """The layers that have `time_major`."""
    value = layers.Bidirectional(layers.LSTM(4, return_sequences=True))(value)
    return layers.SimpleRNN(3)(layers.GRU(4, return_sequences=True)(value))


def convolutional(value: Any) -> Any:
    """The layers that have `groups`, a spatial dropout, and a slash in a name."""
    value = layers.Reshape((6, 4, 1))(value)
    value = layers.DepthwiseConv2D(3, padding="same")(value)
    value = layers.BatchNormalization(name="first/norm")(value)
    value = layers.Conv2DTranspose(3, 3)(layers.SeparableConv2D(3, 3)(value))
    return layers.GlobalAveragePooling2D()(layers.SpatialDropout2D(0.1)(value))


def attending(value: Any) -> Any:
    """The layer that has `score_mode`."""
    return layers.Flatten()(layers.Attention()([value, value]))


def saved(folder: Path, build: Callable[[Any], Any]) -> tuple[Path, Any]:
    """A model of Keras 2, and its file."""
    tf_keras.utils.set_random_seed(SEED)
    start = tf_keras.Input((6, 4), name="signal")
    model = tf_keras.Model(start, layers.Dense(2, name="scores")(build(start)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it recommends another form
        model.save(folder / "model.h5")
    return folder / "model.h5", model


@pytest.mark.parametrize("build", [recurrent, convolutional, attending])
def test_layers_of_keras_2_answer_as_they_did(tmp_path: Path, build: Callable[[Any], Any]) -> None:
    """The original and the float32 file say what Keras 2 said, any batch."""
    path, model = saved(tmp_path, build)
    source = load(path, tmp_path)
    made = LiteRtModel(source.float_model, source.signature)
    for batch in (1, 3):
        x = np.random.default_rng(SEED).normal(size=(batch, 6, 4)).astype(np.float32)
        expected = np.asarray(model(x, training=False))
        for model_ in (source.original, made.run):
            np.testing.assert_allclose(expected, model_({"signal": x})["scores"], atol=1e-4)


def test_function_that_changed_is_refused(tmp_path: Path) -> None:
    """hard_sigmoid has another slope in Keras 3: the model would load, and be another."""
    path, _ = saved(tmp_path, layers.LSTM(3, recurrent_activation="hard_sigmoid"))
    with pytest.raises(ModelError, match=r"hard_sigmoid of Keras 2.*model\.export"):
        load(path, tmp_path)


def test_file_of_keras_3_is_left_alone(zoo: Any, tmp_path: Path) -> None:
    """Nothing is mended where nothing is old."""
    assert zoo.h5 == keras2.mended(zoo.h5, tmp_path)
    assert [] == list(tmp_path.iterdir())
