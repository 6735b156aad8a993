"""The handler itself, called as Lambda calls it."""

from __future__ import annotations

import base64
import contextlib
import io
import os
from random import Random
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from tests.fuzz.corpus import Call, corpus
from tests.fuzz.judge import Answer
from tests.fuzz.memory import used
from tests.fuzz.mutate import mutate
from tests.fuzz.tally import Tally

if TYPE_CHECKING:
    from types import ModuleType

# Between two checks that the good requests still get the very answers that they got at first.
_CHECK_EVERY = 500
# Requests found on the way that were answered in a new way, and are changed further.
_MOST_FOUND = 2_000


def fuzz_events(environment: dict[str, str], model: str, count: int, seed: int) -> Tally:
    """Send mutated events to handler.app.handler.

    Args:
        environment: The handler's.
        model: Its name; one of models.py.
        count: How many.
        seed: Of everything random.

    Returns:
        What came of them.
    """
    with patch.dict(os.environ, environment):
        app = _load()
    random = Random(seed)
    seeds = corpus(model)
    tally = Tally(f"{model}: events")
    good = [(call, _send(app, call, random)) for call in seeds]
    for call, answer in good:
        tally.expect(call, answer)
    found = list(seeds)
    first = seen = 0
    for number in range(count):
        # Half of them from what worked, half from what was answered in a way not seen before.
        call = mutate(random.choice(random.choice((seeds, found))), random)
        answer = _send(app, call, random)
        if tally.count(call, answer) and len(found) < _MOST_FOUND:
            found.append(call)
        if number % _CHECK_EVERY == 0:
            call, answer = good[seen % len(good)]
            seen += 1
            tally.same(call, answer, _send(app, call, random))
        if number == count // 5:
            first = used()
    tally.remember(first, used())
    return tally


def _load() -> ModuleType:
    """handler.app with the model that the environment names."""
    from handler import app
    from handler.service import open_service

    app.SERVICE = open_service(os.environ)
    return app


def _send(app: ModuleType, call: Call, random: Random) -> Answer:
    """One call of the handler; its own lines on stdout and stderr are not what is looked at."""
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": call.path,
        "rawQueryString": call.query,
        "headers": call.headers,
        "requestContext": {"http": {"method": call.method}, "stage": "$default"},
        "isBase64Encoded": False,
    }
    try:
        event["body"] = call.body.decode()
    except UnicodeDecodeError:
        event.update(body=base64.b64encode(call.body).decode(), isBase64Encoded=True)
    if not call.body and random.random() < 0.5:
        del event["body"]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        answer = app.handler(event, None)
    body = answer["body"].encode()
    if answer["isBase64Encoded"]:
        body = base64.b64decode(body, validate=True)
    headers = dict(answer["headers"])
    if call.method == "HEAD" and not body:
        # The headers are GET's, and speak of a body that is not there.
        headers.pop("content-encoding", None)
        body = b'{"error":"HEAD"}'
    return Answer(answer["statusCode"], headers, body)
