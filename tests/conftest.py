"""How `make test` spreads the suite over two processes (pytest-xdist); a plain `pytest` runs one.

A folder's tests stay together, so that what its session fixtures make is made once. The longest
start first: tests/e2e mostly waits for containers and emulators, and the rest fits beside it.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest
from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:
    from xdist.dsession import DSession
    from xdist.remote import Producer
    from xdist.workermanage import WorkerController

# In this order. The rehearsal has environments of its own, but shares a base image with the rest of
# e2e, which has made it by then.
PIECES = ("e2e", "convert", "rehearsal", "local", "handler", "infra")
# What a session's fixtures may take to put down what they put up.
CLEAN_UP_SECONDS = 120


def piece(nodeid: str) -> str:
    """What stays in one process: a folder of tests/, but the rehearsal is a piece of its own."""
    return "rehearsal" if "/test_rehearse.py::" in nodeid else nodeid.split("/")[1]


class ByPiece(LoadScopeScheduling):  # type: ignore[misc]  # xdist publishes no types
    """Hands out pieces whole."""

    def _split_scope(self, nodeid: str) -> str:
        return piece(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByPiece:
    """Hand out pieces in the order of collection, and never more finely, whatever `--dist` says."""
    config.option.loadscopereorder = False
    return ByPiece(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long pieces first; within a piece nothing moves."""

    def place(item: pytest.Item) -> int:
        name = piece(item.nodeid)
        return PIECES.index(name) if name in PIECES else len(PIECES)

    items.sort(key=place)


def pytest_configure(config: pytest.Config) -> None:
    """Keep the terminal's Ctrl-C from a process that xdist started: it comes once, from below."""
    if hasattr(config, "workerinput"):
        os.setpgid(0, 0)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """On Ctrl-C, pass it on and wait until fixtures have cleaned up; xdist would kill them."""
    dsession: DSession | None = session.config.pluginmanager.getplugin("dsession")
    if dsession is None:
        return
    # None is left unless interrupted.
    nodes: list[WorkerController] = [n for n in dsession._active_nodes if hasattr(n, "workerinfo")]
    for node in nodes:
        os.killpg(node.gateway._rinfo().pid, signal.SIGINT)
    for node in nodes:
        node.channel.waitclose(CLEAN_UP_SECONDS)
