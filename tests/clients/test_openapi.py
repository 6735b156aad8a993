"""schemathesis, which reads /openapi.json and tries whatever it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fuzz.contract import check_contract

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES = 3
SEED = 66


@pytest.mark.parametrize("model", ["several", "picture"])
def test_the_server_does_what_its_document_says(
    request: pytest.FixtureRequest, model: str, tmp_path: Path
) -> None:
    """Statuses, content types, bodies and refusals are those of /openapi.json, route by route."""
    port = int(request.getfixturevalue(model).rpartition(":")[2])
    assert check_contract(port, tmp_path, EXAMPLES, SEED, twins=False) > 100
