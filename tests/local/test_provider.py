"""Dynamic resources, pickled by the SDK as the program pickles them."""

from __future__ import annotations

from typing import Any

import pytest
from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    CreateResult,
    DiffResult,
    ReadResult,
    ResourceProvider,
    UpdateResult,
)
from pulumi.dynamic.dynamic import serialize_provider

from local.errors import DeploymentError
from local.provider import PROVIDER_KEY, Diff, Dynamic, changed_keys


class Shouting(ResourceProvider):
    """Keeps a text in capitals. `zone` cannot be changed; a text in capitals needs no change."""

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Refuse numbers."""
        failures = [
            CheckFailure(key, f"{value!r} is no text")
            for key, value in news.items()
            if isinstance(value, int)
        ]
        return CheckResult({**news, "checked": "yes"}, failures)

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Compare with what was put out."""
        if olds.get("zone") != news.get("zone"):
            return DiffResult(changes=True, replaces=["zone"], delete_before_replace=True)
        return DiffResult(changes=olds["shout"] != news["text"].upper())

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Shout."""
        return CreateResult("id-1", {**props, "shout": props["text"].upper()})

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Gone when the state says so."""
        return ReadResult("" if props.get("gone") else id_, props)

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Shout anew."""
        return UpdateResult({"shout": news["text"].upper()})

    def delete(self, id_: str, props: dict[str, Any]) -> None:
        """Say who is deleted."""
        raise RuntimeError(f"deleted {id_} {props}")


class Silent(ResourceProvider):
    """Has no opinion of anything: the SDK's own defaults."""


def embedded(provider: ResourceProvider) -> Dynamic:
    """The provider as it arrives from the program."""
    return Dynamic(serialize_provider(provider))


@pytest.fixture(scope="module")
def shouting() -> Dynamic:
    """A provider of the program."""
    return embedded(Shouting())


def test_check_completes_inputs(shouting: Dynamic) -> None:
    """The provider's own check has the word."""
    assert shouting.check("a", {}, {"text": "x"}) == {"text": "x", "checked": "yes"}


def test_check_names_every_wrong_input(shouting: Dynamic) -> None:
    """One line: the resource, each property, each reason."""
    with pytest.raises(DeploymentError) as caught:
        shouting.check("a", {}, {"x": 1, "y": 2})
    assert str(caught.value) == "a: x: 1 is no text; y: 2 is no text"


def test_diff_without_changes(shouting: Dynamic) -> None:
    """A provider that sees no change is believed, though the inputs differ."""
    found = shouting.diff("id", {"text": "a"}, {"shout": "A"}, {"text": "A"})
    assert found == Diff()


def test_diff_names_what_changed(shouting: Dynamic) -> None:
    """The inputs that differ are the reasons."""
    found = shouting.diff("id", {"text": "a"}, {"shout": "A"}, {"text": "b"})
    assert found == Diff(("text",))


def test_diff_with_the_same_inputs(shouting: Dynamic) -> None:
    """A change that only the provider can see, such as a lost file, is still a change."""
    found = shouting.diff("id", {"text": "a"}, {"shout": "other"}, {"text": "a"})
    assert found == Diff(("provider",))


def test_diff_replaces(shouting: Dynamic) -> None:
    """The provider says what needs a replacement, and in which order."""
    found = shouting.diff("id", {"text": "a"}, {"zone": "x"}, {"text": "a"})
    assert (found.replaces, found.delete_first) == (("zone",), True)


def test_diff_without_an_opinion_compares_inputs() -> None:
    """The provider's own pickle is no input: its bytes differ from run to run."""
    silent = embedded(Silent())
    olds = {"x": 1, PROVIDER_KEY: "a"}
    assert silent.diff("id", olds, {}, {"x": 1, PROVIDER_KEY: "b"}) == Diff()
    assert silent.diff("id", olds, {}, {"x": 2, PROVIDER_KEY: "b"}) == Diff(("x",))


def test_create_and_update_return_outputs(shouting: Dynamic) -> None:
    """Whatever the provider puts out."""
    created = shouting.create({"text": "a"}, resume=False)
    assert created == ("id-1", {"text": "a", "shout": "A"})
    assert shouting.update("id-1", {}, {"text": "b"}) == {"shout": "B"}


def test_read_tells_what_is_gone(shouting: Dynamic) -> None:
    """No id means that it is not there any more."""
    assert shouting.read("id-1", {"x": 1}) == {"x": 1}
    assert shouting.read("id-1", {"gone": True}) is None


def test_delete_is_the_providers(shouting: Dynamic) -> None:
    """With the id and the outputs of the state."""
    with pytest.raises(RuntimeError, match=r"deleted id-1 {'x': 1}"):
        shouting.delete("id-1", {"x": 1})


def test_only_inputs_are_foreseen(shouting: Dynamic) -> None:
    """A dynamic provider has no preview: what it computes is unknown before an update."""
    found = shouting.foresee({"shout": "A"}, {"text": "b", "zone": None}, Diff(("text",)))
    assert found == {"text": "b"}


def test_absent_equals_none() -> None:
    """An input that is not given is the same as one given as None."""
    assert changed_keys({"a": None, "b": 1}, {"b": 1, "c": None}) == ()


def test_changed_keys_in_order() -> None:
    """By name, without those to ignore."""
    found = changed_keys({"c": 1, "a": 1, "b": 1}, {"c": 2, "b": 2}, ignore=["b"])
    assert found == ("a", "c")
