"""The engine over a cloud kept in memory."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from local.errors import DeploymentError
from local.plan import Op
from local.state import State
from local.values import MASK, UNKNOWN, Secret, contains
from tests.local.conftest import KIND, OPTIONS, Cloud, Runs, urn

if TYPE_CHECKING:
    from local.engine import Deployment

SECRET = "a registry token"


def ops(run: Deployment) -> list[tuple[Op, str]]:
    """What a run did, in order."""
    return [(step.op, step.name) for step in run.plan.steps]


def test_new_is_created(runs: Runs, cloud: Cloud) -> None:
    """A thing that the state does not have is made, and the program sees what was computed."""
    run = runs.begin()
    result = run.register(urn("a"), KIND, {"text": "four"}, OPTIONS)
    assert (result.id, result.outputs["size"]) == ("a-1", 4)
    assert ops(run) == [(Op.CREATE, "a")]
    assert cloud.log == [("create", "a-1")]


def test_same_is_left_alone(runs: Runs, cloud: Cloud) -> None:
    """The same inputs again change nothing, keep the name, and the program sees the outputs."""
    runs.up(a={"text": "four"})
    run = runs.begin()
    result = run.register(urn("a"), KIND, {"text": "four"}, OPTIONS)
    assert (result.id, result.outputs["size"]) == ("a-1", 4)
    assert run.plan.changes == []
    assert len(cloud.log) == 1


def test_changed_is_updated_in_place(runs: Runs, cloud: Cloud) -> None:
    """The thing keeps its id; the step names what changed."""
    runs.up(a={"text": "four"})
    run = runs.up(a={"text": "seven"})
    assert ops(run) == [(Op.UPDATE, "a")]
    assert run.plan.steps[0].reasons == ("text",)
    assert (cloud.log[-1], cloud.things["a-1"]["size"]) == (("update", "a-1"), 5)


def test_replacement_deletes_first_where_the_name_is_the_same(runs: Runs, cloud: Cloud) -> None:
    """Two of one name cannot be at once."""
    runs.up(a={"name": "given", "zone": "x"})
    run = runs.up(a={"name": "given", "zone": "y"})
    assert ops(run) == [(Op.REPLACE, "a")]
    assert cloud.log[1:] == [("delete", "given"), ("create", "given")]
    assert State(runs.path).doomed == []


def test_replacement_makes_up_another_name(runs: Runs) -> None:
    """What takes the name must be seen to change, in preview as in up."""
    runs.up(a={"zone": "x"})
    planned = runs.up(preview=True, a={"zone": "y"}).plan.steps[0].new
    done = runs.up(a={"zone": "y"}).plan.steps[0].new
    assert planned is not None
    assert done is not None
    assert "a-1" not in {planned["name"], done["name"]}


def test_replacement_creates_first_where_it_can(runs: Runs, cloud: Cloud) -> None:
    """The old one serves until the new one is there and everybody has moved, then goes."""
    cloud.delete_first = False
    runs.up(a={"name": "old"}, b={"text": "old"})
    run = runs.up(a={"name": "new"}, b={"text": "new"})
    assert ops(run) == [(Op.REPLACE, "a"), (Op.UPDATE, "b")]
    expected = [("create", "new"), ("update", "b-2"), ("delete", "old")]
    assert cloud.log[2:] == expected
    assert State(runs.path).doomed == []


def test_replaced_ones_go_last_made_first(runs: Runs, cloud: Cloud) -> None:
    """What hangs on another is deleted before it."""
    cloud.delete_first = False
    runs.up(a={"name": "a1"}, b={"name": "b1"})
    runs.up(a={"name": "a2"}, b={"name": "b2"})
    assert cloud.log[-2:] == [("delete", "b1"), ("delete", "a1")]


def test_unregistered_is_deleted_last_made_first(runs: Runs, cloud: Cloud) -> None:
    """What the program no longer has goes, in the reverse of the order in which it came."""
    runs.up(a={}, b={}, c={}, d={})
    run = runs.up(b={})
    assert ops(run) == [(Op.SAME, "b"), (Op.DELETE, "d"), (Op.DELETE, "c"), (Op.DELETE, "a")]
    assert (list(cloud.things), list(State(runs.path).resources)) == (["b-2"], [urn("b")])


def test_ignored_changes_are_no_changes(runs: Runs) -> None:
    """An input that is to be ignored keeps its deployed value, also when something else changes."""
    runs.up(a={"text": "one", "other": 1})
    run = runs.begin()
    options = {**OPTIONS, "ignore_changes": ["text"]}
    run.register(urn("a"), KIND, {"text": "two", "other": 1}, options)
    assert run.plan.changes == []
    result = run.register(urn("a"), KIND, {"text": "two", "other": 2}, options)
    assert (result.outputs["text"], result.outputs["other"]) == ("one", 2)


def test_ignored_changes_do_not_matter_to_a_new_one(runs: Runs) -> None:
    """There is nothing to keep yet."""
    options = {**OPTIONS, "ignore_changes": ["text"]}
    result = runs.begin().register(urn("a"), KIND, {"text": "two"}, options)
    assert result.outputs["text"] == "two"


def test_an_ignored_secret_is_not_sent_as_its_mark(runs: Runs, cloud: Cloud) -> None:
    """The state has only the mark; the program's value is the better one to send."""
    runs.up(a={"token": Secret("one"), "text": "x"})
    options = {**OPTIONS, "ignore_changes": ["token"]}
    runs.begin().register(urn("a"), KIND, {"token": Secret("two"), "text": "y"}, options)
    assert cloud.seen[-1]["token"] == "two"


def test_an_input_taken_away_is_no_output(runs: Runs) -> None:
    """Its old value is not what is there any more; what was computed stays."""
    runs.up(a={"text": "four", "other": 1})
    run = runs.begin()
    result = run.register(urn("a"), KIND, {"text": "four"}, OPTIONS)
    assert [step.reasons for step in run.plan.steps] == [("other",)]
    assert ("other" in result.outputs, result.outputs["size"]) == (False, 4)
    assert "other" not in State(runs.path).resources[urn("a")].outputs


def protected(runs: Runs, cloud: Cloud) -> None:
    """Deploy one protected thing, and forget what that did."""
    runs.begin().register(urn("a"), KIND, {"zone": "x"}, {**OPTIONS, "protect": True})
    cloud.log.clear()


def test_protected_is_not_deleted(runs: Runs, cloud: Cloud) -> None:
    """A program that lost it is refused, with the way out."""
    protected(runs, cloud)
    with pytest.raises(DeploymentError, match=r"protected.*put it back, or remove `protect`"):
        runs.up()
    assert cloud.log == []


def test_protected_is_not_replaced(runs: Runs, cloud: Cloud) -> None:
    """A change that needs a replacement is refused, naming the input."""
    protected(runs, cloud)
    with pytest.raises(DeploymentError, match=r"^zone can only change by replacing it.*protected"):
        runs.begin().register(urn("a"), KIND, {"zone": "y"}, {**OPTIONS, "protect": True})
    assert cloud.log == []


def test_protection_can_be_taken_away(runs: Runs, cloud: Cloud) -> None:
    """A run without `protect` is no change, and after it the thing can go."""
    protected(runs, cloud)
    assert runs.up(a={"zone": "x"}).plan.changes == []
    runs.up()
    assert cloud.things == {}


def test_secrets_reach_the_provider_but_no_file(runs: Runs, cloud: Cloud) -> None:
    """The provider works with the value; the state and the plan hold a mark."""
    run = runs.begin()
    inputs = {"text": "x", "login": {"user": "u", "password": Secret(SECRET)}}
    result = run.register(urn("a"), KIND, inputs, OPTIONS)
    assert cloud.seen[0]["login"] == {"user": "u", "password": SECRET}
    assert result.outputs["login"] == Secret({"user": "u", "password": SECRET})
    assert SECRET not in runs.path.read_text()
    assert SECRET not in str(run.plan.document())
    assert State(runs.path).resources[urn("a")].inputs["login"] == MASK


def test_secret_outputs_are_masked_too(runs: Runs) -> None:
    """An output that the program calls secret is stored as a mark."""
    run = runs.begin()
    options = {**OPTIONS, "secret_outputs": ["size"]}
    result = run.register(urn("a"), KIND, {"text": "four"}, options)
    assert result.outputs["size"] == Secret(4)
    assert State(runs.path).resources[urn("a")].outputs["size"] == MASK


def test_a_fresh_secret_is_no_change(runs: Runs) -> None:
    """A registry's token differs every time; nothing is to be deployed for that."""
    runs.up(a={"token": Secret("one")})
    run = runs.begin()
    result = run.register(urn("a"), KIND, {"token": Secret("two")}, OPTIONS)
    assert run.plan.changes == []
    assert result.outputs["token"] == Secret("two")


def test_preview_touches_nothing(runs: Runs, cloud: Cloud) -> None:
    """Every kind of step is foreseen, and neither the cloud nor the state file has moved."""
    runs.up(a={"text": "a"}, b={"zone": "x"}, c={}, d={})
    cloud.log.clear()
    things, file = {k: dict(v) for k, v in cloud.things.items()}, runs.path.read_text()
    run = runs.up(preview=True, a={"text": "b"}, b={"zone": "y"}, c={}, e={})
    assert ops(run) == [
        (Op.UPDATE, "a"),
        (Op.REPLACE, "b"),
        (Op.SAME, "c"),
        (Op.CREATE, "e"),
        (Op.DELETE, "d"),
    ]
    assert (cloud.log, cloud.things, runs.path.read_text()) == ([], things, file)


def test_preview_deletes_no_replaced_one(runs: Runs, cloud: Cloud) -> None:
    """What an interrupted replacement left to be deleted waits for `up`."""
    cloud.delete_first = False
    runs.up(a={"name": "old"})
    runs.begin().register(urn("a"), KIND, {"name": "new"}, OPTIONS)
    cloud.log.clear()
    runs.up(preview=True, a={"name": "new"})
    assert cloud.log == []
    runs.up(a={"name": "new"})
    assert cloud.log == [("delete", "old")]


def test_preview_leaves_the_outputs_of_a_new_one_unknown(runs: Runs) -> None:
    """Its inputs are known, its id and what will be computed are not."""
    result = runs.begin(preview=True).register(urn("a"), KIND, {"text": "four"}, OPTIONS)
    assert (result.id, result.outputs["text"]) == ("", "four")
    assert "size" not in result.outputs


def test_preview_of_an_update_knows_what_is_certain(runs: Runs) -> None:
    """What an update may change is unknown; everything else is known, the id first."""
    runs.up(a={"text": "four"})
    result = runs.begin(preview=True).register(urn("a"), KIND, {"text": "seven"}, OPTIONS)
    assert (result.id, result.outputs) == ("a-1", {"text": "seven", "name": "a-1"})


def test_preview_gives_no_unknown_on(runs: Runs) -> None:
    """An input that hangs on something unknown is left out, so that the SDK calls it unknown."""
    runs.up(b={"text": "four"})
    run = runs.begin(preview=True)
    for name in ("a", "b"):
        result = run.register(urn(name), KIND, {"text": ["x", UNKNOWN]}, OPTIONS)
        assert "text" not in result.outputs
    assert ops(run) == [(Op.CREATE, "a"), (Op.UPDATE, "b")]


def test_a_failed_one_is_recorded_and_the_rest_kept(runs: Runs, cloud: Cloud) -> None:
    """One line says which failed and why; what was made before it is in the state."""
    cloud.failing = {"b"}
    run = runs.begin()
    run.register(urn("a"), KIND, {}, OPTIONS)
    with pytest.raises(DeploymentError):
        run.register(urn("b"), KIND, {}, OPTIONS)
    assert run.failures == [f"{KIND} b: no more room"]
    found = State(runs.path).resources
    assert [(r.id, r.creating) for r in found.values()] == [("a-1", False), ("", True)]


def test_the_next_run_resumes_with_the_same_name(runs: Runs, cloud: Cloud) -> None:
    """What a creation that was cut off may have made is found by its physical name."""
    cloud.failing = {"a"}
    with pytest.raises(DeploymentError):
        runs.up(a={})
    cloud.failing = set()
    # It had come into being after all.
    cloud.things["a-1"] = {}
    run = runs.up(a={})
    assert (cloud.resumed, list(cloud.things)) == (["a-1"], ["a-1"])
    assert ops(run) == [(Op.CREATE, "a")]
    assert not State(runs.path).resources[urn("a")].creating


def test_a_first_creation_resumes_nothing(runs: Runs, cloud: Cloud) -> None:
    """Nobody's thing of the same name is removed for a new one."""
    cloud.things["taken"] = {}
    with pytest.raises(DeploymentError, match="taken exists"):
        runs.up(a={"name": "taken"})
    assert (cloud.resumed, cloud.things) == ([], {"taken": {}})


def test_a_wrong_input_is_recorded_before_anything_is_made(runs: Runs, cloud: Cloud) -> None:
    """check() refuses in preview as in up."""
    for preview in (True, False):
        run = runs.begin(preview=preview)
        with pytest.raises(DeploymentError, match="a: text: impossible"):
            run.register(urn("a"), KIND, {"text": "impossible"}, OPTIONS)
    assert (cloud.log, State(runs.path).resources) == ([], {})


def test_stopping_refuses_new_steps(runs: Runs, cloud: Cloud) -> None:
    """What was done stays recorded, what had not begun is not begun, and nothing is deleted."""
    run = runs.begin()
    run.register(urn("a"), KIND, {}, OPTIONS)
    run.stopping.set()
    with pytest.raises(DeploymentError, match="stopped"):
        run.register(urn("b"), KIND, {}, OPTIONS)
    assert cloud.log == [("create", "a-1")]
    assert list(State(runs.path).resources) == [urn("a")]


def test_an_unknown_type_says_where_to_add_it(runs: Runs) -> None:
    """One line: which type, and what to do."""
    with pytest.raises(DeploymentError, match=r"no aws:x:Y; .*local/aws/"):
        runs.begin().register("urn:pulumi:local::demo::aws:x:Y::y", "aws:x:Y", {}, OPTIONS)


def test_components_come_and_go_without_a_provider(runs: Runs, cloud: Cloud) -> None:
    """A component is a name: new once, then the same, then gone."""
    component = "urn:pulumi:local::demo::app:index:Part::part"
    first, second, third = runs.begin(), runs.begin(), runs.begin()
    first.component(component, "app:index:Part")
    second.state.resources.update(State(runs.path).resources)
    second.component(component, "app:index:Part")
    third.state.resources.update(State(runs.path).resources)
    third.delete_unseen()
    assert [ops(first), ops(second), ops(third)] == [
        [(Op.CREATE, "part")],
        [(Op.SAME, "part")],
        [(Op.DELETE, "part")],
    ]
    assert (cloud.log, State(runs.path).resources) == ([], {})


def test_registrations_at_the_same_time_are_all_recorded(runs: Runs, cloud: Cloud) -> None:
    """The SDK registers from many threads."""
    run = runs.begin()
    threads = [
        threading.Thread(target=run.register, args=(urn(f"t{n}"), KIND, {}, OPTIONS))
        for n in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (20, 20, 20) == (len(cloud.things), len(State(runs.path).resources), len(ops(run)))


def test_secret_stays_out_of_failed_creations(runs: Runs, cloud: Cloud) -> None:
    """The record of a creation that failed holds no secret either."""
    cloud.failing = {"a"}
    with pytest.raises(DeploymentError):
        runs.up(a={"token": Secret(SECRET)})
    recorded = State(runs.path).resources[urn("a")]
    assert contains(recorded.inputs, MASK)
    assert SECRET not in runs.path.read_text()


def test_a_refresh_compares_no_secret(runs: Runs, cloud: Cloud) -> None:
    """The state has only its mark; recording what is there would write it in clear."""
    runs.up(a={"token": Secret(SECRET), "text": "x"})
    cloud.things["a-1"]["text"] = "by hand"
    run = runs.begin()
    run.refresh(run.state.resources[urn("a")])
    assert [step.reasons for step in run.plan.steps] == [("text",)]
    assert SECRET not in runs.path.read_text() + str(run.plan.document())
