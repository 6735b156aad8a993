"""What loads of a server say together."""

from bench.load import together


def test_parts_of_a_load_add_up() -> None:
    """Counts and times are sums; one bad moment is seen in the longest time alone."""
    each = [
        {"requests": n, "seconds": 1.0, "p50_ms": ms, "p99_ms": 2 * ms, "max_ms": 3 * ms}
        for n, ms in ((100, 1.0), (90, 1.5), (20, 8.0))
    ]

    expected = {"requests": 210, "seconds": 3.0, "p50_ms": 1.5, "p99_ms": 3.0, "max_ms": 24.0}
    assert expected == together(each)
