"""What came of a fuzzer's requests."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.fuzz.judge import Answer, complaint

if TYPE_CHECKING:
    from tests.fuzz.corpus import Call

_SHOWN = 20
# Of 50,000 requests that each leaked 200 bytes; what allocators keep for themselves is less.
_MOST_GROWTH = 10_000_000


@dataclass(slots=True)
class Tally:
    """Counts, and what was wrong.

    Attributes:
        name: Of what was fuzzed.
        statuses: How often each status came.
        kinds: Every kind of answer.
        faults: What was wrong, with the request that shows it.
        memory: Resident bytes after a fifth of the requests, and at the end.
        closed: Connections that ended without an answer.
    """

    name: str
    statuses: Counter[int] = field(default_factory=Counter)
    kinds: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)
    memory: tuple[int, int] = (0, 0)
    closed: int = 0

    def count(self, call: Call, answer: Answer) -> bool:
        """Count an answer; tell whether it is of a new kind."""
        self.statuses[answer.status] += 1
        wrong = complaint(answer)
        if wrong:
            self.fault(f"{answer.status} {wrong}", call)
        known = answer.kind in self.kinds
        self.kinds.add(answer.kind)
        return not known

    def expect(self, call: Call, answer: Answer) -> None:
        """Count the answer to a request of the corpus, which has to be a 200."""
        self.count(call, answer)
        if answer.status != 200:
            self.fault(f"{answer.status} {answer.body[:300]!r}, expected 200", call)

    def same(self, call: Call, before: Answer, now: Answer) -> None:
        """A good request gets the very answer that it got before all others."""
        if (before.status, before.body) != (now.status, now.body):
            self.fault(f"{now.status} {now.body[:300]!r}, before: {before.body[:300]!r}", call)

    def fault(self, what: str, call: Call) -> None:
        """Remember what is wrong."""
        if len(self.faults) < _SHOWN:
            self.faults.append(f"{what}\n    {call!r:.1500}")

    def remember(self, before: int, after: int) -> None:
        """Keep what memory was and is; growth is a fault."""
        self.memory = (before, after)
        if after - before > _MOST_GROWTH:
            self.faults.append(f"memory grew by {(after - before) / 1e6:.1f} MB")

    @property
    def report(self) -> str:
        """On one line, and the faults below it."""
        before, after = (size / 1e6 for size in self.memory)
        statuses = ", ".join(
            f"{number} x {status}" for status, number in sorted(self.statuses.items())
        )
        line = (
            f"{self.name}: {self.statuses.total():,} answers ({statuses}), {self.closed:,} closed, "
            f"{len(self.kinds)} kinds; resident {before:.1f} MB, then {after:.1f} MB"
        )
        return "\n".join([line, *(f"  FAULT {fault}" for fault in self.faults)])
