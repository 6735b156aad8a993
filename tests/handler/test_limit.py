"""How long something on a connection may last."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from handler.server.limit import Limit


@contextmanager
def limit(seconds: float) -> Iterator[tuple[Limit, list[float], Callable[[float], None]]]:
    """A limit, when it called back, and what lets a loop run for a while."""
    loop = asyncio.new_event_loop()
    late: list[float] = []
    found = Limit(loop, seconds, lambda: late.append(loop.time()))
    try:
        yield found, late, lambda time: loop.run_until_complete(asyncio.sleep(time))
    finally:
        loop.close()


def test_what_lasts_too_long_is_called_once() -> None:
    """And not again, although nobody has ended it."""
    with limit(0.02) as (watched, late, run):
        watched.begin()
        run(0.1)

        assert 1 == len(late)
        assert watched.since is None


def test_what_has_ended_is_not_called() -> None:
    """The timer finds nothing that lasts."""
    with limit(0.02) as (watched, late, run):
        watched.begin()
        watched.since = None
        run(0.1)

        assert [] == late


def test_what_begins_again_has_its_whole_time() -> None:
    """The timer of what came before it looks, and waits for the rest."""
    with limit(0.2) as (watched, late, run):
        watched.begin()
        run(0.1)
        watched.begin()
        since = watched.since
        run(0.4)

        assert since is not None
        assert 1 == len(late)
        assert since + 0.2 <= late[0]


def test_what_is_closed_is_not_called() -> None:
    """A connection that is gone cannot be late."""
    with limit(0.02) as (watched, late, run):
        watched.begin()
        watched.close()
        run(0.1)

        assert [] == late
