"""A question with a known answer, asked once at every start.

The digest proves that the file is the one that was converted; this proves that the file, this
library and this processor together still give its numbers. It is the first run as well, which costs
more than all others: the first client does not wait for it.

model.json's `golden`, which convert writes:

    {"inputs": {name: {"shape": [...], "base64": "..."}},
     "outputs": {name: {"shape": [...], "values": [...]}},
     "tolerance": 0.02}

`base64` is a piece of the input in the dtype that clients speak, little-endian; it is repeated
until the shape is full, which keeps a picture at 4 KiB. `values` are the output's first numbers, to
three significant digits; they are left out where they may rightly differ from one processor to
another (the winner of a close race). `tolerance` is a share of the greatest of them.
"""

from __future__ import annotations

import binascii
import math

from handler.errors import BadRequestError, LiteRtError, StartupError
from handler.litert import UNTOUCHED
from handler.tensor import ITEM_SIZES, Tensor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from handler.manifest import Manifest
    from handler.predictor import Backend
    from handler.tensor import TensorSpec


def check(backend: Backend, manifest: Manifest) -> None:
    """Ask the question, if there is one.

    Raises:
        StartupError: The answer is another, or there is none; or model.json's is no question.
    """
    golden = manifest.golden
    if golden is None:
        return
    signature = manifest.signatures[manifest.signature]
    try:
        tensors = {spec.name: _input(golden, spec) for spec in signature.inputs}
        answers = backend.run(tensors, signature)
        for name, wanted in golden["outputs"].items():
            _compare(name, answers[name], wanted, golden["tolerance"])
    except (LiteRtError, BadRequestError) as error:
        raise StartupError(f"the model does not run on its golden input: {error}") from error
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise StartupError(
            f"model.json's `golden` is not complete: {type(error).__name__} {error}; "
            "run convert again"
        ) from error


def _input(golden: dict[str, Any], spec: TensorSpec) -> Tensor:
    entry = golden["inputs"][spec.name]
    dtype = spec.client_dtype
    shape = tuple(map(int, entry["shape"]))
    piece = binascii.a2b_base64(entry["base64"])
    size = math.prod(shape) * ITEM_SIZES[dtype]
    return Tensor(dtype, shape, (piece * -(-size // len(piece)))[:size])


def _compare(name: str, answer: Tensor, wanted: dict[str, Any], tolerance: float) -> None:
    if answer.data[: len(UNTOUCHED)] == UNTOUCHED:
        # It is in memory of LiteRT's own, and every later run would be refused.
        raise StartupError(
            f"LiteRT does not write output '{name}' where it is told to, as when the operation "
            "that gives it works its size out as it runs (tf.where, tf.unique, tf.math.top_k, a "
            "slice of a computed length) or an input is handed through: put another operation "
            "behind it in the model, such as tf.cast"
        )
    if list(answer.shape) != wanted["shape"]:
        raise StartupError(_differs(name, f"has shape {list(answer.shape)}", wanted["shape"]))
    values = wanted.get("values")
    if not values:
        return
    most = tolerance * max(map(abs, values))
    for position, (got, want) in enumerate(zip(answer.values, values, strict=False)):
        # Written so that NaN does not pass.
        if not abs(got - want) <= most:
            place = f"is {got:.3g} at flat position {position}"
            raise StartupError(_differs(name, place, f"{want} (give or take {most:.2g})"))


def _differs(name: str, what: str, expected: object) -> str:
    return (
        f"the model's golden answer is wrong: output '{name}' {what}, model.json expects "
        f"{expected}: this library or processor does not compute what the conversion did; "
        "convert the model with the release that builds the image"
    )
