"""An .h5 file of Keras 2, in the words of Keras 3.

Keras 3 reads such files, but not every argument that Keras 2's layers wrote down, even where it has
the one value that Keras 3 knows: `time_major=False` alone keeps every LSTM out. These are left out
here, so that the defaults, which are the same, take their place; and a slash in a layer's name, as
MobileNetV3 has them, becomes a dot. What says anything else is left in, and Keras refuses it.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from convert.errors import ModelError

_DEFAULTS: dict[str, Any] = {
    "groups": 1,  # depthwise, separable and transposed convolutions
    "noise_shape": None,  # spatial dropout
    "score_mode": "dot",  # attention; the word would be taken for the function of that name
    "softmax_robust_masking": False,  # multi-head attention
    "time_major": False,  # recurrent layers
}
_UNUSED = {
    "Random": ("rng_type",),
    "SeparableConv": ("kernel_initializer", "kernel_regularizer", "kernel_constraint"),
    "SpatialDropout": ("trainable",),
}
"""What nothing but training goes by, or the graph says as well; by how the class's name begins."""
_ANOTHER = "hard_sigmoid"


def mended(path: Path, scratch: Path) -> Path:
    """Gives a file that Keras 3 can read.

    Args:
        path: An .h5 file that `screen` has let through.
        scratch: A folder to work in.

    Returns:
        The file itself where there is nothing to mend; else a mended copy in the folder.

    Raises:
        ModelError: It uses a function that is another one in Keras 3.
    """
    import h5py

    with h5py.File(path, "r") as file:
        version, config = (
            file.attrs.get("keras_version", ""),
            json.loads(file.attrs["model_config"]),
        )
    said = version.decode() if isinstance(version, bytes) else str(version)
    if said.startswith("3") or not _mend(config):
        return path
    copy = scratch / "mended.h5"
    shutil.copyfile(path, copy)
    with h5py.File(copy, "r+") as file:
        file.attrs["model_config"] = json.dumps(config)
    return copy


def _mend(config: dict[str, Any]) -> bool:
    """Rewrites a model's config in place; returns whether there was anything to rewrite."""
    objects = [it for it in _all_of(config) if isinstance(it, dict)]
    made = [(it["class_name"], it["config"]) for it in objects if _is_made(it)]
    found = False
    for class_name, inner in made:
        left_out = [key for key, value in inner.items() if _is_left_out(class_name, key, value)]
        found |= bool(left_out)
        for key in left_out:
            del inner[key]
    names = {inner["name"] for _, inner in made if "/" in str(inner.get("name"))}
    for place in _all_of(config):
        entries = place.items() if isinstance(place, dict) else enumerate(place)
        for key, value in list(entries):
            if value == _ANOTHER:
                # It would load, and answer something else.
                raise ModelError(
                    f"{_ANOTHER} of Keras 2 is another function than that of Keras 3, which reads "
                    "this file: save with model.export(FOLDER) in Keras 2, and convert that "
                    "SavedModel"
                )
            if isinstance(value, str) and value in names:
                place[key] = value.replace("/", ".")
    return found or bool(names)


def _all_of(config: Any) -> Iterator[Any]:  # noqa: ANN401  any JSON
    """Every mapping and every list in a config."""
    pending = [config]
    while pending:  # not recursion: see `screen`
        value = pending.pop()
        if isinstance(value, (dict, list)):
            yield value
            pending.extend(value.values() if isinstance(value, dict) else value)


def _is_made(value: dict[str, Any]) -> bool:
    """Whether it says how to make an object of a class."""
    return isinstance(value.get("class_name"), str) and isinstance(value.get("config"), dict)


def _is_left_out(class_name: str, key: str, value: object) -> bool:
    unused = any(class_name.startswith(start) and key in of for start, of in _UNUSED.items())
    return unused or (key in _DEFAULTS and value == _DEFAULTS[key])
