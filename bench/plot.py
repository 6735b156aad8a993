"""results.svg: what is compared, as bars from zero. By hand: six small charts need no library."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from bench import targets
from bench.images import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WIDTH, MARGIN, GAP = 960, 32, 40
COLUMNS = 3
PANEL_WIDTH = (WIDTH - 2 * MARGIN - (COLUMNS - 1) * GAP) / COLUMNS
HEAD, TITLE, ROW, BAR, FOOT = 92, 44, 40, 12, 30
# A bar leaves room for its figure.
LONGEST = PANEL_WIDTH - 74
OURS, OTHERS, RAIL = "#0f766e", "#b8c0cc", "#f1f3f6"
INK, PALE, PAPER = "#1f2937", "#6b7280", "#ffffff"
SHORT = {
    "naive": "TensorFlow, loaded per call",
    "tensorflow": "TensorFlow, loaded once",
    "stock": "stock LiteRT + numpy",
    "ours": "thimble",
}


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One small chart.

    Attributes:
        title: What is measured.
        note: Its unit, and which way is better.
        bars: A name, a value and its text; ours is named thimble.
    """

    title: str
    note: str
    bars: list[tuple[str, float, str]]


def write(document: dict[str, Any], file: Path) -> None:
    """Replace the plot in one step."""
    fresh = file.with_suffix(".part")
    fresh.write_text(render(document), encoding="utf-8")
    fresh.replace(file)


def render(document: dict[str, Any]) -> str:
    """The whole picture as SVG."""
    top, bottom = handler_panels(document), server_panels(document)
    first = HEAD
    second = first + _height(top) + HEAD - 24
    height = second + _height(bottom) + FOOT
    machine = document["machine"]
    size = f'width="{WIDTH}" height="{height:.0f}"'
    font = "system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif"
    space = 'xmlns="http://www.w3.org/2000/svg"'
    parts = [
        f'<svg {space} viewBox="0 0 {WIDTH} {height:.0f}" {size} role="img" font-family="{font}">',
        "<title>thimble beside other handlers and servers</title>",
        f'<rect {size} rx="8" fill="{PAPER}"/>',
        *_heading("The Lambda handler", "digits, 1 vCPU and 1,769 MB", first),
        *_row(top, first),
        *_heading("The server", f"{machine['cores']} cores, 8 connections", second),
        *_row(bottom, second),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def handler_panels(document: dict[str, Any]) -> list[Panel]:
    """Start, image and memory of each way to write the handler."""
    measured = document["handlers"]["starts"]["digits"]
    keys = [kind.key for kind in KINDS if kind.key in SHORT and kind.key in measured]

    def bars(value: Callable[[str], float], text: str) -> list[tuple[str, float, str]]:
        return [(SHORT[key], value(key), text.format(value(key))) for key in keys]

    return [
        Panel(
            title="Start to first prediction",
            note="ms beyond a bare handler, less is better",
            bars=bars(lambda key: float(measured[key]["beyond_bare_ms"]), "{:,.0f} ms"),
        ),
        Panel(
            title="Added to the base image",
            note="MB, less is better",
            bars=bars(lambda key: targets.added_mb(document, f"{key}_digits"), "{:,.0f} MB"),
        ),
        Panel(
            title="Peak memory",
            note="MB of RSS, less is better",
            bars=bars(lambda key: float(measured[key]["peak_rss_mb"]), "{:,.0f} MB"),
        ),
    ]


def server_panels(document: dict[str, Any]) -> list[Panel]:
    """Throughput with both models, and memory, of each server."""
    digits = document["servers"]["digits"]["servers"]
    mobilenet = document["servers"]["mobilenet"]["servers"]

    def bars(servers: dict[str, Any], name: str, text: str) -> list[tuple[str, float, str]]:
        return [
            (server["title"], float(server["median"][name]), text.format(server["median"][name]))
            for server in reversed(servers.values())
        ]

    return [
        Panel(
            title="Digits, JSON",
            note="requests a second, more is better",
            bars=bars(digits, "per_second", "{:,.0f}/s"),
        ),
        Panel(
            title="MobileNetV2, raw tensors",
            note="requests a second, more is better",
            bars=bars(mobilenet, "per_second", "{:,.0f}/s"),
        ),
        Panel(
            title="Memory of all processes",
            note="MB of PSS, digits, less is better",
            bars=bars(digits, "pss_mb", "{:,.0f} MB"),
        ),
    ]


def _height(panels: list[Panel]) -> float:
    return TITLE + ROW * max(len(panel.bars) for panel in panels)


def _heading(text: str, note: str, top: float) -> list[str]:
    y = top - 34
    return [
        _text(MARGIN, y, text, size=20, bold=True),
        _text(WIDTH - MARGIN, y, note, fill=PALE, anchor="end"),
    ]


def _row(panels: list[Panel], top: float) -> list[str]:
    return [
        line
        for number, panel in enumerate(panels)
        for line in _panel(panel, MARGIN + number * (PANEL_WIDTH + GAP), top)
    ]


def _panel(panel: Panel, left: float, top: float) -> list[str]:
    lines = [
        _text(left, top, panel.title, size=14, bold=True),
        _text(left, top + 18, panel.note, fill=PALE),
    ]
    largest = max(value for _, value, _ in panel.bars)
    for number, (name, value, text) in enumerate(panel.bars):
        y = top + TITLE + number * ROW
        ours = name == "thimble"
        ink = OURS if ours else INK
        # To scale; what is next to nothing still shows as a line.
        length = max(LONGEST * max(value, 0) / largest, 1.5)
        lines += [
            _text(left, y, name, fill=ink, bold=ours),
            _bar(left, y + 6, LONGEST, RAIL),
            _bar(left, y + 6, length, OURS if ours else OTHERS),
            _text(left + LONGEST + 8, y + 16, text, fill=ink, bold=ours),
        ]
    return lines


def _text(
    x: float,
    y: float,
    text: str,
    *,
    size: float = 12.5,
    fill: str = INK,
    bold: bool = False,
    anchor: str = "start",
) -> str:
    look = f'font-size="{size}" font-weight="{600 if bold else 400}" fill="{fill}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {look} text-anchor="{anchor}">{escape(text)}</text>'


def _bar(x: float, y: float, width: float, fill: str) -> str:
    where = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{BAR}"'
    return f'<rect {where} rx="2" fill="{fill}"/>'
