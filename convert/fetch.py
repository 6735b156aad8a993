"""Brings s3://bucket/key, a file or a folder, to this machine. The one file here that knows AWS.

It runs in the process that was started, which has credentials; the one that opens what was fetched
has none. What is fetched stays in a cache under the version that S3 calls it by, so that the same
object is asked for again and downloaded once.
"""

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from convert.errors import FetchError

SCHEME = "s3://"
CARD_KEYS = ("model", "calibration", "evaluation", "training")
_URL = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/(.+)")
_FORBIDDEN = ("403", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken")
_CHANGED = ("412", "PreconditionFailed")


def named_in(card: Path) -> list[str]:
    """Lists the S3 addresses in a card; a card that cannot be read has none.

    What is wrong with it is said by whoever reads all of it.
    """
    try:
        content = yaml.safe_load(card.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return []
    values = [content.get(key) for key in CARD_KEYS] if isinstance(content, dict) else []
    return [value for value in values if isinstance(value, str) and value.startswith(SCHEME)]


def fetch_all(urls: Iterable[str]) -> dict[str, Path]:
    """Fetches what is not here yet.

    Returns:
        Where each address lies on this machine: a file or a folder of the key's own name.

    Raises:
        FetchError: An address is none, nothing is there, or S3 does not let us.
    """
    wanted = sorted(set(urls))
    return {url: _fetch(_client(), url) for url in wanted} if wanted else {}


def _client() -> Any:  # noqa: ANN401  boto3 has no types
    import boto3  # a third of a second, and only remote models need it
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    patience = Config(connect_timeout=10, retries={"mode": "standard", "max_attempts": 3})
    try:
        # A session of its own: boto3's default one keeps the first credentials it saw.
        return boto3.Session().client("s3", config=patience)
    except BotoCoreError as error:  # a profile that is not there
        raise FetchError(f"AWS cannot be asked: {error}") from error


def _fetch(client: Any, url: str) -> Path:  # noqa: ANN401  see _client
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

    found = _URL.fullmatch(url)
    if found is None:
        raise FetchError(f"{url}: expected s3://BUCKET/KEY, a file or the folder of a SavedModel")
    bucket, key = found.groups()
    try:
        objects = _objects(client, bucket, key)
        if not objects:
            raise FetchError(f"{url}: not found: there is no such object, and nothing below {key}/")
        return _cached(client, url, bucket, objects)
    except NoCredentialsError as error:
        raise FetchError(
            f"{url}: no AWS credentials: run aws sso login or aws configure, or set AWS_PROFILE"
        ) from error
    except ClientError as error:
        raise FetchError(f"{url}: {_reason(error, bucket)}") from error
    except BotoCoreError as error:  # no connection, a wrong endpoint, a body cut short
        raise FetchError(f"{url}: {error}") from error
    except OSError as error:
        raise FetchError(f"{url}: cannot be kept in {_home()}: {error.strerror}") from error


def _objects(client: Any, bucket: str, key: str) -> dict[str, tuple[str, str]]:  # noqa: ANN401
    """Lists what an address means: key -> place in the folder ("." for a file itself), and ETag."""
    from botocore.exceptions import ClientError

    if not key.endswith("/"):
        try:
            return {key: (".", client.head_object(Bucket=bucket, Key=key)["ETag"])}
        except ClientError as error:
            # A HEAD says no more than that; the listing below says why.
            if error.response["Error"]["Code"] not in ("404", "403"):
                raise
    prefix = key.rstrip("/") + "/"
    found = {}
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    for page in pages:
        for entry in page.get("Contents", ()):
            place = entry["Key"].removeprefix(prefix)
            if not place or place.endswith("/"):  # what consoles write for an empty folder
                continue
            if ".." in PurePosixPath(place).parts or PurePosixPath(place).is_absolute():
                raise FetchError(f"s3://{bucket}/{entry['Key']}: not a name that a file may have")
            found[entry["Key"]] = (place, entry["ETag"])
    return found


def _cached(
    client: Any,  # noqa: ANN401  see _client
    url: str,
    bucket: str,
    objects: dict[str, tuple[str, str]],
) -> Path:
    version = hashlib.sha256(repr(sorted(objects.items())).encode()).hexdigest()[:16]
    home = _home() / hashlib.sha256(url.encode()).hexdigest()[:16] / version
    name = PurePosixPath(url).name
    if (home / name).exists():
        return home / name
    home.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".fetch-", dir=home.parent))
    try:
        for key, (place, etag) in objects.items():
            target = scratch / name / place
            target.parent.mkdir(parents=True, exist_ok=True)
            body = client.get_object(Bucket=bucket, Key=key, IfMatch=etag)["Body"]
            with target.open("wb") as file:
                shutil.copyfileobj(body, file)
        if not home.exists():  # else another process was sooner, with the very same
            scratch.rename(home)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return home / name


def _home() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "thimble" / "s3"


def _reason(error: Any, bucket: str) -> str:  # noqa: ANN401  see _client
    code = error.response["Error"]["Code"]
    if code == "NoSuchBucket":
        return f"there is no bucket {bucket!r} (or it is another partition's)"
    if code in _FORBIDDEN:
        return (
            f"AWS refuses ({code}): these credentials need s3:GetObject on it and s3:ListBucket on "
            f"{bucket!r} (aws sts get-caller-identity shows whose they are)"
        )
    if code in _CHANGED:
        return "it was replaced while it was read: run this again"
    return f"{code}: {error.response['Error'].get('Message', 'no reason given')}"
