"""report.png: every candidate's size against how good it is, the budget, and the winner."""

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convert.labels import Box, clusters, leader, place

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH, _HEIGHT, _DPI = 8.0, 4.6, 150
_MOST_POINTS = 24
_FAR = 1.5  # times the largest size
_INK, _QUIET, _FAINT = "#222222", "#767676", "#c9c9c9"
_CHOSEN, _OUTSIDE, _LIMIT = "#00753a", "#b3452c", "#b3452c"
_KILO, _MEGA = 1000, 1_000_000
_POINTS_AN_INCH = 72
_TEXT, _LINE, _MARK = 9.5, 13.0, 6.0  # points


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One model.

    Attributes:
        label: What is written beside it.
        size: Bytes.
        value: How good it is, in what the vertical axis has.
        inside: Whether it is inside the budget.
        chosen: Whether it won.
        original: Whether it is what all were made from.
    """

    label: str
    size: int
    value: float
    inside: bool = True
    chosen: bool = False
    original: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """What to draw.

    Attributes:
        title: Above all.
        measure: What the vertical axis has, and on which rows.
        across: What the horizontal axis has.
        points: The models that could be made.
        value_limit: The budget, in what the vertical axis has, and what is written at it; or None.
        size_limit: The same in bytes; or None.
    """

    title: str
    measure: str
    across: str
    points: Sequence[Point]
    value_limit: tuple[float, str] | None
    size_limit: tuple[int, str] | None


def draw(picture: Picture) -> bytes:
    """Draws a PNG; the same picture always gives the same bytes."""
    # 2 s; and nothing of the user's own settings, wherever they lie, gets into the picture.
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context(mpl.rcParamsDefault):
        figure = Figure(figsize=(_WIDTH, _HEIGHT), dpi=_DPI, facecolor="white")
        FigureCanvasAgg(figure)
        axes = figure.add_axes((0.09, 0.13, 0.87, 0.68))
        figure.text(0.03, 0.93, picture.title, size=_title(picture), weight="bold", color=_INK)
        figure.text(0.03, 0.87, picture.measure, size=9.5, color=_QUIET)
        unit, name = _unit(picture)
        _frame(axes, picture, unit, name)
        shown = picture.points[:_MOST_POINTS]
        _markers(axes, shown, unit)
        taken = _limits(axes, picture, unit)
        _labels(axes, shown, unit, taken)
        made = io.BytesIO()
        figure.savefig(made, format="png", metadata={"Software": None})
    return made.getvalue()


def _title(picture: Picture) -> float:
    """The size of the title's letters: a model's name may have 64 of them, a recipe's 30."""
    return 13.0 * min(1.0, 60 / len(picture.title))


def _unit(picture: Picture) -> tuple[int, str]:
    largest = max(point.size for point in picture.points)
    return (_MEGA, "MB") if largest >= _MEGA else (_KILO, "kB")


def _frame(axes: "Axes", picture: Picture, unit: int, name: str) -> None:
    """Sets the scales: sizes from zero, values as close as shows the differences."""
    sizes = [point.size for point in picture.points]
    if picture.size_limit is not None and not _is_far(picture):
        sizes.append(picture.size_limit[0])
    values = [point.value for point in picture.points]
    if picture.value_limit is not None:
        values.append(picture.value_limit[0])
    low, high = min(values), max(values)
    # Values that are all alike still need a scale: a hundredth is what people care about.
    room = max((high - low) * 0.25, 0.01 * (abs(high) or 1.0) if high == low else 0.0)
    axes.set_xlim(0, max(sizes) / unit * 1.12)
    axes.set_ylim(low - room, high + room)
    axes.set_xlabel(f"{picture.across}, {name}", color=_QUIET, size=9.5, loc="right")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(_FAINT)
    axes.tick_params(colors=_QUIET, labelsize=9, color=_FAINT)
    axes.locator_params(axis="y", nbins=6)
    axes.ticklabel_format(axis="y", useOffset=False)


def _is_far(picture: Picture) -> bool:
    """Whether the limit of sizes is so far above them all that it would squeeze them together."""
    assert picture.size_limit is not None  # noqa: S101  so callers found
    return picture.size_limit[0] > _FAR * max(point.size for point in picture.points)


def _limits(axes: "Axes", picture: Picture, unit: int) -> list[Box]:
    """Draws the budget; returns what its lines and words take, words first."""
    lines, words = [], []
    style: dict[str, Any] = {"color": _LIMIT, "linewidth": 1.0, "linestyle": (0, (5, 3))}
    said: dict[str, Any] = {"textcoords": "offset points", "size": _TEXT, "color": _LIMIT}
    if picture.value_limit is not None:
        value, text = picture.value_limit
        lines.append(axes.axhline(value, zorder=1, **style))
        at: dict[str, Any] = {"xy": (1.0, value), "xycoords": ("axes fraction", "data")}
        words.append(axes.annotate(text, **at, xytext=(0, -3), ha="right", va="top", **said))
    if picture.size_limit is not None:
        size, text = picture.size_limit
        if _is_far(picture):
            at = {"xy": (1.0, 1.0), "xycoords": "axes fraction"}
            text = f"{text}, beyond this scale"
            words.append(axes.annotate(text, **at, xytext=(0, 3), ha="right", va="bottom", **said))
            return [_box(it.get_window_extent()) for it in (*words, *lines)]
        lines.append(axes.axvline(size / unit, zorder=1, **style))
        at = {"xy": (size / unit, 1.0), "xycoords": ("data", "axes fraction")}
        side = "left" if size / unit < sum(axes.get_xlim()) / 2 else "right"
        words.append(axes.annotate(text, **at, xytext=(0, 3), ha=side, va="bottom", **said))
    return [_box(it.get_window_extent()) for it in (*words, *lines)]


def _markers(axes: "Axes", points: Iterable[Point], unit: int) -> None:
    for point in points:
        filled = point.inside and not point.original
        axes.plot(
            point.size / unit,
            point.value,
            marker="o",
            markersize=11 if point.chosen else 7,
            markerfacecolor=_color(point) if filled else "white",
            markeredgecolor="white" if filled else _color(point),
            markeredgewidth=0.8 if filled else 1.4,
            zorder=4 if point.chosen else 3,
            clip_on=False,
        )


def _color(point: Point) -> str:
    if point.chosen:
        return _CHOSEN
    if point.original:
        return _QUIET
    return _INK if point.inside else _OUTSIDE


def _labels(axes: "Axes", points: Sequence[Point], unit: int, taken: Sequence[Box]) -> None:
    """Writes the names: one block for points that touch, and a line to it where it stands off."""
    scale = _DPI / _POINTS_AN_INCH
    places = [
        (float(x), float(y))
        for x, y in axes.transData.transform([(it.size / unit, it.value) for it in points])
    ]
    groups = clusters(places, 1.6 * _MARK * scale)
    # The winner's block chooses first.
    groups.sort(key=lambda group: not any(points[at].chosen for at in group))
    names = [[_named(axes, points[at]) for at in group] for group in groups]
    marks = [_around(places, group, _MARK * scale) for group in groups]
    sizes = [
        (max(_box(it.get_window_extent()).width for it in block), len(block) * _LINE * scale)
        for block in names
    ]
    edge = _box(axes.bbox)
    # Right of the axis; up to the words above, and not below the numbers.
    room = Box(edge.left + 4, edge.bottom + 4, axes.figure.bbox.x1 - 8, edge.top + 30)
    words = [box for box in taken if box.width > 1 and box.height > 1]
    lines = [box for box in taken if box not in words]
    boxes = place(marks, sizes, _LINE * scale, words, lines, room)
    for block, mark, box in zip(names, marks, boxes, strict=True):
        for row, name in enumerate(block):
            name.set_position((box.left, box.top - (row + 0.5) * _LINE * scale))
        line = leader(mark, box)
        if line is not None:
            across, up = zip(*line, strict=True)
            axes.plot(
                across, up, color=_FAINT, linewidth=0.9, zorder=2, transform=None, clip_on=False
            )


def _named(axes: "Axes", point: Point) -> Any:  # noqa: ANN401  moved by pixels afterwards
    weight = "bold" if point.chosen else "normal"
    return axes.text(
        0, 0, point.label, size=_TEXT, color=_color(point), weight=weight, ha="left", va="center",
        transform=None, zorder=5,
    )  # fmt: skip


def _around(places: Sequence[tuple[float, float]], group: Sequence[int], half: float) -> Box:
    across, up = zip(*(places[at] for at in group), strict=True)
    return Box(min(across) - half, min(up) - half, max(across) + half, max(up) + half)


def _box(extent: Any) -> Box:  # noqa: ANN401  matplotlib's Bbox
    return Box(float(extent.x0), float(extent.y0), float(extent.x1), float(extent.y1))
