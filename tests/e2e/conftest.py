"""One embedded stack for the whole session, deployed by the real command from a copy of the tree.

A copy, because these tests edit the model's card and must never touch the working tree; and because
it is what a user has after `git clone`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.project import Project, copy_of_the_tree

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A copy of the project with stack `local` up, taken down after the last test."""
    made = Project(copy_of_the_tree(tmp_path_factory.mktemp("project")))
    try:
        made.ok("local", "up")
        yield made
    finally:
        made.run("local", "down", "--discard")
