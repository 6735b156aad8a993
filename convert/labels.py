"""Where labels stand in a plot: beside their points, covering nothing, each legible."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

# How far above and below a point a label may be moved, in heights of a line.
_STEPS = (1.2, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0)
# How far to the right or the left.
_ASIDE = (0.0, 4.0, 8.0, 12.0)
_GAP = 10.0
_ROUNDS = 3
_COVERING, _CROSSING, _OUTSIDE = 10.0, 4.0, 100.0
_FAR = 0.01
_CLIP = 4.0
Place = tuple[float, float]
Line = tuple[Place, Place]


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

    def crosses(self, line: Line) -> bool:
        """Whether a line goes through it."""
        (x, y), (to_x, to_y) = line
        start, end = 0.0, 1.0
        sides = ((x, to_x, self.left, self.right), (y, to_y, self.bottom, self.top))
        for at, to, low, high in sides:
            if at == to:
                if not low < at < high:
                    return False
                continue
            enters, leaves = sorted(((low - at) / (to - at), (high - at) / (to - at)))
            start, end = max(start, enters), min(end, leaves)
        return start < end

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
    line_height: float,
    taken: Sequence[Box],
    crossed: Sequence[Box],
    room: Box,
) -> list[Box]:
    """Finds a place for each label, the first ones first, and then once more among all others.

    Args:
        marks: What the labels belong to; covered by none of them.
        sizes: Widths and heights.
        line_height: Of a line of text.
        taken: What may not be covered either.
        crossed: What should not be, such as lines.
        room: Where they may be.
    """
    placed: dict[int, Box] = {}
    for at in [*range(len(marks))] * _ROUNDS:  # the later ones may stand in the first ones' way
        mark, (width, height) = marks[at], sizes[at]
        others = {other: box for other, box in placed.items() if other != at}
        drawn = [line for other, box in others.items() if (line := leader(marks[other], box))]
        cost = _cost([*taken, *others.values(), *marks], crossed, drawn, room, mark)
        placed[at] = min(_around(mark, width, height, line_height), key=cost)
    return [placed[at] for at in range(len(marks))]


def leader(mark: Box, label: Box) -> Line | None:
    """The line from a mark to its label; None where the label stands beside it."""
    x = min(max(mark.center, label.left + _CLIP), label.right - _CLIP)
    if label.bottom > mark.top:
        return (mark.center, mark.top), (x, label.bottom)
    return ((mark.center, mark.bottom), (x, label.top)) if label.top < mark.bottom else None


def _meet(one: Line, other: Line) -> bool:
    """Whether two lines cross."""

    def side(line: Line, place: Place) -> float:
        (x, y), (to_x, to_y) = line
        return (to_x - x) * (place[1] - y) - (to_y - y) * (place[0] - x)

    return (
        side(one, other[0]) * side(one, other[1]) < 0
        and side(other, one[0]) * side(other, one[1]) < 0
    )


def _around(mark: Box, width: float, height: float, line: float) -> Iterator[Box]:
    middle = (mark.bottom + mark.top) / 2
    for left in (mark.right + _GAP, mark.left - _GAP - width):
        yield Box(left, middle - height / 2, left + width, middle + height / 2)
    center = (mark.left + mark.right) / 2
    for step in _STEPS:
        for bottom in (mark.top + (step - 0.8) * line, mark.bottom - (step - 0.8) * line - height):
            near = (center - width / 2, mark.left, mark.right - width)
            aside = (mark.right + _GAP + far * line for far in _ASIDE)
            for left in (*near, *aside, *(mark.left - _GAP - far * line - width for far in _ASIDE)):
                yield Box(left, bottom, left + width, bottom + height)


def _cost(
    taken: Sequence[Box], crossed: Sequence[Box], leaders: Sequence[Line], room: Box, mark: Box
) -> Callable[[Box], float]:
    others = [one for one in taken if one != mark]

    def cost(box: Box) -> float:
        away = abs(box.bottom + box.top - mark.bottom - mark.top) / 2
        away += max(box.left - mark.right, mark.left - box.right, 0.0)
        crossings = sum(box.overlaps(other) for other in crossed)
        crossings += sum(box.crosses(line) for line in leaders)
        own = leader(mark, box)
        if own is not None:
            crossings += sum(other.crosses(own) for other in others)
            crossings += sum(_meet(own, line) for line in leaders)
        return (
            _COVERING * sum(box.overlaps(other) for other in taken)
            + _CROSSING * crossings
            + _OUTSIDE * (not room.holds(box))
            + _FAR * away
        )

    return cost
