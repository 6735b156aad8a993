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
    """Send the model's first sample picture and print the answer, the report and a curl line."""
    outputs = stack.outputs()
    card_path = PROJECT / stack.config["thimble:model"] / "model.yaml"
    card = yaml.safe_load(card_path.read_text())
    samples = sorted((card_path.parent / "samples").glob("*.png"))
    _report(stack)
    say(f"url         {outputs['url']}")
    who = auth(stack)
    if not samples or who == "jwt":
        say("try it with a token of your issuer: Authorization: Bearer ...")
        return
    sample = samples[len(samples) // 2]
    url = f"{str(outputs['url']).rstrip('/')}/v1/models/{card['name']}:image"
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


def ask(url: str, picture: bytes, extra: dict[str, str]) -> dict[str, Any]:
    """POST a picture; `*.localhost` is this machine, whether or not the resolver knows.

    Raises:
        LocalError: The API did not answer 200.
    """
    parts = urllib.parse.urlsplit(url)
    host = "127.0.0.1" if str(parts.hostname).endswith("localhost") else str(parts.hostname)
    headers = {"Host": parts.netloc, "Content-Type": "image/png", **extra}
    status, body = 0, b""
    for attempt in range(ATTEMPTS):
        connection = http.client.HTTPConnection(host, parts.port, timeout=TIMEOUT_SECONDS)
        try:
            connection.request("POST", parts.path, picture, headers)
            response = connection.getresponse()
            status, body = response.status, response.read()
        finally:
            connection.close()
        if status < http.client.INTERNAL_SERVER_ERROR:
            break
        time.sleep(attempt)
    if status != http.client.OK:
        raise LocalError(f"{url} answered {status}: {body.decode(errors='replace')[:300]}")
    return dict(json.loads(body))


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
