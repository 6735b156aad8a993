"""The workflows, parsed."""

from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".github" / "workflows"
FILES = sorted(FOLDER.glob("*.yml"))


def parse(path: Path) -> dict[Any, Any]:
    """Read one workflow. YAML 1.1 takes the key `on` for true."""
    document = yaml.safe_load(path.read_text())
    assert isinstance(document, dict)
    return document


@pytest.fixture(params=FILES, ids=lambda path: path.name)
def workflow(request: pytest.FixtureRequest) -> dict[Any, Any]:
    """Each workflow in turn."""
    return parse(request.param)


@pytest.fixture
def release() -> dict[Any, Any]:
    """The workflow that carries an image to production."""
    return parse(FOLDER / "release.yml")


@pytest.fixture
def deploy() -> dict[Any, Any]:
    """The workflow that deploys one stage."""
    return parse(FOLDER / "deploy.yml")
