"""A results.json in which all is well."""

from typing import Any

BEYOND = {"naive": 6000.0, "tensorflow": 5000.0, "stock": 300.0, "ours": 9.0, "bare": 0.0}
PER_SECOND = {"ours": 9000.0, "mlserver": 1400.0, "litserve": 1100.0, "bentoml": 1000.0}


def document() -> dict[str, Any]:
    """A fresh one each time."""
    return {
        "schema": 1,
        "date": "2026-11-22",
        "machine": {"cores": 2, "processor": "A Processor"},
        "handlers": {
            "images": {
                "base_mb": 100.0,
                "ours_with_pillow_mb": 121.0,
                **{f"{kind}_digits_mb": 108.5 for kind in BEYOND},
                **{f"{kind}_mobilenet_mb": 122.0 for kind in BEYOND},
            },
            "starts": {model: _starts() for model in ("digits", "mobilenet")},
            "loops": {
                "digits": {"handler_p50_ms": 0.11, "times_bare_call": 3.0},
                "mobilenet": {"handler_p50_ms": 9.0, "times_bare_call": 1.08},
            },
        },
        "servers": {
            model: {"servers": {key: _server(key) for key in PER_SECOND}}
            for model in ("digits", "mobilenet")
        },
    }


def _starts() -> dict[str, Any]:
    return {
        kind: {
            "start_ms": 110.0 + beyond,
            "beyond_bare_ms": beyond,
            "warm_p50_ms": 0.52,
            "warm_p99_ms": 0.91,
            "peak_rss_mb": 31.0,
            "usd_per_million": 0.27,
        }
        for kind, beyond in BEYOND.items()
    }


def _server(key: str) -> dict[str, Any]:
    run = {
        "per_second": PER_SECOND[key],
        "p99_ms": 2.5,
        "cpu_ms_per_request": 0.14,
        "pss_mb": 60.0,
        "ready_s": 0.4,
        "share_of_cores": 0.93,
        "wrong": 0,
        "failed": 0,
    }
    titles = {"ours": "thimble", "mlserver": "MLServer"}
    version = "" if key == "ours" else "1.0"
    return {
        "title": titles.get(key, key),
        "version": version,
        "median": dict(run),
        "each": [dict(run), dict(run)],
    }
