"""One number for what convert would do: its own sources and the versions it stands on."""

import hashlib
from importlib import metadata
from pathlib import Path

TOOLS = ("tensorflow", "litert-quantizer", "ai-edge-litert")


def fingerprint() -> str:
    """Computes a sha256 over this package's sources and the versions of its tools.

    Whoever keeps results (the Pulumi program does) compares it to know when to convert again.
    Nothing heavy is imported.
    """
    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    for tool in TOOLS:
        digest.update(f"{tool}=={metadata.version(tool)}\n".encode())
    return digest.hexdigest()
