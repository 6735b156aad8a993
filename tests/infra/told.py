"""Settings of a stack that is told some."""

import json
from typing import Any

import pytest

from infra.errors import SettingsError
from infra.settings import Settings

REAL = {"aws:allowedAccountIds": '["111111111111"]'}
EMULATED = {"aws:allowedAccountIds": '["000000000000"]'}


def read(stack: str = "dev", **own: Any) -> Settings:
    """Settings of a stack that is told these, areas passed as the engine passes them: JSON text."""
    given = {
        f"thimble:{key}": value if isinstance(value, str) else json.dumps(value)
        for key, value in own.items()
    }
    account = EMULATED if stack == "local" else REAL
    return Settings.from_values(stack, {**account, **given})


def fault(stack: str = "dev", **own: Any) -> str:
    """What a stack that is told these is refused with."""
    with pytest.raises(SettingsError) as caught:
        read(stack, **own)
    return str(caught.value)
