"""The plot."""

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from bench.plot import LONGEST, handler_panels, render, server_panels, write
from tests.bench.document import document


def _bars(picture: str) -> list[float]:
    """Widths of the coloured bars, in their order."""
    root = ET.fromstring(picture)  # noqa: S314 - our own
    return [
        float(rect.attrib["width"])
        for rect in root.iter("{http://www.w3.org/2000/svg}rect")
        if rect.attrib["fill"] in {"#0f766e", "#b8c0cc"}
    ]


def test_it_is_a_picture_with_a_bar_for_each_figure() -> None:
    """Four handlers and four servers, three times each."""
    assert 24 == len(_bars(render(document())))


def test_bars_are_to_scale_from_zero() -> None:
    """Half the value is half the bar, and the largest is the longest."""
    bars = _bars(render(document()))[:4]
    assert [LONGEST, LONGEST / 20] == pytest.approx([bars[0], bars[2]], 0.01)


def test_ours_is_the_last_of_each_panel() -> None:
    """Where the eye ends."""
    panels = [*handler_panels(document()), *server_panels(document())]
    assert {"thimble"} == {panel.bars[-1][0] for panel in panels}


def test_a_start_below_the_bare_handlers_still_shows() -> None:
    """Noise may make it negative; a bar cannot be."""
    changed = document()
    changed["handlers"]["starts"]["digits"]["ours"]["beyond_bare_ms"] = -0.3
    assert 24 == len([width for width in _bars(render(changed)) if width > 0])


def test_it_is_replaced_whole(tmp_path: Path) -> None:
    """Nothing else is left beside it."""
    file = tmp_path / "results.svg"
    write(document(), file)
    write(document(), file)
    assert [file] == list(tmp_path.iterdir())
    assert render(document()) == file.read_text()
