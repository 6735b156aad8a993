"""Property values as the engine holds them: JSON, with unknowns and secrets marked.

On the wire a secret is a struct with a signature and an unknown is a fixed string; here a secret
is a `Secret` and an unknown is `UNKNOWN`. A secret never reaches the state file: a mark does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from google.protobuf import json_format, struct_pb2
from pulumi.runtime import rpc

if TYPE_CHECKING:
    from collections.abc import Mapping

UNKNOWN: str = rpc.UNKNOWN
MASK = "[secret]"
_SIGNATURE: str = rpc._special_sig_key  # noqa: SLF001 - the SDK's wire format has no public name
_SECRET: str = rpc._special_secret_sig  # noqa: SLF001
Properties = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that must not be shown or stored."""

    value: Any

    def __repr__(self) -> str:
        """Never the value."""
        return MASK


def from_wire(struct: struct_pb2.Struct) -> Properties:
    """Properties out of a request: whole numbers as int, secrets as `Secret`."""
    return {key: _unwrap(value) for key, value in json_format.MessageToDict(struct).items()}


def to_wire(properties: Mapping[str, Any]) -> struct_pb2.Struct:
    """Properties for a response."""
    struct = struct_pb2.Struct()
    struct.update({key: _wrap(value) for key, value in properties.items() if value is not None})
    return struct


def plain(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """The same value with secrets in clear: what a provider needs to do its work."""
    return _walk(value, lambda secret: plain(secret.value))


def masked(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """The same value with a mark in place of each secret: what may be stored and printed."""
    return _walk(value, lambda _: MASK)


def contains(value: Any, wanted: object) -> bool:  # noqa: ANN401 - any JSON
    """Whether a value is, or holds at any depth, another."""
    if isinstance(value, dict):
        return any(contains(v, wanted) for v in value.values())
    if isinstance(value, list):
        return any(contains(v, wanted) for v in value)
    if isinstance(value, Secret):
        return contains(value.value, wanted)
    return bool(value == wanted)


def secret_keys(properties: Mapping[str, Any]) -> set[str]:
    """Top-level names whose value is secret, as a whole or in part."""
    return {key for key, value in properties.items() if contains(masked(value), MASK)}


def _walk(value: Any, on_secret: Any) -> Any:  # noqa: ANN401
    if isinstance(value, Secret):
        return on_secret(value)
    if isinstance(value, dict):
        return {k: _walk(v, on_secret) for k, v in value.items()}
    if isinstance(value, list):
        return [_walk(v, on_secret) for v in value]
    return value


def _unwrap(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, dict):
        if value.get(_SIGNATURE) == _SECRET:
            return Secret(_unwrap(value["value"]))
        return {k: _unwrap(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_unwrap(v) for v in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _wrap(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, Secret):
        return {_SIGNATURE: _SECRET, "value": _wrap(value.value)}
    if isinstance(value, dict):
        return {k: _wrap(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_wrap(v) for v in value]
    return value
