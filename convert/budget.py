"""What a candidate may cost and lose, and which of two good ones is preferred."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from convert import fields as field
from convert.fields import Fields

DEFAULT_MAX_DROP = 0.01
AS_FAST = 0.05
# One part in 10^9 forgives what subtracting two shares loses, never a row.
_ROUNDING = 1e-9


class Prefer(StrEnum):
    """Which candidate inside the budget is taken."""

    SIZE = "size"
    """The smallest once compressed, which is what the image carries."""
    LATENCY = "latency"
    """The smallest of those that take at most `AS_FAST` longer than the fastest, which depends on
    the machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """A limit that a candidate broke.

    Attributes:
        limit: The limit's name, as a card has it.
        allowed: What it says.
        found: What the candidate has; None where that could not be measured.
    """

    limit: str
    allowed: float
    found: float | None

    def to_json(self) -> dict[str, Any]:
        """Renders one entry of report.json's `broken`."""
        return {"limit": self.limit, "allowed": self.allowed, "found": self.found}


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Limits; None is no limit.

    Attributes:
        max_accuracy_drop: How much worse than the original; see `convert.metric.DROP`.
        min_agreement: Share of answers that must be the original's, from 0 to 1.
        max_size: Bytes of model.tflite, as it lies on the disk.
        max_latency_ms: Median of one call.
    """

    max_accuracy_drop: float | None = None
    min_agreement: float | None = None
    max_size: int | None = None
    max_latency_ms: float | None = None

    @property
    def of_quality(self) -> bool:
        """Whether it says anything of how right the answers must be."""
        return self.max_accuracy_drop is not None or self.min_agreement is not None

    @property
    def is_unlimited(self) -> bool:
        """Whether there is no limit at all."""
        return not self.to_json()

    def over(self, other: "Budget") -> "Budget":
        """Takes from another what this one leaves open."""
        return Budget(
            **{
                one.name: getattr(other, one.name) if mine is None else mine
                for one in fields(self)
                for mine in [getattr(self, one.name)]
            }
        )

    def to_json(self) -> dict[str, Any]:
        """Renders report.json's `budget`: the limits that there are."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    def broken_by(
        self,
        *,
        drop: float | None,
        agreement: float | None,
        size: int,
        latency_ms: float | None,
    ) -> tuple[Breach, ...]:
        """Holds a candidate's measures against the limits. What was not measured breaks its limit.

        Returns:
            The limits that it broke; empty when it is inside.
        """
        measured = (
            ("max_accuracy_drop", self.max_accuracy_drop, drop, 1),
            ("min_agreement", self.min_agreement, agreement, -1),
            ("max_size", self.max_size, size, 1),
            ("max_latency_ms", self.max_latency_ms, latency_ms, 1),
        )
        return tuple(
            Breach(limit=name, allowed=allowed, found=found)
            for name, allowed, found, sign in measured
            if allowed is not None and (found is None or sign * (found - allowed) > _ROUNDING)
        )


UNLIMITED = Budget()
_RULES = {
    "max_accuracy_drop": "a number from 0 to 1",
    "min_agreement": "a number from 0 to 1",
    "max_size": field.SIZE_RULE,
    "max_latency_ms": "a number of milliseconds above 0",
}


def parse(values: Mapping[Any, Any], *, of_function: bool) -> tuple[Budget, list[str]]:
    """Reads a card's `budget`.

    Args:
        values: The mapping.
        of_function: Whether the metric is the user's own, whose drop may have any size.

    Returns:
        The budget, and what is wrong with it.
    """
    inner = Fields(values, "budget.")
    if not values:
        inner.faults.append(f"budget: empty, expected some of {', '.join(_RULES)}")
    drop = field.not_negative if of_function else field.share
    drop_rule = "a number of 0 or above" if of_function else _RULES["max_accuracy_drop"]
    made = Budget(
        max_accuracy_drop=inner.take("max_accuracy_drop", drop_rule, drop),
        min_agreement=inner.take("min_agreement", _RULES["min_agreement"], field.share),
        max_size=inner.take("max_size", _RULES["max_size"], field.size),
        max_latency_ms=inner.take("max_latency_ms", _RULES["max_latency_ms"], field.positive),
    )
    inner.finish()
    return made, inner.faults
