"""What all types share: names, comparing, foreseeing; no emulator is asked."""

from __future__ import annotations

import re
from typing import ClassVar

import pytest

from local.aws import ecr, endpoint, functions, functions_of, gateway, iam, providers, watch
from local.aws.resource import Aws, Resource, pascal, some, tags
from local.emulator import Emulator
from local.provider import Diff
from local.values import UNKNOWN

MACHINE = Emulator(1, 2, "")


class Named(Resource):
    """A type with a physical name."""

    token = "aws:test:Named"
    service = "iam"
    physical = "name"
    fixed: ClassVar[frozenset[str]] = frozenset({"name", "zone"})
    volatile: ClassVar[frozenset[str]] = frozenset({"version"})


class Nameless(Resource):
    """A type that AWS names."""

    token = "aws:test:Nameless"
    service = "iam"
    fixed: ClassVar[frozenset[str]] = frozenset({"parent"})


NAMED, NAMELESS = Named(Aws(MACHINE)), Nameless(Aws(MACHINE))


def test_name_is_made_up_once() -> None:
    """The logical name and a random tail, kept by every later run."""
    first = NAMED.check("role", {}, {"x": 1})
    assert first["name"].startswith("role-")
    assert NAMED.check("role", first, {"x": 2})["name"] == first["name"]
    assert NAMED.check("role", {}, {"x": 1})["name"] != first["name"]


def test_given_name_is_kept() -> None:
    """Whatever it was before."""
    news = NAMED.check("role", {"name": "old"}, {"name": "mine"})
    assert news == {"name": "mine"}


def test_what_aws_names_gets_no_name() -> None:
    """An input that the program does not give stays away."""
    assert NAMELESS.check("route", {}, {"x": 1}) == {"x": 1}


@pytest.mark.parametrize(
    ("kind", "changes", "expected"),
    [
        (NAMED, {}, Diff((), (), delete_first=True)),
        (NAMED, {"x": 2}, Diff(("x",), (), delete_first=True)),
        (NAMED, {"zone": "b"}, Diff(("zone",), ("zone",), delete_first=True)),
        (NAMED, {"name": "b"}, Diff(("name",), ("name",), delete_first=False)),
        (NAMELESS, {"parent": "b"}, Diff(("parent",), ("parent",), delete_first=False)),
    ],
    ids=["same", "in place", "same name", "other name", "no name"],
)
def test_diff(kind: Resource, changes: dict[str, object], expected: Diff) -> None:
    """A fixed input replaces; under the same name, the old one goes first."""
    olds = {"name": "a", "zone": "a", "parent": "a", "x": 1}
    assert kind.diff("id", olds, {}, {**olds, **changes}) == expected


def test_volatile_is_left_out_of_what_is_foreseen() -> None:
    """So are inputs that hang on something unknown; the rest is certain."""
    outputs = {"arn": "a", "version": "1", "x": 1, "y": 1}
    found = NAMED.foresee(outputs, {"x": 2, "y": [UNKNOWN]}, Diff(("x", "y")))
    assert found == {"arn": "a", "x": 2}


def test_pascal_at_every_depth() -> None:
    """Names as AWS spells them, without what is None."""
    found = pascal({"aB": [{"cD": 1, "none": None}], "Already": "textStays"})
    assert found == {"AB": [{"CD": 1}], "Already": "textStays"}


def test_some_leaves_out_none_only() -> None:
    """False, 0 and empty are values."""
    assert some(a=None, b=False, c=0, d=[]) == {"b": False, "c": 0, "d": []}


def test_tags_as_a_list() -> None:
    """With the names that the API has for them."""
    assert tags({"tags": {"a": "b"}}) == [{"Key": "a", "Value": "b"}]
    assert tags({"tags": {"a": "b"}}, "k", "v") == [{"k": "a", "v": "b"}]
    assert tags({}) == []


def test_every_token_is_one_of_pulumi() -> None:
    """Package, module and type, as its aws provider writes them."""
    assert [] == [one for one in providers(MACHINE) if not re.fullmatch(r"aws:\w+/\w+:\w+", one)]


def test_no_two_types_have_one_token() -> None:
    """One of them would hide the other."""
    kinds = [
        *ecr.TYPES,
        *endpoint.TYPES,
        *functions.TYPES,
        *gateway.TYPES,
        *iam.TYPES,
        *watch.TYPES,
    ]
    assert set(kinds) == {type(kind) for kind in providers(MACHINE).values()}


def test_who_and_where() -> None:
    """The account and the region of the emulator, without asking it."""
    known = functions_of(MACHINE)
    identity = known["aws:index/getCallerIdentity:getCallerIdentity"]({})
    region = known["aws:index/getRegion:getRegion"]({})
    assert (identity["accountId"], region["name"]) == ("000000000000", "us-east-1")
