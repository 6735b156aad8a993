"""`python3 -m handler.bundle`: the code of all modules that a start imports, in one file.

A start ends with its first answer: what that needs where the model or the request is large, bytes
instead of JSON, is here too.

Run while the image is built, where sources change no more. To look for twenty modules in four
folders and read them one by one takes a fifth of a small model's start beyond what their code does;
from one file they come at once. (A zip file gains nothing: each is looked up and inflated.)
"""

from __future__ import annotations

import marshal
import sys
from importlib.machinery import PathFinder, SourceFileLoader
from pathlib import Path

import handler
import handler.backends.litert
import handler.base64_body
import handler.heap
import handler.protocols.raw
import handler.service

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType


def codes() -> dict[str, CodeType]:
    """By name, the code of what this process has imported of the handler: what a start may import.

    Also that of handler.app, which is not imported here, since that loads the model.
    """
    names = [name for name in sys.modules if name.startswith("handler.")]
    found = {}
    for name in ["handler.app", *names]:
        package = sys.modules[name.rpartition(".")[0]]
        # By its path, even where this process took it from an earlier bundle.
        spec = PathFinder.find_spec(name, package.__path__)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            path = spec.loader.path
            # Without docstrings: a sixth of the file, which every start would read.
            found[name] = compile(
                spec.loader.get_data(path), path, "exec", dont_inherit=True, optimize=2
            )
    return found


def write() -> None:
    """Write the file that `handler/__init__.py` looks for."""
    path = Path(handler.BUNDLE)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(marshal.dumps(codes()))


if __name__ == "__main__":
    write()
