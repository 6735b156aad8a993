"""Pulumi configuration as typed, frozen dataclasses: one class per area, one field per key.

The engine hands a program its settings as text (a nested area as JSON text), so this module turns
text into the type each field declares and gathers every fault instead of stopping at the first.
"""

import contextlib
import dataclasses
import difflib
import json
import typing
from collections.abc import Collection, Mapping
from typing import Any, TypeVar

Area = TypeVar("Area")


def camel(name: str) -> str:
    """snake_case to camelCase: fields are Python's, keys are Pulumi's."""
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)


def read_area(cls: type[Area], values: Mapping[str, Any], prefix: str, faults: list[str]) -> Area:
    """Build `cls` from configuration values.

    Args:
        cls: A dataclass whose fields all have defaults of type str, int, bool or tuple[str, ...].
        values: Keys as the user wrote them.
        prefix: What comes before a key in a message, such as "api.".
        faults: Receives one line per unknown key or value of another type.
    """
    types = typing.get_type_hints(cls)
    fields = {
        camel(field.name): field
        for field in dataclasses.fields(cls)  # type: ignore[arg-type]
    }
    given: dict[str, Any] = {}
    for key, value in values.items():
        field = fields.get(key)
        if field is None:
            faults.append(_unknown(prefix, key, list(fields)))
            continue
        try:
            given[field.name] = _typed(types[field.name], value)
        except ValueError as error:
            faults.append(f"{prefix}{key} is {value!r}; expected {error}")
    return cls(**given)


def nested(values: Mapping[str, Any], key: str, faults: list[str]) -> Mapping[str, Any]:
    """The area under `key`, which the engine passes as JSON text."""
    value = values.get(key, {})
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            value = json.loads(value)
    if isinstance(value, Mapping):
        return value
    faults.append(
        f"{key} is {value!r}; expected keys below it (pulumi config set --path {key}.<key> <value>)"
    )
    return {}


def well_placed(
    values: Mapping[str, Any], areas: Collection[str], faults: list[str]
) -> Mapping[str, Any]:
    """All but keys such as "api.auth", which `pulumi config set` writes so without --path.

    They stand beside the area `api` and not in it, where nobody reads them.
    """
    placed = {}
    for key, value in values.items():
        area, dot, below = key.partition(".")
        if not dot or area not in areas:
            placed[key] = value
            continue
        faults.append(
            f"{key} is written as one word, and {below} belongs below {area}: "
            f"pulumi config rm {key}, then pulumi config set --path {key} <value>, which writes "
            f"{area}: {{{below}: <value>}}"
        )
    return placed


def _unknown(prefix: str, key: str, known: list[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    hint = f"did you mean {prefix}{near[0]}?" if near else f"known here: {', '.join(sorted(known))}"
    return f"{prefix}{key} is not a setting; {hint}"


def _typed(kind: object, value: object) -> object:
    """Turn one value into its declared type, or raise ValueError naming what was expected."""
    if kind is bool:
        return _truth(value)
    if kind is int:
        return _whole(value)
    if kind is str:
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            return str(value)
        raise ValueError("text")
    return _list(value)


def _truth(value: object) -> bool:
    if str(value).lower() not in {"true", "false"}:
        raise ValueError("true or false")
    return str(value).lower() == "true"


def _whole(value: object) -> int:
    # The engine may hand 28 over as 28, 28.0 or "28".
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        with contextlib.suppress(ValueError, OverflowError):
            if float(value) == int(float(value)):
                return int(float(value))
    raise ValueError("a whole number")


def _list(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            value = json.loads(value)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    items = value if isinstance(value, list) else [value]
    if value == "" or not all(isinstance(item, str | int | float) for item in items):
        raise ValueError("a list of texts")
    # What was meant, written as it should be: without quotes an account is a number.
    raise ValueError(f"a list of texts: {json.dumps([*map(str, items)])}")
