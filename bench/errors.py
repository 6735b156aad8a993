"""What can go wrong with a measurement.

BenchError          something is missing on this machine, or a candidate did not do its work
└── WrongAnswerError    a candidate answered, and not with what the model says
"""

from __future__ import annotations


class BenchError(Exception):
    """Something is missing on this machine, or a candidate did not do its work."""


class WrongAnswerError(BenchError):
    """A candidate answered, and not with what the model says."""
