"""What runs in the cloud: a model's predictions over HTTP, with the standard library alone."""

from __future__ import annotations

import gc
import marshal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import CodeType, ModuleType

VERSION = "0.1.0"
"""This release, as pyproject.toml has it; the image carries no pyproject.toml."""

BUNDLE = f"{__path__[0]}/__pycache__/start.{sys.implementation.cache_tag}.bundle"
"""Where an image has the code of all modules that a start imports."""


class _Bundle:
    """Imports the modules that a start needs from the one file that `bundle.py` made of them.

    Args:
        codes: Their code, by name.
    """

    def __init__(self, codes: dict[str, CodeType]) -> None:
        self._codes = codes

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Python's question to every finder; nothing here is found a second time."""
        del path, target
        code = self._codes.get(name)
        if code is None:
            return None
        spec = type(__spec__)(name, self, origin=code.co_filename)  # type: ignore[arg-type]
        folder, _, file = code.co_filename.rpartition("/")
        if file == "__init__.py":
            spec.submodule_search_locations = [folder]
        return spec

    def create_module(self, spec: ModuleSpec) -> None:
        """An ordinary module will do."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the module's code in it."""
        code = self._codes.pop(module.__name__)
        module.__file__ = code.co_filename
        exec(code, module.__dict__)  # noqa: S102 - what importing is


def _use_bundle() -> None:
    try:
        with open(BUNDLE, "rb", buffering=0) as file:  # noqa: PTH123 - pathlib costs 4 ms
            content = file.read()
    except FileNotFoundError:
        return  # outside of an image
    # So many new objects would have Python look through everything that the process has imported
    # for garbage, 0.6 ms; what is frozen will not make it do so the moment that it may again.
    gc.disable()
    codes = marshal.loads(content)  # noqa: S302 - as trusted as the .pyc files beside it
    gc.freeze()
    gc.enable()
    sys.meta_path.insert(0, _Bundle(codes))


_use_bundle()
