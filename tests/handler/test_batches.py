"""Many rows through a model at once: in groups, which no answer shows."""

import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from handler.batches import Portion
from handler.litert import Model
from handler.service import Service
from tests.handler.tiny import Port, Step, write_model, write_table

Post = Callable[[Service, object], tuple[int, dict[str, Any]]]
Open = Callable[[Path], Service]


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each run of any model has had."""
    rows: list[int] = []
    run = Model.run

    def counted(model: Model, signature: str, tensors: Any) -> Any:
        rows.append(next(iter(tensors.values())).shape[0])
        return run(model, signature, tensors)

    monkeypatch.setattr(Model, "run", counted)
    return rows


def _independent(folder: Path) -> Path:
    document = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    document["signature"]["independent_rows"] = True
    (folder / "model.json").write_text(json.dumps(document), encoding="utf-8")
    return folder


def test_independent_rows_are_run_in_groups(
    tmp_path: Path, open_model: Open, post: Post, runs: list[int]
) -> None:
    """The first are few, since nobody knows what they take; the answer is that of all at once."""
    service = open_model(_independent(write_table(tmp_path)))

    status, answer = post(service, {"inputs": [0, 1, 2, 3] * 500})

    assert (200, [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0], [6.0, 7.0]] * 500) == (
        status,
        answer["outputs"],
    )
    assert 2 == runs[0]
    assert 2000 == sum(runs)


def test_rows_that_may_see_each_other_are_run_at_once(
    tmp_path: Path, open_model: Open, post: Post, runs: list[int]
) -> None:
    """Where convert has not seen that rows are independent, none is taken from the others."""
    axis = Port("axis", "int32", (1,), values=struct.pack("<i", 0))
    folder = write_model(
        tmp_path,
        inputs=(Port("x", "float32", (-1, 1)),),
        outputs=(Port("y", "float32", (-1, 1)),),
        steps=(Step("REVERSE_V2", ("x", "axis"), "y"),),
        constants=(axis,),
    )

    status, answer = post(open_model(folder), {"inputs": [[n] for n in range(100)]})

    assert (200, [[float(n)] for n in reversed(range(100))]) == (status, answer["outputs"])
    assert [100] == runs


def test_inputs_of_different_rows_are_left_to_the_model(
    tiny: Path, tmp_path: Path, open_model: Open, post: Post
) -> None:
    """What does not fit together is refused as ever, not cut to what does."""
    folder = tmp_path / "three"
    folder.mkdir()
    for name in ("model.tflite", "model.json"):
        (folder / name).write_bytes((tiny / name).read_bytes())
    service = open_model(_independent(folder))

    status, answer = post(service, {"inputs": {"a": [[1]] * 9, "b": [[1]] * 8, "ids": [1] * 9}})

    assert 400 == status
    assert "cannot run on these shapes: 'a' [9, 1], 'b' [8, 1]" in answer["error"]


def test_a_bad_row_far_behind_refuses_them_all(
    tmp_path: Path, open_model: Open, post: Post, runs: list[int]
) -> None:
    """There is no half an answer."""
    service = open_model(_independent(write_table(tmp_path)))

    status, answer = post(service, {"inputs": [0] * 500 + [4]})

    assert 400 == status
    assert "from 0 to 4" in answer["error"]
    assert len(runs) > 1


_PEAK = """
import os, sys
from handler.service import Request, open_service

def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))

service = open_service(os.environ)
body = bytes(20_000 * 256)
headers = {"content-type": "application/octet-stream", "accept": "application/octet-stream"}
before = peak()
answer = service.answer(Request("POST", "/v1/models/digits:predict", headers, body))
assert answer.status == 200, answer.body
assert len(answer.body) == 20_000 * 40
print((peak() - before) // 1024)
"""


def test_the_largest_request_takes_little_memory(digits: Path, library: str) -> None:
    """20,000 pictures of digits, 5 MB: 0.4 GB between the layers, if all went through at once."""
    done = subprocess.run(
        [sys.executable, "-c", _PEAK],
        env={**os.environ, "MODEL_DIR": str(digits), "LITERT_LIBRARY": library, "TELEMETRY": "off"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert 0 == done.returncode, done.stderr
    assert int(done.stdout) < 100


@pytest.mark.parametrize(
    ("alone", "rows"),
    [(0.0001, 200), (0.004, 5), (0.02, 2), (1.0, 2), (float("inf"), 2)],
)
def test_a_group_takes_20_ms_or_has_two_rows(alone: float, rows: int) -> None:
    """What a row takes alone says how many go first."""
    assert rows == Portion(alone).rows


@pytest.mark.parametrize(
    ("seconds", "rows"),
    [
        (0.002, 20),  # 1 ms a row: 20 fit into the time
        (0.03, 2),  # as slow as alone
        (0.024, 2),  # 20 % less: not worth the memory
        (0.02, 4),  # a third less than alone: how about twice as many?
    ],
)
def test_a_group_grows_with_what_the_last_took(seconds: float, rows: int) -> None:
    """More rows go at once where there is time, or where more make each cheaper."""
    portion = Portion(0.015)

    portion.note(2, seconds)

    assert rows == portion.rows


def test_rows_get_cheaper_only_so_long() -> None:
    """Where weights are what takes time, a group doubles until the rows do."""
    portion = Portion(0.04)
    sizes = []
    for _ in range(10):
        sizes.append(portion.rows)
        portion.note(portion.rows, 0.04 + 0.001 * portion.rows)

    assert [2, 4, 8, 16, 32, 64, 128, 128, 128, 128] == sizes


def test_the_rest_of_a_request_says_nothing() -> None:
    """The last group has fewer rows, each of which takes longer."""
    portion = Portion(0.01)
    portion.note(1, 0.0001)

    assert 2 == portion.rows
