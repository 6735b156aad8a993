"""Asking a model for all rows, and for its time."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convert import answers
from convert.errors import DataError, ModelError
from convert.signature import Signature, TensorSpec

HERE = Path("e.npz")


def test_rows_are_asked_in_chunks_and_come_back_in_order() -> None:
    """More rows than a chunk come back in order; a fixed batch is kept."""
    asked: list[int] = []

    def model(inputs: dict[str, Any]) -> dict[str, Any]:
        asked.append(len(inputs["x"]))
        return {"y": inputs["x"] * 2}

    rows = {"x": np.arange(70.0)[:, None]}
    for batch, sizes in ((-1, [32, 32, 6]), (35, [35, 35])):
        spec = TensorSpec(name="x", dtype="float64", shape=(batch, 1))
        spec_out = TensorSpec(name="y", dtype="float64", shape=(batch, 1))
        signature = Signature(name="s", inputs=(spec,), outputs=(spec_out,))
        asked.clear()
        given = answers.answers(model, rows, signature, HERE)["y"]
        assert (np.arange(70.0)[:, None] * 2).tolist() == given.tolist()
        assert sizes == asked


def test_rows_that_a_fixed_batch_does_not_divide() -> None:
    """70 rows for a model that takes 32 at a time are refused, not cut."""
    spec = TensorSpec(name="x", dtype="float64", shape=(32, 1))
    signature = Signature(name="s", inputs=(spec,), outputs=(spec,))
    with pytest.raises(DataError, match="multiple of 32"):
        answers.answers(lambda it: it, {"x": np.zeros((70, 1))}, signature, HERE)


def test_answers_whose_size_is_that_of_the_batch() -> None:
    """They cannot be put together, row below row: said with both shapes."""
    spec = TensorSpec(name="x", dtype="float64", shape=(-1, 1))
    signature = Signature(name="s", inputs=(spec,), outputs=(spec,))

    with pytest.raises(ModelError, match=r"'x' has shape \(32, 32\) .* \(6, 6\) for others"):
        answers.answers(
            lambda it: {"x": np.tile(it["x"], (1, len(it["x"])))},
            {"x": np.zeros((70, 1))},
            signature,
            HERE,
        )


def test_slow_models_are_timed_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call of a quarter of a second is timed seven times after the warm-up, not fifty."""
    ticks = iter(range(1000))
    monkeypatch.setattr("time.perf_counter", lambda: next(ticks) / 4)
    calls: list[Any] = []

    def model(inputs: Any) -> Any:
        calls.append(inputs)
        return inputs

    assert 250 == answers.latency_ms(model, {})
    assert 3 + 7 == len(calls)


def test_no_call_has_no_latency() -> None:
    """Where no call can be made up there is nothing to time."""
    assert answers.latency_ms(lambda it: it, None) is None
