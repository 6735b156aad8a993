"""model.tflite in memory, and the proof that it is the file that was converted.

About half of all randomly damaged .tflite files load, run and answer nonsense, and a third end the
process at once: hence a sha256 at every start, before LiteRT sees the bytes. What was hashed is
what is run: LiteRT is given the same memory, not the path.
"""

from __future__ import annotations

import os
import sys
from threading import Thread

from handler.errors import StartupError
from handler.native import Library, Memory, c_int64, c_size_t, c_void_p

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

_SMALL = 1 << 19


class ModelFile:
    """The file, mapped. Hashing a large one begins at once, in a thread.

    Args:
        path: The file.

    Attributes:
        memory: Its bytes; empty where it could not be read, which `check` reports.
    """

    __slots__ = ("_digest", "_error", "_path", "_thread", "memory")

    def __init__(self, path: str) -> None:
        self._path = path
        self._digest = ""
        self._error: OSError | None = None
        self._thread: Thread | None = None
        try:
            with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - pathlib costs 4 ms
                self.memory = Memory(os.fstat(file.fileno()).st_size, file.fileno())
        except OSError as error:
            self._error = error
            self.memory = Memory(1)
            return
        if len(self.memory) < _SMALL:
            self._hash(_quickest_sha256())
            return
        # Here: what has to be imported for it must not wait for a thread.
        digest = _fastest_sha256()
        self._thread = Thread(target=self._hash, args=(digest,), daemon=True)
        self._thread.start()

    def check(self, expected: str) -> None:
        """Wait for the sha256, and hold the file to what is expected.

        Raises:
            StartupError: The file cannot be read, or is another.
        """
        if self._thread is not None:
            self._thread.join()
        if self._error is not None:
            raise StartupError(
                f"cannot read {self._path}: {self._error.strerror or self._error}; "
                "MODEL_DIR names the folder that convert wrote"
            ) from self._error
        if self._digest != expected:
            raise StartupError(
                f"{self._path} has sha256 {self._digest}, model.json expects {expected}: "
                "the two are not from one conversion, build the image again"
            )

    def _hash(self, digest: Callable[[Memory], str]) -> None:
        self._digest = digest(self.memory)


def map_model(settings: Mapping[str, str]) -> ModelFile:
    """Begin with the file that the environment names."""
    return ModelFile(model_path(settings))


def model_path(settings: Mapping[str, str]) -> str:
    """Where the environment says that the file is."""
    return f"{settings.get('MODEL_DIR', '/opt/model')}/model.tflite"


def _quickest_sha256() -> Callable[[Memory], str]:
    """For little: OpenSSL's where the process has it, else Python's own.

    It has it where the runtime's client is one that imports http.client.
    """
    try:
        # It takes 1.5 ms to load.
        return _openssl_sha256(Library("libcrypto.so.3", present=True))
    except OSError:
        return _builtin_sha256


def _fastest_sha256() -> Callable[[Memory], str]:
    """For much: OpenSSL's, five times as fast, without the interpreter lock."""
    try:
        return _openssl_sha256(Library("libcrypto.so.3"))
    except OSError:  # another OpenSSL
        from hashlib import sha256

        return lambda memory: sha256(memory.view).hexdigest()


def _builtin_sha256(memory: Memory) -> str:
    """Python's own, which hashlib falls back on."""
    # Its name since Python 3.12, and before; to look for the wrong one first takes 0.1 ms.
    module = "_sha2" if sys.version_info >= (3, 12) else "_sha256"
    try:
        sha256: Callable[[memoryview], Any] = __import__(module).sha256
    except ImportError:  # Python was built without it
        from hashlib import sha256
    return str(sha256(memory.view).hexdigest())


def _openssl_sha256(openssl: Library) -> Callable[[Memory], str]:
    """From its library: hashlib has all of OpenSSL prepare itself first, 4 ms instead of 1.5.

    Raises:
        OSError: The library has no such functions.
    """
    begin = openssl.function("SHA256_Init", (c_void_p,))
    update = openssl.function("SHA256_Update", (c_void_p, c_void_p, c_size_t), slow=True)
    end = openssl.function("SHA256_Final", (c_void_p, c_void_p))

    def digest(memory: Memory) -> str:
        state, found = (c_int64 * 32)(), (c_int64 * 4)()  # SHA256_CTX has 112 bytes
        begin(state)
        update(state, memory.address, len(memory))
        end(found, state)
        return bytes(found).hex()

    return digest
