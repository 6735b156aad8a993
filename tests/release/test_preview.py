"""Reading the engine's preview without keeping what may not be published."""

import json
from pathlib import Path

import pytest

from release import preview
from release.errors import InputError
from release.preview import ERROR_LIMIT, Preview, Step

URN = "urn:pulumi:dev::thimble::aws:lambda/function:Function::digits"
DOCUMENT = {
    "config": {"thimble:api": "swordfish"},
    "steps": [
        {
            "op": "update",
            "urn": URN,
            "provider": "swordfish",
            "oldState": {"outputs": {"environment": "swordfish"}},
            "newState": {"inputs": {"environment": "swordfish"}},
            "diffReasons": ["memorySize"],
            "detailedDiff": {"memorySize": {"kind": "update"}},
        }
    ],
    "changeSummary": {"update": 1},
}


def test_a_saved_preview_holds_no_property_values(tmp_path: Path) -> None:
    """Only operation, name and reasons reach the file that leaves the machine."""
    seen = preview.from_output("dev", code=0, stdout=json.dumps(DOCUMENT), stderr="")

    saved = preview.save(seen, tmp_path)

    assert "swordfish" not in saved.read_text()
    assert Preview(stack="dev", steps=(Step(op="update", urn=URN, reasons=("memorySize",)),)) == (
        preview.load(saved)
    )


def test_a_document_straight_from_pulumi_is_read_as_well(tmp_path: Path) -> None:
    """`comment` takes the engine's own file; the stack is the file's name."""
    path = tmp_path / "dev.json"
    path.write_text(json.dumps(DOCUMENT))

    assert preview.from_document("dev", DOCUMENT) == preview.load(path)


def test_a_failed_preview_keeps_its_diagnostics_masked() -> None:
    """The engine's error messages are the preview's text, without what looks secret."""
    document = {
        "steps": [],
        "diagnostics": [
            {"severity": "warning", "message": "old"},
            {"severity": "error", "message": "model missing\npassword=hunter22"},
        ],
    }

    seen = preview.from_output("dev", code=1, stdout=json.dumps(document), stderr="")

    assert "model missing\npassword=[hidden]" == seen.error
    assert ("old",) == seen.warnings


def test_warnings_are_kept_masked(tmp_path: Path) -> None:
    """What the program warned of, each once, survives being saved; notes do not."""
    told = ("warning", "info", "warning", "warning")
    texts = ("a tag", "1 resource", "a tag", "password=hunter22 " + "x" * 1000)
    diagnostics = [{"severity": s, "message": t} for s, t in zip(told, texts, strict=True)]
    document = json.dumps({**DOCUMENT, "diagnostics": diagnostics})

    seen = preview.from_output("dev", code=0, stdout=document, stderr="")

    assert seen == preview.load(preview.save(seen, tmp_path))
    first, second = seen.warnings
    assert ("a tag", True, 500) == (
        first,
        second.startswith("password=[hidden] x"),
        len(second),
    )


def test_a_failed_preview_names_the_violated_policy() -> None:
    """What a person was told wins over the document, without its list of resources."""
    told = (
        "Previewing\n + one create\nPolicies:\n  - [mandatory] image-by-digest: a tag\n"
        "\nDiagnostics:\n  error: preview failed\n  KeyboardInterrupt\n"
    )

    seen = preview.from_output("dev", code=1, stdout='{"steps": []}', stderr=told)

    assert "Policies:\n  - [mandatory] image-by-digest: a tag" == seen.error


def test_a_failed_program_keeps_its_diagnostics() -> None:
    """Where no policy is violated the diagnostics are the cause, and resources are cut off."""
    told = " + one create\nPolicies:\n  all fine\nDiagnostics:\n  error: no such model\n"

    seen = preview.from_output("dev", code=1, stdout='{"steps": []}', stderr=told)

    assert "Diagnostics:\n  error: no such model" == seen.error


def test_a_failure_without_a_document_keeps_what_was_said() -> None:
    """When the engine printed no JSON, its words are the text."""
    seen = preview.from_output("dev", code=6, stdout="", stderr="error: no stack named 'dev' found")

    assert "error: no stack named 'dev' found" == seen.error


def test_a_failure_that_says_nothing_still_fails() -> None:
    """A silent exit is an error with its code, never an empty success."""
    assert (
        preview.from_output("dev", code=3, stdout="", stderr="").error
    ) == "the preview exited with 3 and said nothing"


def test_success_without_a_document_is_a_failure() -> None:
    """Exit 0 with something other than JSON is not taken for `no changes`."""
    assert "hello" == preview.from_output("dev", code=0, stdout="hello", stderr="").error


def test_a_long_failure_keeps_its_end() -> None:
    """The cause stands at the end, so the beginning is what goes."""
    text = preview.bounded("start " + "word " * 3_000 + "the cause")

    assert ERROR_LIMIT + 2 >= len(text)
    assert text.endswith("the cause")


def test_destructive_steps_come_first_and_quiet_ones_not_at_all() -> None:
    """Deletions lead; what stays the same is not a change."""
    steps = [
        Step(op=op, urn=op) for op in ("create", "same", "update", "delete", "replace", "read")
    ]

    changes = Preview(stack="dev", steps=tuple(steps)).changes()

    assert ["delete", "replace", "update", "create"] == [step.op for step in changes]


def test_a_file_that_is_no_preview_is_refused(tmp_path: Path) -> None:
    """The message names the file and the command that writes it."""
    path = tmp_path / "dev.json"
    path.write_text("{")

    with pytest.raises(InputError, match="python -m release preview --stack dev"):
        preview.load(path)
