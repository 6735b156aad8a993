"""What a million requests cost on Lambda, for x86, by the prices of release.cost.

Compute and requests alone, first tier, no free tier: API Gateway, logs and transfer are the same
for every candidate. Since August 2025 the initialisation is billed like any other time.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from release.cost import GB_SECOND, LAMBDA_MILLION, WHOLE_CORE_MB

if TYPE_CHECKING:
    from collections.abc import Sequence

MEMORY_MB = WHOLE_CORE_MB
COLD_SHARE = 0.01
"""Assumed share of requests that meet a cold start: AWS names 'under 1 %' for typical workloads."""
REQUESTS = 1_000_000


def usd_per_million(warm_ms: Sequence[float], start_ms: Sequence[float]) -> float:
    """What a million requests cost.

    Args:
        warm_ms: Times of warm calls; each is billed in whole milliseconds, rounded up.
        start_ms: Times from the runtime's start to the first answer, billed the same way.

    Raises:
        ValueError: Either is empty.
    """
    seconds = (1 - COLD_SHARE) * _billed_s(warm_ms) + COLD_SHARE * _billed_s(start_ms)
    computing, _, _ = GB_SECOND["x86_64"]
    return LAMBDA_MILLION + REQUESTS * seconds * MEMORY_MB / 1024 * computing


def _billed_s(times_ms: Sequence[float]) -> float:
    if not times_ms:
        raise ValueError("no times to bill, expected at least one")
    return sum(math.ceil(time) for time in times_ms) / len(times_ms) / 1000
