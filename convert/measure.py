"""The size and the SHA-256 of a file or a folder."""

import hashlib
from pathlib import Path


def measure(path: Path) -> tuple[int, str]:
    """Computes bytes and sha256: of a file, or of a folder's names and contents."""
    if path.is_file():
        with path.open("rb") as file:
            return path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()
    digest, size = hashlib.sha256(), 0
    for entry in sorted(it for it in path.rglob("*") if it.is_file()):
        content = entry.read_bytes()
        size += len(content)
        digest.update(entry.relative_to(path).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(content).digest())
    return size, digest.hexdigest()
