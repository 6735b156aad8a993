"""report.png: legible labels, and the same bytes every time."""

from itertools import combinations

from convert.labels import Box, clusters, place
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
