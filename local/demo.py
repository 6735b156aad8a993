"""The end of `up`: a real picture sent through the gateway, and what the model lost and gained."""

from __future__ import annotations

import http.client
import json
import shlex
import time
import urllib.parse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from local import emulator
from local.errors import LocalError
from local.home import PROJECT, say

if TYPE_CHECKING:
    from local.stack import LocalStack

TIMEOUT_SECONDS = 60.0
# A new function answers 5xx while its first container starts.
ATTEMPTS = 5


def show(stack: LocalStack) -> None:
    """Send the model's first sample picture and print the answer, the report and a curl line.

    Raises:
        LocalError: The API did not answer with a prediction.
    """
    outputs = stack.outputs()
    named = PROJECT / stack.config["thimble:model"]
    card_path = named if named.suffix in (".yaml", ".yml") else named / "model.yaml"
    card = yaml.safe_load(card_path.read_text())
    samples = sorted((card_path.parent / "samples").glob("*.png"))
    _report(stack)
    say(f"url         {outputs['url']}")
    model = f"{str(outputs['url']).rstrip('/')}/v1/models/{card['name']}"
    if not samples or not card.get("picture"):
        say(
            f"nothing to show it: no picture in the card, or no samples/*.png; see {model}/metadata"
        )
        return
    who = auth(stack)
    if who == "jwt":
        say("try it with a token of your issuer: Authorization: Bearer ...")
        return
    sample = samples[len(samples) // 2]
    url = f"{model}:image"
    picture = sample.read_bytes()
    answer = ask(url, picture, signed(url, picture) if who == "iam" else {})
    best = answer["predictions"][0]
    shown = sample.relative_to(PROJECT)
    say(f"prediction  {shown} is {best['label']!r}, confidence {best['score']:.1%}")
    say("\ntry it yourself:")
    key = "--aws-sigv4 aws:amz:us-east-1:execute-api --user test:test " if who == "iam" else ""
    say(
        f"  curl {key}-H 'Content-Type: image/png' --data-binary @{shlex.quote(str(shown))} '{url}'"
    )
    say("\nwhat it would cost on AWS: make cost")


def ask(url: str, picture: bytes, extra: dict[str, str]) -> dict[str, Any]:
    """POST a picture; `*.localhost` is this machine, whether or not the resolver knows.

    Raises:
        LocalError: The API did not answer 200.
    """
    for attempt in range(ATTEMPTS):
        time.sleep(attempt)
        try:
            status, body = _post(url, picture, extra)
        except (OSError, http.client.HTTPException) as error:
            said = f"does not answer ({error or type(error).__name__})"
            continue
        if status == http.client.OK:
            return dict(json.loads(body))
        said = f"answered {status}: {body.decode(errors='replace')[:300]}"
        if status < http.client.INTERNAL_SERVER_ERROR:
            break
    raise LocalError(f"{url} {said}; `python -m local refresh` shows what was changed by hand")


def _post(url: str, picture: bytes, extra: dict[str, str]) -> tuple[int, bytes]:
    parts = urllib.parse.urlsplit(url)
    host = "127.0.0.1" if str(parts.hostname).endswith("localhost") else str(parts.hostname)
    headers = {"Host": parts.netloc, "Content-Type": "image/png", **extra}
    connection = http.client.HTTPConnection(host, parts.port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("POST", parts.path, picture, headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def auth(stack: LocalStack) -> str:
    """Who may call this stack's API, by its settings."""
    return str(json.loads(stack.config["thimble:api"])["auth"])


def signed(url: str, picture: bytes) -> dict[str, str]:
    """Headers that a caller with AWS credentials sends: here the emulator's root key."""
    request = AWSRequest("POST", url, data=picture, headers={"Content-Type": "image/png"})
    key = Credentials(*emulator.CREDENTIALS.values())
    SigV4Auth(key, "execute-api", emulator.REGION).add_auth(request)
    return dict(request.headers)


def _report(stack: LocalStack) -> None:
    """The model before and after, as its conversion measured it."""
    document = json.loads((stack.home.stack(stack.name) / "state.json").read_text())
    for resource in document["resources"]:
        artifact = resource["outputs"].get("artifact")
        if artifact:
            report = PROJECT / Path(artifact) / "report.md"
            say("\n" + report.read_text().strip() + "\n")
