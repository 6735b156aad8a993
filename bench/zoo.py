"""Makes the models of the architectures table, each a folder with a card, as a user would have it.

The applications of Keras have random weights: they count for loading, size and speed. The others
are trained here on data that comes with the locked packages, or is generated, and count for
accuracy. Everything is seeded: the same machine makes the same files again.

`python -m bench.zoo NAME FOLDER` makes one; a process each, since TensorFlow keeps what it took.
"""

import gzip
import json
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Before TensorFlow is imported: its C++ side reads this once.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

SEED = 20
HELD_OUT = 0.25
CALIBRATION_ROWS = 100
SERVICES = ("s3", "ec2", "lambda", "iam", "dynamodb", "sagemaker", "ecs", "glue")
SENTENCES = 500
WORDS = 24
VOCABULARY = 4000
SIGNAL_STEPS = 200
UNSEEN_STEPS = 160
SIGNALS = 3000


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A model and its data.

    Attributes:
        model: The Keras model.
        card: What model.yaml says beside the files.
        evaluation: Held-out arrays by input name, and `y`.
        calibration: Arrays by input name.
    """

    model: Any
    card: dict[str, Any] = field(default_factory=dict)
    evaluation: dict[str, Array] = field(default_factory=dict)
    calibration: dict[str, Array] = field(default_factory=dict)


def application(name: str, pixels: int) -> Made:
    """A network of keras.applications, random weights, float32 [batch, pixels, pixels, 3]."""
    import keras

    return Made(
        model=getattr(keras.applications, name)(weights=None, input_shape=(pixels, pixels, 3))
    )


def sentences_lstm() -> Made:
    """Which AWS service is this sentence about? An embedding and an LSTM, int32 [batch, 24]."""
    import keras

    words = keras.Input((WORDS,), dtype="int32", name="words")
    middle = keras.layers.Embedding(VOCABULARY, 32)(words)
    # Unrolled: LiteRT's own operations then do without the loops that TensorFlow would need.
    middle = keras.layers.LSTM(32, unroll=True)(middle)
    scores = keras.layers.Dense(len(SERVICES), activation="softmax", name="scores")(middle)
    return _classifier(keras.Model(words, scores), "words", *_sentences(), epochs=6)


def sentences_attention() -> Made:
    """The same question put to a transformer block."""
    import keras

    words = keras.Input((WORDS,), dtype="int32", name="words")
    middle = keras.layers.Embedding(VOCABULARY, 32)(words)
    seen = keras.layers.MultiHeadAttention(num_heads=4, key_dim=8)(middle, middle)
    middle = keras.layers.LayerNormalization()(middle + seen)
    middle = keras.layers.Dense(64, activation="relu")(middle)
    middle = keras.layers.GlobalAveragePooling1D()(middle)
    scores = keras.layers.Dense(len(SERVICES), activation="softmax", name="scores")(middle)
    return _classifier(keras.Model(words, scores), "words", *_sentences(), epochs=6)


def signals_conv1d() -> Made:
    """Which shape has this noisy wave? 1-D convolutions over any number of steps, [batch, ?, 1].

    Trained on 200 steps, evaluated on 160, a length it never saw.
    """
    import keras

    wave = keras.Input((None, 1), name="wave")
    middle = wave
    for filters in (16, 32, 32):
        middle = keras.layers.Conv1D(filters, 7, padding="same", activation="relu")(middle)
    middle = keras.layers.GlobalAveragePooling1D()(middle)
    scores = keras.layers.Dense(4, activation="softmax", name="scores")(middle)
    model = keras.Model(wave, scores)
    inputs, classes = _signals(SIGNALS, SIGNAL_STEPS)
    _fit(model, inputs, classes, "sparse_categorical_crossentropy", epochs=8)
    unseen, answers = _signals(SIGNALS // 4, UNSEEN_STEPS, seed=SEED + 1)
    return Made(
        model=model,
        card={"task": "classification", "metric": "accuracy"},
        evaluation={"wave": unseen, "y": answers},
        calibration={"wave": inputs[:CALIBRATION_ROWS]},
    )


def tabular() -> Made:
    """Benign or malignant? 30 measurements of 569 tumours (Wisconsin, in scikit-learn)."""
    import keras
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer()
    inputs = data.data.astype(np.float32)
    scale = keras.layers.Normalization()
    scale.adapt(inputs)
    measured = keras.Input((inputs.shape[1],), name="measured")
    middle = keras.layers.Dense(64, activation="relu")(scale(measured))
    middle = keras.layers.Dense(32, activation="relu")(middle)
    scores = keras.layers.Dense(2, activation="softmax", name="scores")(middle)
    return _classifier(
        keras.Model(measured, scores), "measured", inputs, data.target.astype(np.int64), epochs=30
    )


def regression() -> Made:
    """How far has the illness come in a year? 10 measurements of 442 patients (in scikit-learn)."""
    import keras
    from sklearn.datasets import load_diabetes

    data = load_diabetes()
    inputs, targets = data.data.astype(np.float32), data.target.astype(np.float32)[:, np.newaxis]
    measured = keras.Input((inputs.shape[1],), name="measured")
    middle = keras.layers.Dense(64, activation="relu")(measured)
    middle = keras.layers.Dense(32, activation="relu")(middle)
    model = keras.Model(measured, keras.layers.Dense(1, name="progression")(middle))
    train, held = _split(len(inputs))
    _fit(model, inputs[train], targets[train], "mse", epochs=200)
    return Made(
        model=model,
        card={"task": "regression", "metric": "mae"},
        evaluation={"measured": inputs[held], "y": targets[held]},
        calibration={"measured": inputs[train][:CALIBRATION_ROWS]},
    )


ZOO: dict[str, Callable[[], Made]] = {
    "sentences-lstm": sentences_lstm,
    "sentences-attention": sentences_attention,
    "signals-conv1d": signals_conv1d,
    "tumours-tabular": tabular,
    "diabetes-regression": regression,
    "mobilenet-v2": lambda: application("MobileNetV2", 224),
    "mobilenet-v3-small": lambda: application("MobileNetV3Small", 224),
    "efficientnet-b0": lambda: application("EfficientNetB0", 224),
    "resnet-50": lambda: application("ResNet50", 224),
}


def make(name: str, folder: Path) -> None:
    """Makes model.keras, its data and model.yaml in a new folder."""
    import keras

    keras.utils.set_random_seed(SEED)
    made = ZOO[name]()
    folder.mkdir(parents=True)
    made.model.save(folder / "model.keras")
    card: dict[str, Any] = {"name": name, "model": "model.keras", **made.card}
    for part, arrays in (("evaluation", made.evaluation), ("calibration", made.calibration)):
        if arrays:
            np.savez_compressed(folder / f"{part}.npz", **arrays)  # type: ignore[arg-type]
            card[part] = f"{part}.npz"
    # JSON is YAML too. Written last: a folder with a card is complete.
    (folder / "model.yaml").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")


def _classifier(model: Any, name: str, inputs: Array, classes: Array, *, epochs: int) -> Made:  # noqa: ANN401
    train, held = _split(len(inputs))
    _fit(model, inputs[train], classes[train], "sparse_categorical_crossentropy", epochs=epochs)
    return Made(
        model=model,
        card={"task": "classification", "metric": "accuracy"},
        evaluation={name: inputs[held], "y": classes[held]},
        calibration={name: inputs[train][:CALIBRATION_ROWS]},
    )


def _fit(model: Any, inputs: Array, targets: Array, loss: str, *, epochs: int) -> None:  # noqa: ANN401
    model.compile(optimizer="adam", loss=loss)
    model.fit(inputs, targets, batch_size=32, epochs=epochs, verbose=0)


def _split(rows: int) -> tuple[Array, Array]:
    order = np.random.default_rng(SEED).permutation(rows)
    held = int(rows * HELD_OUT)
    return order[held:], order[:held]


def _sentences() -> tuple[Array, Array]:
    """Real sentences: what botocore's own models say about the parts of each service's API.

    Returns:
        Word numbers int32 [n, 24], 0 where a sentence is shorter, 1 for a rare word; and the
        service's number, int64 [n].
    """
    import botocore

    told: list[tuple[list[str], int]] = []
    for number, service in enumerate(SERVICES):
        newest = max((Path(botocore.__file__).parent / "data" / service).iterdir())
        api = json.loads(gzip.decompress((newest / "service-2.json.gz").read_bytes()))
        texts = [operation.get("documentation", "") for operation in api["operations"].values()]
        for shape in api["shapes"].values():
            texts += [it.get("documentation", "") for it in shape.get("members", {}).values()]
        # A service's own name would give the answer away.
        own = re.compile(rf"\b(amazon|aws|{service})\w*")
        found = sorted({" ".join(own.sub(" ", _plain(text)).split()[:WORDS]) for text in texts})
        long_enough = [text.split() for text in found if text.count(" ") >= WORDS // 3]
        picked = np.random.default_rng(SEED).permutation(len(long_enough))[:SENTENCES]
        told += [(long_enough[index], number) for index in picked]
    counts: dict[str, int] = {}
    for words, _ in told:
        for word in words:
            counts[word] = counts.get(word, 0) + 1
    common = sorted(counts, key=lambda word: (-counts[word], word))[: VOCABULARY - 2]
    numbers = {word: at for at, word in enumerate(common, 2)}
    inputs = np.zeros((len(told), WORDS), np.int32)
    for row, (words, _) in enumerate(told):
        inputs[row, : len(words)] = [numbers.get(word, 1) for word in words]
    return inputs, np.array([number for _, number in told], np.int64)


def _plain(html: str) -> str:
    return re.sub(r"[^a-z ]+", " ", re.sub(r"<[^>]+>", " ", html).lower())


def _signals(rows: int, steps: int, seed: int = SEED) -> tuple[Array, Array]:
    """Sines, squares, triangles and saws in noise: float32 [n, steps, 1], and int64 [n]."""
    chance = np.random.default_rng(seed)
    classes = chance.integers(0, 4, rows)
    turns = chance.uniform(3, 9, (rows, 1)) * np.arange(steps) / SIGNAL_STEPS
    phase = (turns + chance.uniform(0, 1, (rows, 1))) % 1
    shapes = np.stack(
        [
            np.sin(2 * np.pi * phase),
            np.where(phase < 1 / 2, 1.0, -1.0),
            4 * np.abs(phase - 1 / 2) - 1,
            2 * phase - 1,
        ]
    )
    waves = shapes[classes, np.arange(rows)] + chance.normal(0, 0.4, (rows, steps))
    return waves[..., np.newaxis].astype(np.float32), classes.astype(np.int64)


if __name__ == "__main__":
    make(sys.argv[1], Path(sys.argv[2]))
