"""The folder that results go to: whole, or as it was before."""

import contextlib
import errno
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from convert.errors import OutputError

_READY = "ready"
PICTURE = "report.png"
"""The one file that not every run writes."""

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What the system says where a disk, a quota or a limit is full."""


@contextlib.contextmanager
def workspace(out: Path) -> Iterator[Path]:
    """Gives a folder to work in on `out`'s file system; it is gone afterwards.

    Made before the long work begins, so that a folder that cannot be written is found out at once.

    Raises:
        OutputError: `out` is a file, or nothing can be made there.
    """
    home = out
    while not home.exists():
        home = home.parent
    if not home.is_dir():
        raise OutputError(f"--out {out}: {home} is a file: expected a folder, there already or not")
    try:
        scratch = Path(tempfile.mkdtemp(prefix=".convert-", dir=home))
    except OSError as error:
        raise OutputError(f"--out {out}: cannot write in {home}: {error.strerror}") from error
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def write(files: Mapping[str, bytes], scratch: Path) -> None:
    """Writes the files to `scratch`, ready to be published."""
    ready = scratch / _READY
    ready.mkdir()
    for name, content in files.items():
        (ready / name).write_bytes(content)


def publish(scratch: Path, out: Path) -> None:
    """Moves what `write` wrote to `out`.

    A folder that is new appears whole. In one that exists each file is replaced whole, and other
    files are left alone; model.json's sha256 says which model.tflite it belongs to. A picture goes
    where there is no new one: it would be of another model.

    Raises:
        OutputError: Something cannot be moved; `out` is then as it was, or lacks later files.
    """
    ready = scratch / _READY
    try:
        if out.exists():
            if not (ready / PICTURE).exists():
                (out / PICTURE).unlink(missing_ok=True)
            for file in sorted(ready.iterdir()):
                file.replace(out / file.name)
        else:
            out.parent.mkdir(parents=True, exist_ok=True)
            ready.rename(out)
    except OSError as error:
        raise OutputError(f"--out {out}: cannot be written: {error.strerror}") from error
