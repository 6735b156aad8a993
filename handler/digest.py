"""The sha256 of model.tflite, worked out beside the loading of it.

About half of all randomly damaged .tflite files load, run and answer nonsense, and a third end the
process at once: hence a digest at every start, before LiteRT opens the file. Hashing gives the
interpreter lock up, so that on a second core it passes while the library is loaded.
"""

from __future__ import annotations

from threading import Thread

from handler.errors import StartupError

_BLOCK = 1 << 20


class Digest(Thread):
    """Reads a file once, in a thread of its own.

    Args:
        path: The file.
    """

    def __init__(self, path: str) -> None:
        super().__init__(daemon=True)
        self._path = path
        self._error: OSError | None = None
        self._value = ""
        self.start()

    def run(self) -> None:
        """Work it out."""
        import hashlib  # OpenSSL with it: 2 ms that pass while the library is loaded

        digest = hashlib.sha256()
        try:
            with open(self._path, "rb", buffering=0) as file:  # noqa: PTH123 - pathlib costs 4 ms
                while block := file.read(_BLOCK):
                    digest.update(block)
        except OSError as error:
            self._error = error
        self._value = digest.hexdigest()

    def check(self, expected: str) -> None:
        """Wait for it, and hold the file to what is expected.

        Raises:
            StartupError: The file cannot be read, or is another.
        """
        self.join()
        if self._error is not None:
            raise StartupError(
                f"cannot read {self._path}: {self._error}; MODEL_DIR names its folder"
            ) from self._error
        if self._value != expected:
            raise StartupError(
                f"{self._path} has sha256 {self._value}, model.json expects {expected}: "
                "the two are not from one conversion, build the image again"
            )
