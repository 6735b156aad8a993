"""Takes values out of a parsed YAML mapping, and collects what is wrong with them."""

import math
import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, TypeVar

_SHOWN = 60
_UNITS = {
    "": 1,
    "b": 1,
    "kb": 1000,
    "mb": 1000**2,
    "gb": 1000**3,
    "kib": 1024,
    "mib": 1024**2,
    "gib": 1024**3,
}
SIZE_RULE = 'bytes, or a size such as "500 kB", "2 MB" or "1.5 MiB"'

_Value = TypeVar("_Value")
_Choice = TypeVar("_Choice", bound=StrEnum)


class Fields:
    """Takes values by key; nothing raises, so that one run tells all faults.

    Attributes:
        faults: One text for each.
    """

    def __init__(self, values: Mapping[Any, Any], prefix: str = "") -> None:
        self._left = dict(values)
        self._prefix = prefix
        self._known: list[str] = []
        self.faults: list[str] = []

    def take(self, key: str, expected: str, parse: Callable[[Any], _Value | None]) -> _Value | None:
        """Returns the parsed value; None when it is absent, null, or faulty."""
        self._known.append(key)
        value = self._left.pop(key, None)
        if value is None:
            return None
        parsed = parse(value)
        if parsed is None:
            self.faults.append(f"{self._prefix}{key}: expected {expected}, got {shown(value)}")
        return parsed

    def require(self, key: str, expected: str) -> None:
        """Notes the key's absence; call it before `take`."""
        if self._left.get(key) is None:
            self.faults.append(f"{self._prefix}{key}: missing, expected {expected}")

    def finish(self) -> None:
        """Notes the keys that nobody took."""
        known = ", ".join(self._known)
        self.faults.extend(
            f"{self._prefix}{key}: unknown key (known here: {known})" for key in self._left
        )


def shown(value: object) -> str:
    """Renders a value that was not expected, short enough for one line."""
    text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def text(value: object) -> str | None:
    """Takes a text that is not empty."""
    return value if isinstance(value, str) and value else None


def texts(value: object) -> tuple[str, ...] | None:
    """Takes a list of texts that is not empty."""
    if not isinstance(value, list) or not value:
        return None
    found = tuple(one for one in value if isinstance(one, str))
    return found if len(found) == len(value) else None


def mapping(value: object) -> Mapping[Any, Any] | None:
    """Takes a mapping."""
    return value if isinstance(value, dict) else None


def number(value: object) -> float | None:
    """Takes a finite number."""
    # YAML's true is Python's 1: a bool here is a slip, not a number.
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        found = float(value)
    except OverflowError:  # an int of hundreds of digits
        return None
    return found if math.isfinite(found) else None


def share(value: object) -> float | None:
    """Takes a number from 0 to 1."""
    found = number(value)
    return found if found is not None and 0 <= found <= 1 else None


def positive(value: object) -> float | None:
    """Takes a number above 0."""
    found = number(value)
    return found if found is not None and found > 0 else None


def not_negative(value: object) -> float | None:
    """Takes a number of 0 or above."""
    found = number(value)
    return found if found is not None and found >= 0 else None


def size(value: object) -> int | None:
    """Takes a size in bytes: a whole number, or a text with a unit; at least 1."""
    if isinstance(value, str):
        found = re.fullmatch(r"\s*(\d{1,15}(?:\.\d{1,9})?)\s*([A-Za-z]*)\s*", value)
        unit = _UNITS.get(found[2].lower()) if found else None
        count = round(float(found[1]) * unit) if found and unit else 0
    else:
        plain = number(value)
        count = int(plain) if plain is not None and plain == int(plain) else 0
    return count if count >= 1 else None


def member(choices: type[_Choice]) -> Callable[[Any], _Choice | None]:
    """Makes a parser that takes one of the choices."""
    return lambda value: choices(value) if value in list(choices) else None
