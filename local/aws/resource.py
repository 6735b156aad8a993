"""What all emulated AWS resources share: clients, physical names, comparing, not being there."""

from __future__ import annotations

import secrets
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from local.emulator import CREDENTIALS, REGION
from local.errors import DeploymentError
from local.provider import Diff, changed_keys
from local.values import UNKNOWN, contains

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.emulator import Emulator
    from local.values import Properties

ACCOUNT = "000000000000"
ON_MOTO = ("sagemaker", "application-autoscaling")
# Parts of the codes with which services say that something is not there.
GONE = ("NotFound", "NoSuchEntity", "NonExistent")
# moto reports what is missing in SageMaker and its autoscaling as a validation error with these.
GONE_TEXTS = ("could not find", "no scaling policy found", "no scalable target found")

# What each API calls the ARN, the tags and their names, and whether its tags are a list.
TAGGING = {
    "apigatewayv2": ("ResourceArn", "Tags", "TagKeys", False),
    "cloudwatch": ("ResourceARN", "Tags", "TagKeys", True),
    "ecr": ("resourceArn", "tags", "tagKeys", True),
    "lambda": ("Resource", "Tags", "TagKeys", False),
    "logs": ("resourceArn", "tags", "tagKeys", False),
    "sns": ("ResourceArn", "Tags", "TagKeys", True),
}
GONE_BY_HAND = (
    "was it, or what it needs, deleted by hand? a refresh forgets what is gone "
    "(`python -m local refresh --apply`), and `up` makes it again"
)


class Aws:
    """Clients for one emulator."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.client: Callable[[str], Any] = cache(self._client)

    def _client(self, service: str) -> Any:  # noqa: ANN401 - boto3 makes its clients at run time
        emulator = self.emulator
        return boto3.client(
            service,
            endpoint_url=emulator.sagemaker_url if service in ON_MOTO else emulator.url,
            region_name=REGION,
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            config=Config(retries={"max_attempts": 2}, max_pool_connections=20),
        )


class Resource:
    """Base of every type. A subclass says what the type is called and how AWS is asked for it.

    Attributes:
        token: Pulumi's type token.
        service: boto3's name of the service.
        physical: Input that holds the physical name; made up from the logical one when absent.
        fixed: Inputs that AWS cannot change in place.
        volatile: Outputs that an update may change; unknown in a preview of one.
    """

    token: ClassVar[str]
    service: ClassVar[str]
    physical: ClassVar[str | None] = None
    fixed: ClassVar[frozenset[str]] = frozenset()
    volatile: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, aws: Aws) -> None:
        self.aws = aws

    @property
    def client(self) -> Any:  # noqa: ANN401 - boto3 makes its clients at run time
        """The client of the type's service."""
        return self.aws.client(self.service)

    def make(self, news: Properties) -> tuple[str, Properties]:
        """Create it: id and computed outputs."""
        raise NotImplementedError

    def change(self, id_: str, outputs: Properties, news: Properties) -> Properties:
        """Update it in place; for types that are put, creating again is updating."""
        del id_, outputs
        return self.make(news)[1]

    def retag(self, outputs: Properties, wanted: dict[str, str], gone: list[str]) -> None:
        """Set these tags and take those away.

        Raises:
            DeploymentError: The type's tags cannot be changed here.
        """
        if self.service not in TAGGING:
            raise DeploymentError(
                f"the embedded AWS cannot change the tags of a {self.token}; leave them as they "
                "were, or add its service to local/aws/resource.py"
            )
        arn, tags_, keys, as_list = TAGGING[self.service]
        if wanted:
            given = tags({"tags": wanted}) if as_list else wanted
            self.client.tag_resource(**{arn: outputs["arn"], tags_: given})
        if gone:
            self.client.untag_resource(**{arn: outputs["arn"], keys: gone})

    def look(self, id_: str, outputs: Properties) -> Properties:
        """What AWS says of it now, in the inputs' names; raise ClientError when it is gone."""
        raise NotImplementedError

    def remove(self, id_: str, outputs: Properties) -> None:
        """Delete it."""
        raise NotImplementedError

    def identify(self, news: Properties) -> str:
        """Its id as far as the inputs tell, for cleaning up after a creation that was cut off."""
        return str(news.get(self.physical, "")) if self.physical else ""

    def check(self, name: str, olds: Properties, news: Properties) -> Properties:
        """Give it a physical name as the real provider does: the logical one, a random tail."""
        if self.physical and news.get(self.physical) is None:
            made_up = f"{name}-{secrets.token_hex(4)[:7]}"
            return {**news, self.physical: olds.get(self.physical) or made_up}
        return news

    def diff(self, id_: str, inputs: Properties, outputs: Properties, news: Properties) -> Diff:
        """Compare inputs; a change to a fixed one replaces."""
        del id_, outputs
        changed = changed_keys(inputs, news)
        replaces = tuple(key for key in changed if key in self.fixed)
        # With the same physical name, the old one must go before the new one can come.
        same_name = self.physical is not None and self.physical not in replaces
        return Diff(changed, replaces, delete_first=same_name)

    def foresee(self, outputs: Properties, news: Properties, diff: Diff) -> Properties:
        """All outputs but those that an update may change."""
        del diff
        certain = {k: v for k, v in outputs.items() if k not in self.volatile}
        return {k: v for k, v in {**certain, **news}.items() if not contains(v, UNKNOWN)}

    def create(self, news: Properties, *, resume: bool) -> tuple[str, Properties]:
        """Make it, after removing what an interrupted creation may have left."""
        if resume and self.identify(news):
            self.delete(self.identify(news), news)
        return self.make(news)

    def update(self, id_: str, outputs: Properties, news: Properties) -> Properties:
        """Change it in place, keeping computed outputs that the change does not name."""
        try:
            computed = self.change(id_, outputs, news)
            before, after = outputs.get("tags") or {}, news.get("tags") or {}
            if before != after:
                self.retag(outputs, after, sorted(before.keys() - after.keys()))
        except ClientError as error:
            if _is_gone(error):
                raise DeploymentError(f"{error}; {GONE_BY_HAND}") from error
            raise
        return {**outputs, **news, **computed}

    def read(self, id_: str, outputs: Properties) -> Properties | None:
        """What is there of what was asked for, or None; AWS's own defaults are no difference."""
        try:
            return {k: v for k, v in self.look(id_, outputs).items() if k in outputs}
        except ClientError as error:
            if _is_gone(error):
                return None
            raise

    def delete(self, id_: str, outputs: Properties) -> None:
        """Remove it; being gone already is as good."""
        try:
            self.remove(id_, outputs)
        except ClientError as error:
            if not _is_gone(error):
                raise


def pascal(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Names as AWS's JSON APIs spell them: camelCase to PascalCase, at every depth."""
    if isinstance(value, dict):
        return {k[:1].upper() + k[1:]: pascal(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [pascal(v) for v in value]
    return value


def some(**arguments: Any) -> Properties:  # noqa: ANN401 - whatever the API takes
    """Arguments of a call without those that are None: boto3 takes no None."""
    return {k: v for k, v in arguments.items() if v is not None}


def tags(news: Properties, key: str = "Key", value: str = "Value") -> list[dict[str, str]]:
    """Tags as the list that most APIs take."""
    return [{key: k, value: v} for k, v in (news.get("tags") or {}).items()]


def _is_gone(error: ClientError) -> bool:
    code = str(error.response.get("Error", {}).get("Code", ""))
    text = str(error.response.get("Error", {}).get("Message", "")).lower()
    return any(word in code for word in GONE) or any(words in text for words in GONE_TEXTS)
