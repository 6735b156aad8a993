"""One line of JSON a request, for CloudWatch: what was asked, how it went, where the time went.

The line is in CloudWatch's embedded metric format: Lambda's log agent turns it into metrics, and
the function spends no time on an API. Never a body, a header, an address or an error's text: those
are the client's.

TELEMETRY says how much: `metrics` (the default), `log` for the line without metrics, `off`. Each
metric of each model costs what CloudWatch asks for a custom metric (0.30 USD a month).
"""

from __future__ import annotations

import json
import sys
from time import perf_counter, time

from handler.errors import StartupError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

    from handler.manifest import Manifest
    from handler.tensor import Tensor

NAMESPACE = "thimble"
DIMENSIONS = ("service", "model", "recipe")
_UNITS = {
    "decode_ms": "Milliseconds",
    "infer_ms": "Milliseconds",
    "encode_ms": "Milliseconds",
    "total_ms": "Milliseconds",
    "batch": "Count",
    "confidence": "None",
    "cold_starts": "Count",
    "client_errors": "Count",
    "server_errors": "Count",
}
_LEVELS = ("metrics", "log", "off")
_CLIENT_ERROR, _SERVER_ERROR = 400, 500

_started = False


class Telemetry:
    """Makes and prints the records of one model.

    Args:
        manifest: What the model is called, how it was made, and its labels.
        settings: TELEMETRY; and what the dimension `service` is, AWS_LAMBDA_FUNCTION_NAME or, where
            there is no function, TELEMETRY_SERVICE.

    Raises:
        StartupError: TELEMETRY is something else.
    """

    def __init__(self, manifest: Manifest, settings: Mapping[str, str]) -> None:
        self.level = settings.get("TELEMETRY") or "metrics"
        if self.level not in _LEVELS:
            raise StartupError(f"TELEMETRY is '{self.level}', expected one of {', '.join(_LEVELS)}")
        self.labels = manifest.labels
        function = settings.get("AWS_LAMBDA_FUNCTION_NAME")
        service = function or settings.get("TELEMETRY_SERVICE") or "local"
        values = (service, manifest.name, manifest.recipe)
        self._dimensions = dict(zip(DIMENSIONS, values, strict=True))
        self._heads: dict[tuple[str, ...], tuple[str, str]] = {}

    def write(self, fields: Mapping[str, object]) -> None:
        """Print a line.

        Those who only ask whether the service is up, or what it is, are not in the metrics: health
        checks would drown the predictions.
        """
        head = "{"
        if self.level == "metrics" and ("infer_ms" in fields or fields["outcome"] != "ok"):
            names = tuple(name for name in _UNITS if name in fields)
            # Made once for each kind of line; only the time differs.
            before, after = self._heads.get(names) or self._make_head(names)
            head = f"{before}{int(time() * 1000)}{after}"
        line = json.dumps(fields, separators=(",", ":"))
        put(sys.stdout, f"{head}{line[1:]}\n")

    def _make_head(self, names: tuple[str, ...]) -> tuple[str, str]:
        """What stands in such a line before and after the time."""
        metrics = [{"Name": name, "Unit": _UNITS[name]} for name in names]
        directive = {"Namespace": NAMESPACE, "Dimensions": [DIMENSIONS], "Metrics": metrics}
        head = {"_aws": {"Timestamp": 0, "CloudWatchMetrics": [directive]}, **self._dimensions}
        text = json.dumps(head, separators=(",", ":"))
        before, _, after = text[:-1].partition("0")
        self._heads[names] = (before, f"{after},")
        return self._heads[names]


def put(log: TextIO, text: str) -> None:
    """Write to a log; one that cannot be written (a full disk, a closed pipe) stops no answer."""
    try:
        # One write, so that threads do not mix lines.
        log.write(text)
        log.flush()
    except OSError:
        return  # there is nowhere to say so


class Record:
    """What one request did.

    Args:
        telemetry: Where it goes.
        request_id: Lambda's id, or "" outside Lambda.
        deadline: When the answer has to be out, by `time.monotonic`; None for no limit.
    """

    __slots__ = ("_answers", "_mark", "_start", "_telemetry", "deadline", "fields")

    def __init__(
        self, telemetry: Telemetry, request_id: str = "", deadline: float | None = None
    ) -> None:
        global _started  # noqa: PLW0603 - one execution environment, one first request
        self._start = self._mark = perf_counter()
        self._telemetry = telemetry
        self._answers: Mapping[str, Tensor] = {}
        self.deadline = deadline
        self.fields: dict[str, object] = {"route": "none", "cold_start": not _started}
        if request_id:
            self.fields["request_id"] = request_id
        _started = True

    def lap(self, name: str) -> None:
        """Note the milliseconds since the last lap as `name`."""
        if self._telemetry.level == "off":
            return
        now = perf_counter()
        self.fields[name] = round((now - self._mark) * 1000, 3)
        self._mark = now

    def answered(self, rows: int, answers: Mapping[str, Tensor]) -> None:
        """Note how many rows were asked about, and what the model said."""
        self.fields["batch"] = rows
        self._answers = answers

    def write(self, status: int, error: str | None) -> None:
        """Print the line.

        Args:
            status: The HTTP status answered.
            error: The error's class, when there was one.
        """
        if self._telemetry.level == "off":
            return
        fields = self.fields
        fields["status"] = status
        failed, refused = status >= _SERVER_ERROR, _CLIENT_ERROR <= status < _SERVER_ERROR
        fields["outcome"] = "failed" if failed else "refused" if refused else "ok"
        fields["client_errors"], fields["server_errors"] = int(refused), int(failed)
        fields["cold_starts"] = int(fields["cold_start"] is True)
        if error is not None:
            fields["error"] = error
        self._judge()
        fields["total_ms"] = round((perf_counter() - self._start) * 1000, 3)
        self._telemetry.write(fields)

    def _judge(self) -> None:
        """Note the best class of a lone row, where the model has labels."""
        labels = self._telemetry.labels
        if not labels or len(self._answers) != 1:
            return
        (scores,) = self._answers.values()
        if scores.shape == (1, len(labels)):
            values = scores.tolist()
            best = max(range(len(values)), key=values.__getitem__)
            self.fields["top_class"] = labels[best]
            self.fields["confidence"] = float(f"{values[best]:.7g}")
