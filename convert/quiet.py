"""Keeps TensorFlow's chatter away from the user, and at hand for when something fails."""

import contextlib
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Collects what C++ and Python write to standard output and error, and drops it on success.

    TensorFlow and LiteRT write to the file descriptors themselves, past sys.stderr, so those are
    swapped. Errors are not hidden: an exception that nobody expected carries the collected text as
    a note, which Python prints below its traceback.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    kept = {number: os.dup(number) for number in (1, 2)}
    with tempfile.TemporaryFile(mode="w+", errors="replace") as collected:
        for number in kept:
            os.dup2(collected.fileno(), number)
        try:
            with (
                warnings.catch_warnings(),
                contextlib.redirect_stdout(collected),
                contextlib.redirect_stderr(collected),
            ):
                warnings.simplefilter("ignore")
                yield
        except Exception as error:
            collected.seek(0)
            text = collected.read().strip()
            if text:
                error.add_note(text)
            raise
        finally:
            for number, original in kept.items():
                os.dup2(original, number)
                os.close(original)
