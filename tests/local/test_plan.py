"""Plans as people and as programs read them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from local.plan import Op, Plan, Step, show

if TYPE_CHECKING:
    import pytest

URN = "urn:pulumi:local::demo::app:index:Part$aws:sns/topic:Topic::alarms"


def plan(*ops: Op) -> Plan:
    """A plan with these steps."""
    return Plan([Step(op=op, urn=URN) for op in ops])


def test_summary_counts_by_operation() -> None:
    """Changes first, in a fixed order, then what stays."""
    found = plan(Op.DELETE, Op.CREATE, Op.SAME, Op.UPDATE, Op.CREATE, Op.REPLACE).summary()
    assert found == "2 to create, 1 to update, 1 to replace, 1 to delete, 1 unchanged"


def test_summary_of_nothing_to_do() -> None:
    """A plan without changes says so."""
    assert plan(Op.SAME, Op.SAME).summary() == "no changes (2 unchanged)"


def test_changes_leave_out_what_stays() -> None:
    """Only steps that do something are changes."""
    assert [Op.CREATE] == [s.op for s in plan(Op.SAME, Op.CREATE).changes]


def test_type_and_name_come_from_the_urn() -> None:
    """A child's URN holds its parents' types; its own is the last."""
    step = Step(op=Op.SAME, urn=URN)
    assert ("aws:sns/topic:Topic", "alarms") == (step.type, step.name)


def test_document_has_the_shape_of_pulumis_json() -> None:
    """`pulumi preview --json`: steps with states and reasons, and a summary by operation."""
    step = Step(op=Op.UPDATE, urn=URN, reasons=("x",), old={"x": 1}, new={"x": 2})
    found = json.loads(json.dumps(Plan([step, Step(op=Op.SAME, urn=URN)]).document()))
    assert found["changeSummary"] == {"update": 1, "same": 1}
    assert found["steps"][0] == {
        "op": "update",
        "urn": URN,
        "diffReasons": ["x"],
        "oldState": {"urn": URN, "type": "aws:sns/topic:Topic", "inputs": {"x": 1}},
        "newState": {"urn": URN, "type": "aws:sns/topic:Topic", "inputs": {"x": 2}},
    }


def test_a_new_resource_has_no_old_state() -> None:
    """null, not an empty object."""
    (step,) = Plan([Step(op=Op.CREATE, urn=URN, new={})]).document()["steps"]
    assert step["oldState"] is None


def test_show_says_what_changed_and_how_long_it_took(capsys: pytest.CaptureFixture[str]) -> None:
    """One line: mark, type, name, what was done, why."""
    show(Step(op=Op.UPDATE, urn=URN, reasons=("policy",)), 1.25)
    expected = "  ~  aws:sns/topic:Topic  alarms  updated (1.2 s)  [policy]\n"
    assert expected == capsys.readouterr().out


def test_show_keeps_quiet_about_what_stays(capsys: pytest.CaptureFixture[str]) -> None:
    """Two hundred unchanged resources are no news."""
    show(Step(op=Op.SAME, urn=URN))
    assert capsys.readouterr().out == ""


def test_outline_puts_parts_below_their_component() -> None:
    """However they were mixed; what is unchanged is not shown and counts for no depth."""
    types = [
        "a:i:Outer",
        "b:i:Other",
        "a:i:Outer$c:i:Part",
        "b:i:Other$d:i:Thing",
        "a:i:Outer$x:i:X",
    ]
    ops = [Op.CREATE, Op.SAME, Op.CREATE, Op.UPDATE, Op.DELETE]
    mixed = [*zip(ops, types, strict=True), (Op.CREATE, "a:i:Outer$c:i:Part$d:i:Deep")]
    steps = [Step(op=op, urn=f"urn:pulumi:s::p::{type_}::it") for op, type_ in mixed]
    found = [(depth, step.type) for depth, step in Plan(steps).outline()]
    assert found == [
        (0, "a:i:Outer"),
        (1, "c:i:Part"),
        (2, "d:i:Deep"),
        (1, "x:i:X"),
        (0, "d:i:Thing"),
    ]


def test_show_indents_a_part(capsys: pytest.CaptureFixture[str]) -> None:
    """Two columns a level, marks in one column."""
    show(Step(op=Op.CREATE, urn=URN), depth=1)
    assert capsys.readouterr().out == "  +    aws:sns/topic:Topic  alarms  create\n"
