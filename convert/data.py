"""Calibration, evaluation and training data: arrays by input name (or `x`) and targets `y`.

An .npz file holds them as they are, a .csv file one row a line, a folder one picture a row.

Where a model has several outputs, the targets are called `y_` and the name of the output that they
belong to, as in `y_scores`.
"""

import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from convert import pictures, table
from convert.card import Picture
from convert.errors import DataError
from convert.signature import FREE, Signature, TensorSpec

Array = npt.NDArray[Any]
INPUT_ALIAS = "x"
TARGETS = "y"
TARGETS_OF = "y_"
_TABLES = "an .npz or a .csv file"
_ZIP_MAGIC = b"PK"
_NPY_MAGIC = b"\x93NUMPY"


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """Rows read from a file; not yet held against a model.

    Attributes:
        path: Where they came from, for messages.
        inputs: By name; all with the same number of rows.
        targets: One row for each, or None (calibration data needs none).
        output: Whose targets they are; None before they are held against a model.
        typed: Whether dtypes and shapes are the author's. What a .csv file or a picture holds are
            plain numbers, which become what the model takes.
    """

    path: Path
    inputs: dict[str, Array]
    targets: Array | None
    output: str | None = None
    typed: bool = True

    @property
    def rows(self) -> int:
        """How many rows there are; at least one."""
        return len(next(iter(self.inputs.values())))


def read(path: Path, *, with_targets: bool, picture: Picture | None = None) -> Examples:
    """Reads a file or folder. Pickled objects in an .npz file are refused, not run.

    Args:
        path: An .npz or .csv file, or a folder of pictures (which have no targets).
        with_targets: Whether there must be some.
        picture: How a picture becomes an input; needed for a folder.

    Raises:
        DataError: It cannot be read, holds something that is not numbers, lacks `y` where targets
            are wanted, or its arrays differ in length.
    """
    if not path.exists():
        forms = _TABLES if with_targets else f"{_TABLES}, or a folder of pictures"
        raise DataError(f"{path}: not found: expected {forms}")
    if with_targets and path.is_dir():
        raise DataError(f"{path}: a folder, which holds no targets: expected {_TABLES}")
    typed = not (path.is_dir() or path.suffix.lower() == ".csv")
    arrays = _arrays(path) if typed else _numbers(path, picture)
    targets = arrays.pop(TARGETS, None)
    if with_targets and targets is None and not any(it.startswith(TARGETS_OF) for it in arrays):
        raise DataError(f"{path}: no array {TARGETS!r} (the targets); it holds {_names(arrays)}")
    if not arrays:
        raise DataError(f"{path}: no inputs: expected an array {INPUT_ALIAS!r}, or one per input")
    _check(path, {**arrays, **({} if targets is None else {TARGETS: targets})})
    if not typed and targets is not None and (targets == targets.round()).all():
        targets = targets.astype(np.int64)
    return Examples(path=path, inputs=arrays, targets=targets, typed=typed)


def _check(path: Path, everything: dict[str, Array]) -> None:
    for name, array in everything.items():
        if array.dtype.kind not in "fiub":
            raise DataError(f"{path}: array {name!r} is of dtype {array.dtype}: expected numbers")
        if array.ndim == 0 or len(array) == 0:
            raise DataError(f"{path}: array {name!r} has shape {array.shape}: expected rows")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise DataError(f"{path}: array {name!r} has NaN or infinite numbers")
    lengths = {name: len(array) for name, array in everything.items()}
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{name} {count}" for name, count in lengths.items())
        raise DataError(f"{path}: arrays differ in length ({counts}): expected one row for each")


def fit(examples: Examples, signature: Signature) -> Examples:
    """Gives the inputs the model's names and dtypes, and the targets their output.

    Raises:
        DataError: A name, dtype or shape is not the model's, or targets do not say whose they are.
    """
    inputs, wanted = dict(examples.inputs), [spec.name for spec in signature.inputs]
    named = {
        name.removeprefix(TARGETS_OF): inputs.pop(name)
        for name in list(inputs)
        if name.startswith(TARGETS_OF) and name not in wanted
    }
    output, targets = _targets(examples, named, [spec.name for spec in signature.outputs])
    if len(wanted) == 1 and list(inputs) == [INPUT_ALIAS]:
        inputs = {wanted[0]: inputs[INPUT_ALIAS]}
    if set(inputs) != set(wanted):
        raise DataError(
            f"{examples.path}: holds the inputs {_names(inputs)}: expected {', '.join(wanted)}"
        )
    fitted = {}
    for spec in signature.inputs:
        array = inputs[spec.name] if examples.typed else _typed(inputs[spec.name], spec)
        sizes = zip(array.shape[1:], spec.shape[1:], strict=False)
        if array.ndim != len(spec.shape) or any(size not in (at, FREE) for at, size in sizes):
            row = list(spec.shape[1:])
            raise DataError(
                f"{examples.path}: input {spec.name!r} has rows of shape {list(array.shape[1:])}: "
                f"the model expects {row}" + (" (-1: any size)" if FREE in row else "")
            )
        if not _same_kind(array, spec.client_dtype):
            raise DataError(
                f"{examples.path}: input {spec.name!r} is {array.dtype}: the model expects "
                f"{spec.client_dtype}, scaled as it was trained"
            )
        fitted[spec.name] = array.astype(spec.client_dtype)
    return Examples(path=examples.path, inputs=fitted, targets=targets, output=output)


def _targets(
    examples: Examples, named: dict[str, Array], outputs: list[str]
) -> tuple[str | None, Array | None]:
    """Settles which output the targets belong to."""
    known = ", ".join(outputs)
    for name in named:
        if name not in outputs:
            raise DataError(
                f"{examples.path}: array {TARGETS_OF + name!r}: the model has no output {name!r}, "
                f"it has {known}"
            )
    if len(named) + (examples.targets is not None) > 1:
        arrays = ", ".join([*([] if examples.targets is None else [TARGETS]), *_prefixed(named)])
        raise DataError(
            f"{examples.path}: several targets ({arrays}): a model is judged by one output, "
            "so leave one in"
        )
    if named:
        return next(iter(named.items()))
    if examples.targets is None:
        return None, None
    if len(outputs) > 1:
        raise DataError(
            f"{examples.path}: the model has several outputs ({known}) and `{TARGETS}` belongs to "
            f"one: call it {' or '.join(_prefixed(outputs))}"
        )
    return outputs[0], examples.targets


def _prefixed(names: Iterable[str]) -> list[str]:
    return [TARGETS_OF + name for name in names]


def _typed(array: Array, spec: TensorSpec) -> Array:
    """Plain numbers in the dtype and the number of dimensions that the model takes."""
    if array.ndim == len(spec.shape) + 1 and array.shape[-1] == 1:
        array = array[..., 0]  # a gray picture has a channel, and not every model one for it
    whole = np.dtype(spec.client_dtype).kind in "iu" and (array == array.round()).all()
    return array.astype(np.int64 if whole else np.float64)


def _same_kind(array: Array, dtype: str) -> bool:
    """Whether the numbers mean the same in the dtype: floats for floats, integers that fit."""
    wanted = np.dtype(dtype)
    if array.dtype.kind in "iu" and wanted.kind in "iu":
        bounds = np.iinfo(wanted)
        return bool(array.min() >= bounds.min and array.max() <= bounds.max)
    return array.dtype.kind == wanted.kind


def _numbers(path: Path, picture: Picture | None) -> dict[str, Array]:
    """What has no dtypes of its own."""
    return {INPUT_ALIAS: pictures.read(path, picture)} if path.is_dir() else {**table.read(path)}


def _arrays(path: Path) -> dict[str, Array]:
    try:
        # Opened here: numpy leaves a file that is no zip open.
        with path.open("rb") as opened:
            head = opened.read(len(_NPY_MAGIC))
            if head == _NPY_MAGIC:
                raise DataError(f"{path}: one bare array: expected an .npz file (numpy.savez)")
            if not head.startswith(_ZIP_MAGIC):
                raise DataError(
                    f"{path}: not an .npz file (it starts {head!r}): expected what numpy.savez "
                    "writes, or a table whose name ends in .csv"
                )
            opened.seek(0)
            file = np.load(opened, allow_pickle=False)
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path}: not an .npz file of plain numbers: {error}") from error


def _names(arrays: dict[str, Array]) -> str:
    return ", ".join(sorted(arrays)) or "nothing"
