"""What the engine asks of a kind of resource, and how dynamic resources answer it."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import dill

from local.errors import DeploymentError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from local.values import Properties

PROVIDER_KEY = "__provider"


@dataclass(frozen=True, slots=True)
class Diff:
    """How new inputs differ from the deployed ones.

    Attributes:
        changed: Names of the inputs that differ.
        replaces: Those among them that cannot be changed in place.
        delete_first: A replacement must delete before it creates.
    """

    changed: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()
    delete_first: bool = False


class Provider(Protocol):
    """One kind of resource. Values are plain: no secrets' marks; unknowns only where preview is."""

    def check(self, name: str, olds: Properties, news: Properties) -> Properties:
        """Complete the inputs (physical names); raise DeploymentError when they are wrong."""

    def diff(self, id_: str, inputs: Properties, outputs: Properties, news: Properties) -> Diff:
        """Compare new inputs with the deployed inputs and outputs."""

    def foresee(self, outputs: Properties, news: Properties, diff: Diff) -> Properties:
        """Outputs that are certain before an update is made; what is left out is unknown."""

    def create(self, news: Properties, *, resume: bool) -> tuple[str, Properties]:
        """Make it; `resume` tells that an earlier creation may have been cut off."""

    def update(self, id_: str, outputs: Properties, news: Properties) -> Properties:
        """Change it in place."""

    def read(self, id_: str, outputs: Properties) -> Properties | None:
        """What is really there, for the properties that can be seen; None when it is gone."""

    def delete(self, id_: str, outputs: Properties) -> None:
        """Remove it; nothing happens when it is gone already."""


def changed_keys(olds: Properties, news: Properties, ignore: Iterable[str] = ()) -> tuple[str, ...]:
    """Names whose values differ; a name that is absent equals one that is None."""
    names = sorted({*olds, *news} - set(ignore))
    return tuple(name for name in names if olds.get(name) != news.get(name))


class Dynamic:
    """A dynamic resource of the program: its provider arrives pickled, as in the real engine."""

    def __init__(self, pickled: str) -> None:
        # The program made this string a moment ago; it comes from nowhere else.
        self._provider: Any = dill.loads(base64.b64decode(pickled))  # noqa: S301

    def check(self, name: str, olds: Properties, news: Properties) -> Properties:
        """Run the provider's own check."""
        result = self._provider.check(olds, news)
        if result.failures:
            reasons = "; ".join(f"{f.property}: {f.reason}" for f in result.failures)
            raise DeploymentError(f"{name}: {reasons}")
        return dict(result.inputs)

    def diff(self, id_: str, inputs: Properties, outputs: Properties, news: Properties) -> Diff:
        """Run the provider's own diff; without an opinion, inputs are compared."""
        result = self._provider.diff(id_, outputs, news)
        changed = changed_keys(inputs, news, ignore=[PROVIDER_KEY])
        replaces = tuple(result.replaces or ())
        if result.changes is False:
            return Diff()
        if result.changes:
            changed = changed or replaces or ("provider",)
        return Diff(changed, replaces, bool(result.delete_before_replace))

    def foresee(self, outputs: Properties, news: Properties, diff: Diff) -> Properties:
        """Only the inputs are certain: a dynamic provider has no preview."""
        del outputs, diff
        return {key: value for key, value in news.items() if value is not None}

    def create(self, news: Properties, *, resume: bool) -> tuple[str, Properties]:
        """Run the provider's create, which is atomic by its own contract."""
        del resume
        result = self._provider.create(news)
        return str(result.id), dict(result.outs or {})

    def update(self, id_: str, outputs: Properties, news: Properties) -> Properties:
        """Run the provider's update."""
        return dict(self._provider.update(id_, outputs, news).outs or {})

    def read(self, id_: str, outputs: Properties) -> Properties | None:
        """Run the provider's read."""
        result = self._provider.read(id_, outputs)
        return dict(result.outs or {}) if result.id else None

    def delete(self, id_: str, outputs: Properties) -> None:
        """Run the provider's delete."""
        self._provider.delete(id_, outputs)
