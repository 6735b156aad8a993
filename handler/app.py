"""AWS Lambda's way in: API Gateway's HTTP API events (payload 2.0) <-> requests and answers.

Importing this module loads the model: Lambda does that once per execution environment, before the
first event, and a model that cannot be served fails the initialisation with its reason.
"""

from __future__ import annotations

import binascii
import gc
import os
from time import monotonic

# What is imported and loaded from here on stays: looking through it for garbage is time lost.
gc.disable()

from handler.model_file import map_model  # noqa: E402

# A large model is hashed while everything else is imported.
FILE = map_model(os.environ) if os.environ.get("MODEL_BACKEND", "litert") == "litert" else None

from handler.errors import BadRequestError, RequestError, TooLargeError  # noqa: E402
from handler.messages import MAX_BINARY_BYTES  # noqa: E402
from handler.service import Request, Response, open_service  # noqa: E402

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

try:
    SERVICE = open_service(os.environ, FILE)
finally:
    gc.enable()


_FOREIGN = "the event is not API Gateway's: set payload format version 2.0"


def read_event(
    event: dict[str, Any], request_id: str = "", deadline: float | None = None
) -> Request:
    """Translate an event.

    Args:
        event: API Gateway's.
        request_id: Lambda's id.
        deadline: When Lambda stops the function, by `time.monotonic`.

    Raises:
        BadRequestError: The event is of another kind, or its body is marked as base64 and is not.
        TooLargeError: The body came as base64 of more than `MAX_BINARY_BYTES`. Lambda itself ends
            little above that, with an answer that is not ours.
    """
    if event.get("version") != "2.0" or "rawPath" not in event:
        raise BadRequestError(_FOREIGN)
    context = event["requestContext"]
    path = event["rawPath"]
    stage = context.get("stage", "$default")
    # A stage with a name is part of the path.
    if stage != "$default" and path.startswith(f"/{stage}/"):
        path = path[len(stage) + 1 :]
    if "%" in path:
        from urllib.parse import unquote  # rare, and 3 ms of cold start

        path = unquote(path)
    text = event.get("body") or ""
    if event.get("isBase64Encoded"):
        if len(text) > 4 * MAX_BINARY_BYTES // 3:
            raise TooLargeError(
                f"the body has {3 * len(text) // 4} bytes, at most {MAX_BINARY_BYTES} are taken "
                "that come as base64 (whatever is no text, or compressed)"
            )
        from handler import base64_body  # JSON never needs it

        try:
            body = base64_body.decode(text)
        except ValueError as error:
            raise BadRequestError("the body is marked as base64 and is not") from error
    else:
        # A lone surrogate is refused later, as a body that is not UTF-8.
        body = text.encode("utf-8", "surrogatepass")
    headers = {name.lower(): value for name, value in event.get("headers", {}).items()}
    query = event.get("rawQueryString", "")
    return Request(context["http"]["method"], path, headers, body, request_id, query, deadline)


def write_answer(response: Response) -> dict[str, object]:
    """Translate an answer; what is no text travels as base64."""
    text = response.is_text
    body = response.body if text else binascii.b2a_base64(response.body, newline=False)
    return {
        "statusCode": response.status,
        "headers": response.headers,
        "body": body.decode(),
        "isBase64Encoded": not text,
    }


def handler(event: dict[str, Any], context: object) -> dict[str, object]:
    """Answer one API Gateway event."""
    # Called by hand there may be no context.
    left = getattr(context, "get_remaining_time_in_millis", None)
    deadline = None if left is None else monotonic() + left() / 1000
    try:
        request = read_event(event, getattr(context, "aws_request_id", ""), deadline)
    except RequestError as error:
        return write_answer(SERVICE.refuse(error))
    except (AttributeError, KeyError, TypeError):
        # Whoever invokes the function without the gateway may send anything.
        return write_answer(SERVICE.refuse(BadRequestError(_FOREIGN)))
    response = SERVICE.answer(request)
    if request.method == "HEAD":
        response.body = b""
    return write_answer(response)
