"""What the figures must be, and whether they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

# A difference of two starts may come out as nothing at all, and nothing is a multiple of it.
SMALLEST_MS = 0.5
PEERS = ("mlserver", "litserve", "bentoml")


@dataclass(frozen=True, kw_only=True)
class Target:
    """One promise.

    Attributes:
        text: What is measured, as a sentence without its end.
        limit: The figure that must not be passed.
        least: Whether the limit is the least that is enough; else the most that is allowed.
        value: From results.json.
    """

    text: str
    limit: float
    least: bool = False
    value: Callable[[dict[str, Any]], float]

    def judge(self, document: dict[str, Any]) -> tuple[bool, str]:
        """Whether it is kept, and a line that says so."""
        found = self.value(document)
        kept = found >= self.limit if self.least else found <= self.limit
        bound = "at least" if self.least else "at most"
        verdict = "met   " if kept else "missed"
        return kept, f"{verdict}  {self.text}: {found:.4g}, {bound} {self.limit:g}"


def judge(document: dict[str, Any]) -> tuple[bool, list[str]]:
    """Whether all are kept, and a line for each."""
    judged = [target.judge(document) for target in TARGETS]
    return all(kept for kept, _ in judged), [line for _, line in judged]


def beyond_bare(document: dict[str, Any], model: str, kind: str) -> float:
    """Milliseconds that a start takes beyond the bare handler's."""
    return float(document["handlers"]["starts"][model][kind]["beyond_bare_ms"])


def sooner(document: dict[str, Any], model: str, kind: str) -> float:
    """How many times as long another start takes as ours, both beyond the bare handler's."""
    ours = max(beyond_bare(document, model, "ours"), SMALLEST_MS)
    return beyond_bare(document, model, kind) / ours


def best_peer(document: dict[str, Any], model: str) -> float:
    """The most requests a second that any peer answered, by its median."""
    servers = document["servers"][model]["servers"]
    return max(float(servers[peer]["median"]["per_second"]) for peer in PEERS)


def added_mb(document: dict[str, Any], image: str) -> float:
    """What an image adds to the base image."""
    images = document["handlers"]["images"]
    return float(images[f"{image}_mb"] - images["base_mb"])


def _start(model: str, kind: str, name: str) -> Callable[[dict[str, Any]], float]:
    return lambda document: float(document["handlers"]["starts"][model][kind][name])


def _loop(model: str, name: str) -> Callable[[dict[str, Any]], float]:
    return lambda document: float(document["handlers"]["loops"][model][name])


def _ours(document: dict[str, Any], model: str, name: str) -> list[float]:
    runs = document["servers"][model]["servers"]["ours"]["each"]
    return [float(run[name]) for run in runs]


def _wrong(document: dict[str, Any]) -> float:
    return sum(
        float(run["wrong"] + run["failed"])
        for measured in document["servers"].values()
        for server in measured["servers"].values()
        for run in server["each"]
    )


def _times_best_peer(document: dict[str, Any]) -> float:
    ours = document["servers"]["digits"]["servers"]["ours"]["median"]["per_second"]
    return float(ours) / best_peer(document, "digits")


TARGETS = (
    Target(
        text="digits, start to first prediction beyond a bare handler, ms",
        limit=15,
        value=_start("digits", "ours", "beyond_bare_ms"),
    ),
    Target(
        text="MobileNetV2, start to first prediction beyond a bare handler, ms",
        limit=50,
        value=_start("mobilenet", "ours", "beyond_bare_ms"),
    ),
    Target(
        text="digits, stock LiteRT's time beyond a bare handler over ours",
        limit=20,
        least=True,
        value=lambda document: sooner(document, "digits", "stock"),
    ),
    Target(
        text="digits, naive TensorFlow's time beyond a bare handler over ours",
        limit=400,
        least=True,
        value=lambda document: sooner(document, "digits", "naive"),
    ),
    Target(
        text="digits, added to the base image without Pillow, MB",
        limit=12,
        value=lambda document: added_mb(document, "ours_digits"),
    ),
    Target(
        text="digits, added to the base image with Pillow, MB",
        limit=22,
        value=lambda document: added_mb(document, "ours_with_pillow"),
    ),
    Target(
        text="digits, peak RSS of the runtime client, MB",
        limit=40,
        value=_start("digits", "ours", "peak_rss_mb"),
    ),
    Target(
        text="digits, warm handler(event) with JSON, p50 ms",
        limit=0.3,
        value=_loop("digits", "handler_p50_ms"),
    ),
    Target(
        text="MobileNetV2, warm handler(event) with a raw tensor over the bare C call",
        limit=1.15,
        value=_loop("mobilenet", "times_bare_call"),
    ),
    Target(
        text="digits server, requests a second over the best peer's",
        limit=6,
        least=True,
        value=_times_best_peer,
    ),
    Target(
        # Its time alone, directly before and after: see yardstick. Beside another such call, which
        # is how the cores are used, it takes a little longer.
        text="MobileNetV2 server, worst repetition's share of two over the bare C call's time",
        limit=0.9,
        least=True,
        value=lambda document: min(_ours(document, "mobilenet", "share_of_cores")),
    ),
    Target(
        text="digits server, slowest start to its first right answer, s",
        limit=0.6,
        value=lambda document: max(_ours(document, "digits", "ready_s")),
    ),
    Target(
        text="digits server, memory of all its processes (PSS), MB",
        limit=150,
        value=lambda document: max(_ours(document, "digits", "pss_mb")),
    ),
    Target(text="servers, wrong or failed answers of all four", limit=0, value=_wrong),
)
