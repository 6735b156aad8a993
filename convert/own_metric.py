"""A metric of the user's own: `score(answers, targets) -> float`, found in a file and called."""

import importlib.util
import math
import sys
from collections.abc import Callable
from typing import Any

from convert.answers import Array
from convert.errors import DataError
from convert.metric import Metric


def measure(metric: Metric, given: Array, targets: Array) -> float:
    """Calls the user's function; only ever in a worker, which has no credentials.

    Args:
        metric: Of kind function.
        given: The answers of one output.
        targets: As the evaluation file has them.

    Raises:
        DataError: The file or the function fails, or it returns anything but a finite number.
    """
    try:
        found = _load(metric)(given, targets)
        value = float(found)
    except (Exception, SystemExit) as error:  # the user's own code may raise whatever it likes
        reason = " ".join(str(error).split())
        raise DataError(f"metric {metric}: {type(error).__name__}: {reason}") from error
    if not math.isfinite(value):
        raise DataError(f"metric {metric}: returned {value}: expected a finite number")
    return value


def _load(metric: Metric) -> Callable[[Array, Array], Any]:
    assert metric.function is not None  # noqa: S101  a metric of kind function has one
    file, name = metric.function.file.resolve(), metric.function.name
    # Its neighbours may be imported, as if it were run where it lies.
    if str(file.parent) not in sys.path:
        sys.path.insert(0, str(file.parent))
    spec = importlib.util.spec_from_file_location(f"own_metric_{file.stem}", file)
    assert spec is not None  # noqa: S101  so it is for every .py file
    assert spec.loader is not None  # noqa: S101
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    function: Callable[[Array, Array], Any] = getattr(module, name)
    return function
