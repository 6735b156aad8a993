"""What a million requests cost on Lambda, for x86 in us-east-1: aws.amazon.com/lambda/pricing.

Compute and requests alone, first tier, no free tier: API Gateway, logs and transfer are the same
for every candidate. Since August 2025 the initialisation is billed like any other time.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

USD_PER_GB_SECOND = 0.0000166667
USD_PER_REQUEST = 0.0000002
MEMORY_MB = 1769
"""The memory that buys one whole vCPU."""
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
    gigabyte_seconds = seconds * MEMORY_MB / 1024
    return REQUESTS * (USD_PER_REQUEST + gigabyte_seconds * USD_PER_GB_SECOND)


def _billed_s(times_ms: Sequence[float]) -> float:
    if not times_ms:
        raise ValueError("no times to bill, expected at least one")
    return sum(math.ceil(time) for time in times_ms) / len(times_ms) / 1000
