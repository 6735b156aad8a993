"""The aws types that the program uses, on an emulator, in the terms of Pulumi's aws provider."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from local.aws import ecr, endpoint, functions, gateway, iam, watch
from local.aws.resource import ACCOUNT, Aws
from local.emulator import REGION

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.emulator import Emulator
    from local.provider import Provider
    from local.values import Properties


def providers(emulator: Emulator) -> dict[str, Provider]:
    """Every aws type by its token."""
    aws = Aws(emulator)
    modules = (ecr, iam, functions, gateway, watch, endpoint)
    return {kind.token: kind(aws) for module in modules for kind in module.TYPES}


def functions_of(emulator: Emulator) -> dict[str, Callable[[Properties], Properties]]:
    """Every aws provider function by its token."""
    return {
        "aws:ecr/getAuthorizationToken:getAuthorizationToken": partial(
            ecr.authorization_token, Aws(emulator)
        ),
        "aws:index/getCallerIdentity:getCallerIdentity": _caller_identity,
        "aws:index/getRegion:getRegion": _region,
    }


def _caller_identity(arguments: Properties) -> Properties:
    del arguments
    arn = f"arn:aws:iam::{ACCOUNT}:root"
    return {"id": ACCOUNT, "accountId": ACCOUNT, "arn": arn, "userId": ACCOUNT}


def _region(arguments: Properties) -> Properties:
    del arguments
    return {"id": REGION, "name": REGION, "region": REGION, "description": "US East (N. Virginia)"}
