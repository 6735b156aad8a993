"""What the remote backends share: one columnar JSON request out, one answer or one error back."""

from __future__ import annotations

from handler.errors import BadRequestError, NotReadyError, StartupError
from handler.protocols import strict_json, tfserving
from handler.quantization import dequantize

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from handler.manifest import Manifest, Signature
    from handler.tensor import Tensor

# Only these blame the values; a 404 or a 403 from over there is a mistake in our own settings.
_CLIENT_FAULTS = frozenset((400, 413, 422))
_LONGEST = 500
_OK = 200
_STRANGER = "the model's backend did not answer with this model's outputs"


def timeout_seconds(settings: Mapping[str, str]) -> float:
    """BACKEND_TIMEOUT_MS in seconds; by default 25, under the function's own 28.

    Raises:
        StartupError: It is not a number of milliseconds.
    """
    text = settings.get("BACKEND_TIMEOUT_MS", "25000")
    if not text.isdecimal() or int(text) == 0:
        raise StartupError(f"BACKEND_TIMEOUT_MS is '{text}', expected milliseconds such as 25000")
    return int(text) / 1000


def setting(settings: Mapping[str, str], name: str, backend: str) -> str:
    """A setting that this backend cannot do without.

    Raises:
        StartupError: It is not set.
    """
    value = settings.get(name, "")
    if not value:
        raise StartupError(f"{name} is not set, and MODEL_BACKEND={backend} needs it")
    return value


def write_request(tensors: Mapping[str, Tensor], signature: Signature, manifest: Manifest) -> bytes:
    """The request's body. What came as a quantized model's integers goes on as floats."""
    floats = {spec.name: dequantize(tensors[spec.name], spec) for spec in signature.inputs}
    document = tfserving.render_request(floats)
    # Left out where it says nothing new: not every server that speaks this protocol reads it.
    if signature.name != manifest.signature:
        document["signature_name"] = signature.name
    return strict_json.render(document)


def read_answer(status: int, body: bytes, signature: Signature) -> dict[str, Tensor]:
    """The answer's tensors, or the error to answer with.

    Raises:
        BadRequestError: The backend blames the request; its message goes on to the client.
        NotReadyError: The backend failed, or answered something else than this model's outputs.
    """
    if status in _CLIENT_FAULTS:
        raise BadRequestError(_message(body))
    if status != _OK:
        raise NotReadyError(f"the model's backend answered {status}; try again")
    try:
        tensors = tfserving.parse_answer(strict_json.parse(body), signature.outputs)
    except BadRequestError as error:
        raise NotReadyError(_STRANGER) from error
    if not all(spec.accepts(tensors[spec.name].shape) for spec in signature.outputs):
        raise NotReadyError(_STRANGER)
    return tensors


def _message(body: bytes) -> str:
    """The backend's own words, when it speaks our way; on one line and not too long."""
    try:
        document = strict_json.parse(body)
    except BadRequestError:
        document = None
    words = document.get("error") if isinstance(document, dict) else None
    if not isinstance(words, str):
        return "the model's backend refused the request"
    return " ".join(words.split())[:_LONGEST]
