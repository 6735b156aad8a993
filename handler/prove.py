"""`python3 -m handler.prove`: the image's own test, run while it is built.

Loads the model as Lambda will, runs it on zeros and, where it takes pictures, decodes one. Prints
one line and exits 0, or says on one line what is wrong and exits 1.
"""

from __future__ import annotations

import os
import struct
import sys
import zlib

from handler.errors import HandlerError
from handler.protocols import image
from handler.service import open_service
from handler.tensor import zeros

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def prove(settings: Mapping[str, str]) -> str:
    """Load and run the model once.

    Raises:
        HandlerError: It cannot be served.
    """
    predictor = open_service(settings).predictor
    manifest = predictor.manifest
    # Not through the predictor: what a model makes of zeros may well be infinite.
    signature = predictor.signature()
    answers = predictor.backend.run({spec.name: zeros(spec) for spec in manifest.inputs}, signature)
    if manifest.picture is not None:
        tensors, _ = image.parse(_png(), "image/png", manifest)
        answers = predictor.predict(tensors)
    # What nothing of the above needs: the server's library, and those of large bodies.
    import orjson  # noqa: F401
    import pybase64  # noqa: F401

    import handler.server.worker  # noqa: F401

    shapes = ", ".join(f"{name} {list(tensor.shape)}" for name, tensor in answers.items())
    return f"{manifest.name} ({manifest.recipe}, sha256 {manifest.sha256[:12]}) gives {shapes}"


def _png() -> bytes:
    """A picture of one grey pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\x00\x80"))
        + chunk(b"IEND", b"")
    )


if __name__ == "__main__":
    try:
        print(prove(os.environ))
    except (HandlerError, ImportError) as error:
        sys.exit(f"cannot serve this model: {error}")
