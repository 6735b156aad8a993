"""Where labels stand in a plot: beside their points, covering nothing, each legible."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

# How far above and below a point a label may be moved, in heights of a line.
_STEPS = (1.2, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0)
_GAP = 10.0
_COVERING, _CROSSING, _OUTSIDE = 10.0, 4.0, 100.0
_FAR = 0.01


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle, y upwards."""

    left: float
    bottom: float
    right: float
    top: float

    @property
    def width(self) -> float:
        """From left to right."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """From bottom to top."""
        return self.top - self.bottom

    @property
    def center(self) -> float:
        """Half way from left to right."""
        return (self.left + self.right) / 2

    def overlaps(self, other: "Box") -> bool:
        """Whether they share any room."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.bottom < other.top
            and other.bottom < self.top
        )

    def holds(self, other: "Box") -> bool:
        """Whether the other lies in it whole."""
        return (
            self.left <= other.left
            and other.right <= self.right
            and self.bottom <= other.bottom
            and other.top <= self.top
        )


def clusters(places: Sequence[tuple[float, float]], reach: float) -> list[list[int]]:
    """Groups points that lie so close that one label has to do for all.

    Args:
        places: Where points are.
        reach: How close is close, along each axis.

    Returns:
        Indices, each group and the groups themselves from left to right.
    """
    groups: list[list[int]] = []
    for at in sorted(range(len(places)), key=lambda one: (places[one], one)):
        near = [
            group
            for group in groups
            if any(
                max(abs(a - b) for a, b in zip(places[at], places[one], strict=True)) <= reach
                for one in group
            )
        ]
        merged = [*(one for group in near for one in group), at]
        groups = [group for group in groups if group not in near] + [merged]
    tidy = [sorted(group, key=lambda one: (places[one], one)) for group in groups]
    return sorted(tidy, key=lambda group: places[group[0]])


def place(
    marks: Sequence[Box],
    sizes: Sequence[tuple[float, float]],
    line: float,
    taken: Sequence[Box],
    crossed: Sequence[Box],
    room: Box,
) -> list[Box]:
    """Finds a place for each label, the first ones first.

    Args:
        marks: What the labels belong to; covered by none of them.
        sizes: Widths and heights.
        line: The height of a line of text.
        taken: What may not be covered either.
        crossed: What should not be, such as lines.
        room: Where they may be.
    """
    placed: list[Box] = []
    for mark, (width, height) in zip(marks, sizes, strict=True):
        cost = _cost([*taken, *placed, *marks], crossed, room, mark)
        placed.append(min(_around(mark, width, height, line), key=cost))
    return placed


def _around(mark: Box, width: float, height: float, line: float) -> Iterator[Box]:
    middle = (mark.bottom + mark.top) / 2
    for left in (mark.right + _GAP, mark.left - _GAP - width):
        yield Box(left, middle - height / 2, left + width, middle + height / 2)
    center = (mark.left + mark.right) / 2
    for step in _STEPS:
        for bottom in (mark.top + (step - 0.8) * line, mark.bottom - (step - 0.8) * line - height):
            for left in (center - width / 2, mark.left, mark.right - width, mark.right + _GAP):
                yield Box(left, bottom, left + width, bottom + height)


def _cost(
    taken: Sequence[Box], crossed: Sequence[Box], room: Box, mark: Box
) -> Callable[[Box], float]:
    def cost(box: Box) -> float:
        away = abs((box.bottom + box.top - mark.bottom - mark.top) / 2)
        return (
            _COVERING * sum(box.overlaps(other) for other in taken)
            + _CROSSING * sum(box.overlaps(other) for other in crossed)
            + _OUTSIDE * (not room.holds(box))
            + _FAR * away
        )

    return cost
