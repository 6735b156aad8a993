"""Tells what a model file is, and refuses what must not be opened, without TensorFlow.

A Keras file's layers are listed in it as JSON, which is read here before Keras gets to see the
file: a Lambda layer is Python code in the file, a TFSMLayer loads another file. Keras' own safe
mode is on as well; this names the layer and says what to do instead.

A SavedModel is a program by nature; TensorFlow offers no safe mode for it. Convert only what you
trust, in a process that may do little.
"""

import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from convert.errors import ModelError

_FORMS = "a .keras, .h5 or .tflite file, or a SavedModel folder"
_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_TFLITE_MAGIC = b"TFL3"  # at byte 4
_CODE = {
    "Lambda": "carries Python code in the file, which is never run here: "
    "use a built-in layer instead (Rescaling, Normalization, ...)",
    "__lambda__": "carries Python code in the file, which is never run here: "
    "use a built-in function instead",
    "TFSMLayer": "loads another file's code: convert that SavedModel folder itself",
}
_KEEP_WHOLE = "save the whole model with model.save(...), not only model.save_weights(...)"


class Kind(StrEnum):
    """The forms a model comes in."""

    KERAS = "keras"
    """Keras 3's own file: a zip of a config and weights."""
    H5 = "h5"
    """Keras 2's and 3's older single file: HDF5 with a config attribute."""
    SAVED_MODEL = "saved_model"
    """A folder holding saved_model.pb: TensorFlow's own, of any framework."""
    TFLITE = "tflite"
    """Already converted; only quantization is left to do."""


def kind_of(path: Path) -> Kind:
    """Says what form the model has, having checked that it can be opened without running its code.

    Raises:
        ModelError: There is nothing at the path, it is none of the known forms, it is damaged or
            lacks its architecture, or it has a layer that is refused.
    """
    if path.is_dir():
        if not (path / "saved_model.pb").is_file():
            raise ModelError(f"{path}: a folder without saved_model.pb: expected {_FORMS}")
        return Kind.SAVED_MODEL
    if not path.exists():
        raise ModelError(f"{path}: not found: expected {_FORMS}")
    head = _head(path)
    if not head:
        raise ModelError(f"{path}: empty (0 bytes): expected {_FORMS}")
    suffix = path.suffix.lower()
    if suffix == ".keras":
        return _screen_keras(path)
    if suffix in (".h5", ".hdf5"):
        return _screen_h5(path, head)
    if suffix == ".tflite":
        if head[4:8] != _TFLITE_MAGIC:
            raise ModelError(f"{path}: not a .tflite file (no TFL3 mark): it starts {head!r}")
        return Kind.TFLITE
    raise ModelError(f"{path}: unknown kind of model {suffix!r}: expected {_FORMS}")


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(8)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from error


def _screen_keras(path: Path) -> Kind:
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
            if damaged is not None:
                raise ModelError(
                    f"{path}: damaged: {damaged} in it fails its checksum; save it anew"
                )
            config = json.loads(archive.read("config.json"))
    except zipfile.BadZipFile as error:
        raise ModelError(
            f"{path}: not a .keras file (or cut short): {error}; expected what model.save() writes"
        ) from error
    except KeyError as error:
        raise ModelError(
            f"{path}: no config.json inside, so no architecture; {_KEEP_WHOLE}"
        ) from error
    except (ValueError, OSError, RecursionError) as error:
        raise ModelError(f"{path}: its config.json cannot be read: {error}") from error
    if not isinstance(config, dict):
        raise ModelError(f"{path}: its config.json is not a Keras model's: expected a mapping")
    # compile_config (losses, optimizer) is left out: the model is loaded without compiling.
    _refuse_code(path, {key: part for key, part in config.items() if key != "compile_config"})
    return Kind.KERAS


def _screen_h5(path: Path, head: bytes) -> Kind:
    if head != _HDF5_MAGIC:
        raise ModelError(f"{path}: not an HDF5 file: it starts {head!r}")
    import h5py  # a third of a second, and only this form needs it

    try:
        with h5py.File(path, "r") as file:
            config = file.attrs.get("model_config")
    except OSError as error:
        raise ModelError(f"{path}: damaged HDF5 file: {error}") from error
    if config is None:
        raise ModelError(
            f"{path}: holds weights only; the architecture (model_config) is missing: {_KEEP_WHOLE}"
        )
    try:
        _refuse_code(path, json.loads(config))
    except (ValueError, TypeError, RecursionError) as error:
        raise ModelError(f"{path}: its model_config cannot be read: {error}") from error
    return Kind.H5


@dataclass(frozen=True, slots=True)
class _Part:
    """One serialized object of a Keras config."""

    class_name: str
    name: str
    module: str | None
    registered_name: str | None


def _refuse_code(path: Path, config: object) -> None:
    for part in _parts(config):
        why = _CODE.get(part.class_name) or _CODE.get(part.class_name.rsplit(">", 1)[-1])
        if why is not None:
            raise ModelError(f"{path}: layer {part.name!r} ({part.class_name}) {why}")
        # Keras writes built-in functions as module `builtins`; its own classes are under `keras`.
        of_keras = (part.module or "keras").split(".")[0] in ("keras", "builtins")
        full_name = part.registered_name or part.class_name
        if not of_keras or ">" in full_name:
            raise ModelError(
                f"{path}: {part.name!r} is of the custom class {full_name}, "
                "whose code is not here: save with model.export(FOLDER) and convert that SavedModel"
            )


def _parts(config: object) -> Iterator[_Part]:
    pending = [config]
    while pending:  # not recursion: a hostile file may nest deeper than Python's stack
        value = pending.pop()
        if isinstance(value, list):
            pending.extend(reversed(value))
        elif isinstance(value, dict):
            if isinstance(value.get("class_name"), str):
                yield _part(value)
            pending.extend(reversed(list(value.values())))


def _part(value: dict[str, Any]) -> _Part:
    inner = value.get("config")
    name = inner.get("name") if isinstance(inner, dict) else None
    module, registered = value.get("module"), value.get("registered_name")
    return _Part(
        class_name=value["class_name"],
        name=name if isinstance(name, str) else value["class_name"],
        module=module if isinstance(module, str) else None,
        registered_name=registered if isinstance(registered, str) else None,
    )
