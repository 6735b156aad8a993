"""report.png: legible labels, and the same bytes every time."""

from itertools import combinations

import pytest
from matplotlib.figure import Figure

from convert import plot
from convert.labels import Box, clusters, leader, place
from convert.plot import Picture, Point, draw

ROOM = Box(0, 0, 800, 400)


def mark(x: float, y: float) -> Box:
    """A point's mark."""
    return Box(x - 6, y - 6, x + 6, y + 6)


def test_labels_cover_nothing() -> None:
    """Labels of neighbours in a row find places apart from each other, all marks and all words."""
    marks = [mark(100 + 30 * at, 200) for at in range(8)]
    words = Box(300, 150, 500, 190)
    boxes = place(marks, [(120.0, 13.0)] * 8, 13, [words], [], ROOM)
    everything = [*marks, words, *boxes]
    assert not [pair for pair in combinations(everything, 2) if pair[0].overlaps(pair[1])]
    assert all(ROOM.holds(box) for box in boxes)


def test_label_stands_beside_its_point_where_it_can() -> None:
    """A point alone has its label right of it; at the edge, left of it."""
    [right] = place([mark(100, 200)], [(120.0, 13.0)], 13, [], [], ROOM)
    [left] = place([mark(780, 200)], [(120.0, 13.0)], 13, [], [], ROOM)
    assert (116.0, 764.0) == (right.left, left.right)


def test_points_that_touch_share_a_label() -> None:
    """A chain of neighbours is one group, from left to right; one far off stands alone."""
    places = [(20.0, 5.0), (300.0, 5.0), (10.0, 5.0), (28.0, 5.0), (20.0, 90.0)]
    assert [[2, 0, 3], [4], [1]] == clusters(places, 10)


def test_same_picture_gives_the_same_bytes() -> None:
    """Two drawings are one PNG, whatever lies where, limits and all."""
    points = [Point(label=f"float{at}", size=1000 + at, value=0.5) for at in range(30)]
    points.append(Point(label="original", size=5_000_000, value=0.9, original=True))
    picture = Picture(
        title="cats", measure="accuracy", across="size", points=points,
        value_limit=(0.4, "budget: 0.4"), size_limit=(4_000_000, "budget: 4 MB"),
    )  # fmt: skip
    drawn = draw(picture)
    assert b"\x89PNG" == drawn[:4]
    assert drawn == draw(picture)


def test_lines_to_labels_cross_nothing() -> None:
    """Where points stand close over each other, no line goes through a name, a point or a line."""
    heights = (230, 205, 204, 203, 170, 140)
    marks = [mark(60 + 7 * at, height) for at, height in enumerate(heights)]
    boxes = place(marks, [(150.0, 13.0)] * 6, 13, [], [], ROOM)
    lines = [leader(one, box) for one, box in zip(marks, boxes, strict=True)]
    assert any(lines)
    for at, line in enumerate(lines):
        if line is not None:
            others = [*boxes[:at], *boxes[at + 1 :], *marks[:at], *marks[at + 1 :]]
            assert not [other for other in others if other.crosses(line)]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (((0, 0), (10, 10)), True),
        (((0, 5), (10, 5)), True),
        (((0, 0), (10, 1)), False),
        (((0, 0), (3, 3)), False),
        (((4, 0), (4, 10)), False),
    ],
)
def test_line_through_a_box(line: tuple[tuple[float, float], ...], *, expected: bool) -> None:
    """A line crosses where it goes inside, not where it ends before, passes by or touches."""
    start, end = line
    assert expected is Box(4, 4, 6, 6).crosses((start, end))


@pytest.mark.parametrize(("limit", "reaches"), [(90_000, 100.8), (4_000_000, 84.0), (10_000, 84.0)])
def test_limit_far_above_all_sizes_is_only_told(limit: int, reaches: float) -> None:
    """A limit near the sizes is on the scale; one far above would squeeze them all together."""
    points = [Point(label="float32", size=17_000, value=1.0)]
    points.append(Point(label="original", size=75_000, value=1.0, original=True))
    picture = Picture(
        title="cats", measure="accuracy", across="size", points=points, value_limit=None,
        size_limit=(limit, "budget: size at most some"),
    )  # fmt: skip
    axes = Figure().add_axes((0, 0, 1, 1))
    plot._frame(axes, picture, 1000, "kB")
    plot._limits(axes, picture, 1000)

    assert pytest.approx(reaches) == axes.get_xlim()[1]
    far = limit > reaches * 1000
    assert far == axes.texts[0].get_text().endswith(", beyond this scale")
    assert (0 if far else 1) == len(axes.lines)
