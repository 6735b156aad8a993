"""The README's tables."""

from bench.table import handlers, render, servers
from tests.bench.document import document


def test_a_handler_is_a_row() -> None:
    """Start beyond the bare handler, what it adds to the base image, and its price."""
    expected = "| **thimble** | 9.0 ms | 9.0 ms | 0.52 / 0.91 ms | 8.5 MB | 31 MB | 0.27 |"
    assert expected in handlers(document())


def test_the_bare_handler_shows_its_whole_start() -> None:
    """It is what the others are measured from."""
    (row,) = [row for row in handlers(document()) if "bare" in row]
    assert "110 ms" in row


def test_a_quick_run_has_fewer_rows() -> None:
    """What was not measured is not shown."""
    quick = document()
    del quick["handlers"]["starts"]["digits"]["naive"]
    assert len(handlers(document())) == len(handlers(quick)) + 1


def test_a_server_is_a_row() -> None:
    """With its version, and its share of what the cores can compute."""
    expected = "| MLServer 1.0 | 1,400 | 2.5 ms | 0.14 ms | 1,400 | 93% | 60 MB | 0.4 s |"
    assert expected in servers(document())


def test_the_text_names_the_machine() -> None:
    """Figures without a machine mean nothing."""
    assert "2 cores of A Processor" in render(document())
