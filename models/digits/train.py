"""Trains the example: handwritten digits, 8x8 gray pixels, to one of ten classes.

The data is scikit-learn's bundled copy of the UCI handwritten digits (1,797 real pictures). Run
`python models/digits/train.py` to make every file beside this one anew, but the card:

- `model.keras`: the trained network, input `image` float32 [batch, 8, 8, 1] in [0, 1], output
  `scores` float32 [batch, 10], probabilities that add up to 1;
- `calibration.npz`: `x`, 100 pictures of the training part, ten per class;
- `evaluation.npz`: `x` and `y`, the held-out part, never trained on;
- `samples/N.png`: the first held-out picture of each digit N.

The pixels are rounded to 256 steps before training, so that a PNG of a digit (pixel / 255) and the
array give the network the same numbers, bit for bit.
"""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

# Before TensorFlow is imported: its C++ side reads this once. 3 keeps fatal errors only.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import keras
import numpy as np
import numpy.typing as npt
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

HERE = Path(__file__).resolve().parent
SEED = 20
HELD_OUT = 0.25
EPOCHS = 60
CLASSES = 10
BRIGHTEST = 16  # the data's pixels are counts from 0 to 16

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]


def load_pixels() -> tuple[Pixels, Labels]:
    """Reads the digits: uint8 [1797, 8, 8, 1], 0 black to 255 white, and int64 [1797] classes."""
    digits = load_digits()
    pixels = np.rint(digits.images / BRIGHTEST * 255).astype(np.uint8)
    return pixels[..., np.newaxis], digits.target.astype(np.int64)


def to_input(pixels: Pixels) -> Floats:
    """Turns pixels into what the network sees: pixel 0 is 0.0, pixel 255 is 1.0."""
    scaled: Floats = pixels.astype(np.float32) / np.float32(255)
    return scaled


def build() -> Any:  # noqa: ANN401  keras publishes no types
    """Builds the network: three small convolutions, then a dense head."""
    image = keras.Input((8, 8, 1), name="image")
    hidden = keras.layers.Conv2D(32, 3, padding="same", activation="relu", name="edges")(image)
    hidden = keras.layers.Conv2D(32, 3, padding="same", activation="relu", name="strokes")(hidden)
    hidden = keras.layers.MaxPooling2D(name="pool")(hidden)
    hidden = keras.layers.Conv2D(64, 3, padding="same", activation="relu", name="parts")(hidden)
    hidden = keras.layers.Flatten(name="flat")(hidden)
    hidden = keras.layers.Dropout(0.4, seed=SEED, name="drop")(hidden)
    hidden = keras.layers.Dense(32, activation="relu", name="mix")(hidden)
    scores = keras.layers.Dense(CLASSES, activation="softmax", name="scores")(hidden)
    return keras.Model(image, scores, name="digits")


def first_of_each(labels: Labels, count: int) -> npt.NDArray[np.intp]:
    """Picks the first `count` rows of every class, in the order of the classes."""
    return np.concatenate([np.flatnonzero(labels == digit)[:count] for digit in range(CLASSES)])


def split() -> tuple[Pixels, Pixels, Labels, Labels]:
    """Splits the digits, always alike: pixels to train on, held out, then the labels of both."""
    pixels, labels = load_pixels()
    parts: tuple[Pixels, Pixels, Labels, Labels] = tuple(
        train_test_split(pixels, labels, test_size=HELD_OUT, random_state=SEED, stratify=labels)
    )
    return parts


def write(folder: Path) -> float:
    """Trains and writes every file into `folder`; returns the accuracy on the held-out part."""
    keras.utils.set_random_seed(SEED)
    train_x, test_x, train_y, test_y = split()
    network = build()
    network.compile("adam", "sparse_categorical_crossentropy")
    network.fit(to_input(train_x), train_y, batch_size=32, epochs=EPOCHS, verbose=0)

    # A fresh copy with the trained weights: the optimizer's state is two thirds of the file, and
    # nothing that serves the model reads it.
    served = build()
    served.set_weights(network.get_weights())
    served.save(folder / "model.keras")
    calibration = to_input(train_x[first_of_each(train_y, 10)])
    np.savez_compressed(folder / "calibration.npz", x=calibration)
    np.savez_compressed(folder / "evaluation.npz", x=to_input(test_x), y=test_y)
    (folder / "samples").mkdir()
    for row in first_of_each(test_y, 1):
        picture = Image.fromarray(test_x[row, :, :, 0])
        picture.save(folder / "samples" / f"{test_y[row]}.png")
    guessed = network.predict(to_input(test_x), verbose=0).argmax(axis=1)
    return float((guessed == test_y).mean())


def main() -> None:
    """Makes the files beside this one anew; an interrupted run leaves the old ones whole."""
    with tempfile.TemporaryDirectory(dir=HERE, prefix=".train-") as scratch:
        accuracy = write(Path(scratch))
        shutil.rmtree(HERE / "samples", ignore_errors=True)
        for made in sorted(Path(scratch).iterdir()):
            made.replace(HERE / made.name)
    print(f"held-out accuracy {accuracy:.4f}")


if __name__ == "__main__":
    main()
