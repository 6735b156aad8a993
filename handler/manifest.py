"""model.json: what the deployed model is called, takes and gives. Read once, at start-up."""

from __future__ import annotations

import json
import math
import os

from handler.errors import StartupError
from handler.tensor import FLOATS, TYPECODES, Tensor, TensorSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SCHEMA = 1
_CHANNELS = {"gray": 1, "rgb": 3}


class Picture:
    """How a picture becomes the model's one input.

    Args:
        width: Pixels across, after resizing.
        height: Pixels down, after resizing.
        color: `gray` or `rgb`.
        low: What pixel 0 becomes.
        high: What pixel 255 becomes.
        shape: Shape of the tensor for one picture, batch dimension first.
    """

    __slots__ = ("color", "height", "high", "low", "shape", "width")

    def __init__(
        self, width: int, height: int, color: str, low: float, high: float, shape: tuple[int, ...]
    ) -> None:
        self.width = width
        self.height = height
        self.color = color
        self.low = low
        self.high = high
        self.shape = shape


class Signature:
    """One way to call the model.

    Args:
        name: Its key in the file.
        inputs: What it takes.
        outputs: What it gives.
        independent: Whether convert saw that a row has the same answer whatever is beside it.

    Attributes:
        batch: How many rows the file runs at once, where it fixes that: one leading dimension that
            all inputs and outputs share. Clients may send any number of rows all the same, and
            `client_shape` of each spec says -1. Otherwise 0.
    """

    __slots__ = ("batch", "independent", "inputs", "name", "outputs")

    def __init__(
        self,
        name: str,
        inputs: tuple[TensorSpec, ...],
        outputs: tuple[TensorSpec, ...],
        *,
        independent: bool = False,
    ) -> None:
        self.name = name
        self.independent = independent
        self.inputs = inputs
        self.outputs = outputs
        specs = (*inputs, *outputs)
        leading = {spec.shape[0] if spec.shape else 0 for spec in specs}
        batch = leading.pop() if inputs and len(leading) == 1 else 0
        self.batch = max(batch, 0)
        if self.batch:
            for spec in specs:
                spec.client_shape = (-1, *spec.shape[1:])


class Manifest:
    """One deployed model, as model.json describes it.

    Args:
        document: The parsed model.json.

    Attributes:
        signature: Name of the signature that is called where a client names none.
        inputs: Its inputs.
        outputs: Its outputs.
        signatures: All of them by name, this one first.
        golden: A question with a known answer, see `golden`; None without.

    Raises:
        StartupError: A key is missing, of another type, or at odds with the rest.
    """

    __slots__ = (
        "golden",
        "inputs",
        "labels",
        "name",
        "outputs",
        "picture",
        "recipe",
        "sha256",
        "signature",
        "signatures",
    )

    def __init__(self, document: dict[str, Any]) -> None:
        if document.get("schema") != _SCHEMA:
            raise StartupError(
                f"model.json has schema {document.get('schema')!r}, expected {_SCHEMA}: "
                "build the image and convert the model with the same release"
            )
        try:
            default = _signature(document["signature"])
            others = map(_signature, document.get("other_signatures") or ())
            self.name: str = document["name"]
            self.sha256: str = document["sha256"]
            self.recipe: str = document["recipe"]
            self.signature = default.name
            self.inputs = default.inputs
            self.outputs = default.outputs
            self.signatures = {entry.name: entry for entry in (default, *others)}
            self.labels: list[str] | None = document.get("labels")
            self.golden: dict[str, Any] | None = document.get("golden")
            picture = document.get("picture")
            self.picture = None if picture is None else _picture(picture, self)
        except (KeyError, TypeError, ValueError) as error:
            raise StartupError(
                f"model.json is not complete: {type(error).__name__} {error}; run convert again"
            ) from error


def read_manifest(directory: str) -> Manifest:
    """Read `directory`/model.json.

    Raises:
        StartupError: The file is not there, is not JSON, or does not describe a model.
    """
    path = os.path.join(directory, "model.json")  # noqa: PTH118 - pathlib costs 4 ms of cold start
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - same
            document = json.load(file)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise StartupError(
            f"cannot read {path}: {reason}; MODEL_DIR names the folder that convert wrote"
        ) from error
    if not isinstance(document, dict):
        raise StartupError(f"{path} holds a {type(document).__name__}, expected an object")
    return Manifest(document)


def _signature(entry: dict[str, Any]) -> Signature:
    name: str = entry["name"]
    inputs, outputs = (tuple(map(_spec, entry[side])) for side in ("inputs", "outputs"))
    independent = entry.get("independent_rows", False) is True
    return Signature(name, inputs, outputs, independent=independent)


def _spec(entry: dict[str, Any]) -> TensorSpec:
    if entry["dtype"] not in TYPECODES:
        raise StartupError(
            f"model.json: '{entry['name']}' is {entry['dtype']}, which cannot be served; "
            f"expected one of {', '.join(TYPECODES)}: give the model such an input or output"
        )
    scheme = entry.get("quantization")
    quantization = None if scheme is None else (float(scheme["scale"]), int(scheme["zero_point"]))
    return TensorSpec(entry["name"], entry["dtype"], tuple(entry["shape"]), quantization)


def _picture(entry: dict[str, Any], manifest: Manifest) -> Picture:
    """Check a card's picture against the signature: a misfit fails the build, not a request."""
    width, height, color = int(entry["width"]), int(entry["height"]), entry["color"]
    low, high = map(float, entry["range"])
    if color not in _CHANNELS:
        raise StartupError(f"model.json: picture color is {color!r}, expected gray or rgb")
    if len(manifest.inputs) != 1:
        raise StartupError(
            "model.json: a picture needs a model with one input, this one has "
            f"{len(manifest.inputs)}: remove `picture` from the card"
        )
    spec = manifest.inputs[0]
    channels = _CHANNELS[color]
    for shape in (
        (1, height, width, channels),
        (1, height, width),
        (1, height * width * channels),
    ):
        if spec.accepts(shape) and math.prod(shape) == height * width * channels:
            _check_range(low, high, spec)
            return Picture(width, height, color, low, high, shape)
    raise StartupError(
        f"model.json: a {color} picture of {width}x{height} does not fit input '{spec.name}' of "
        f"shape {list(spec.shape)}: mend `picture` in the card"
    )


def _check_range(low: float, high: float, spec: TensorSpec) -> None:
    dtype = spec.client_dtype
    try:
        Tensor.of(dtype, (2,), (low, high) if dtype in FLOATS else (round(low), round(high)))
        fits = dtype != "bool"
    except OverflowError:
        fits = False
    if not fits:
        raise StartupError(
            f"model.json: picture range {[low, high]} does not fit input '{spec.name}', which "
            f"takes {dtype}: mend `picture` in the card"
        )
