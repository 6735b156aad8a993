"""The table of architectures."""

from typing import Any

from bench.architectures import row

REPORT: dict[str, Any] = {
    "metric": "accuracy",
    "original": {"bytes": 2_500_000, "metric": 0.98, "latency_ms": 1.234},
    "candidates": [
        {
            "recipe": "float16",
            "bytes": 999_600,
            "gzip_bytes": 800_000,
            "metric": 0.975,
            "agreement": 0.99,
            "latency_ms": 0.0456,
        }
    ],
    "chosen": "float16",
}


def test_a_row_says_what_was_and_what_is() -> None:
    """Sizes, metric and latency stand as before and after."""
    expected = (
        "| cats | `float16` | 2.5 MB → 1000 kB | 2.0 MB → 800 kB | accuracy 0.98 → 0.975 "
        "| 99.00% | 1.23 → 0.0456 ms |"
    )
    assert expected == row("cats", REPORT, 2_000_000)


def test_without_evaluation_data_nothing_is_called_accuracy() -> None:
    """Random weights have no metric, and the cells stay empty."""
    unjudged = {**REPORT, "metric": None, "original": {**REPORT["original"], "metric": None}}
    assert "| 2.0 MB → 800 kB |  |  |" in row("cats", unjudged, 2_000_000)
