"""The state file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from local.state import ResourceState, State

if TYPE_CHECKING:
    from pathlib import Path


def resource(name: str, id_: str = "id", **more: object) -> ResourceState:
    """A resource as the engine records it."""
    return ResourceState(urn=name, type="t", custom=True, id=id_, inputs={"x": 1, **more})


def test_no_file_is_an_empty_state(state_file: Path) -> None:
    """A stack that was never deployed has no resources, and reading makes no file."""
    state = State(state_file)
    assert ({}, [], {}) == (state.resources, state.doomed, state.outputs)
    assert not state_file.exists()


def test_every_record_is_in_the_file_at_once(state_file: Path) -> None:
    """What was put is there for the next process, whatever happens to this one."""
    State(state_file).put(resource("a"))
    assert State(state_file).resources == {"a": resource("a")}


def test_everything_comes_back(state_file: Path) -> None:
    """Resources, doomed ones, outputs and the emulator's run survive a reading."""
    state = State(state_file)
    state.boot, state.outputs, state.doomed = "1.2", {"url": "u"}, [resource("old")]
    state.put(resource("a"))
    again = State(state_file)
    assert ("1.2", {"url": "u"}, [resource("old")]) == (again.boot, again.outputs, again.doomed)
    assert json.loads(state_file.read_text())["version"] == 1


def test_order_is_that_of_making(state_file: Path) -> None:
    """An update keeps the place; a replacement is made anew and goes to the end."""
    state = State(state_file)
    for name in ("a", "b", "c"):
        state.put(resource(name))
    state.put(resource("a", more=2))
    state.put(resource("b", "another id"))
    assert list(State(state_file).resources) == ["a", "c", "b"]


def test_drop_forgets(state_file: Path) -> None:
    """A dropped resource is gone from the file; dropping it again is harmless."""
    state = State(state_file)
    state.put(resource("a"))
    state.drop("a")
    state.drop("a")
    assert State(state_file).resources == {}


def test_a_failed_writing_leaves_the_old_file(state_file: Path) -> None:
    """The file is replaced whole or not at all."""
    state = State(state_file)
    state.put(resource("a"))
    before = state_file.read_text()
    with pytest.raises(TypeError):
        state.put(resource("b", unwritable=object()))
    assert before == state_file.read_text()
    assert [state_file] == list(state_file.parent.iterdir())
