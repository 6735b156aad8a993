"""Running servers of models small enough to know their answers, for clients that are not ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fuzz.models import write_models
from tests.fuzz.wire import server

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def environments(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """The handler's environment for each model."""
    return write_models(tmp_path_factory.mktemp("clients"))


@pytest.fixture(scope="session")
def several(
    environments: dict[str, dict[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Address of a model with three inputs, three outputs and every dimension unknown.

    It answers log(a), a + b and ids + ids.
    """
    log = tmp_path_factory.mktemp("several") / "log"
    with server(environments["several"], log) as (_, port):
        yield f"127.0.0.1:{port}"


@pytest.fixture(scope="session")
def picture(
    environments: dict[str, dict[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Address of a model that takes pictures of 8 x 8 and answers their pixels."""
    log = tmp_path_factory.mktemp("picture") / "log"
    with server(environments["picture"], log) as (_, port):
        yield f"127.0.0.1:{port}"
