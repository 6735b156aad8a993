"""The child that `convert.isolation` starts: python -m convert.work PARENT SCRATCH ARGUMENTS."""

import ctypes
import faulthandler
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import NoReturn

from convert.__main__ import main
from convert.isolation import CRASH

_PR_SET_PDEATHSIG = 1


def _stop(*_: object) -> NoReturn:
    sys.exit(128 + signal.SIGTERM)


def _work(parent: int, scratch: Path, arguments: list[str]) -> int:
    # Chatter is dropped; where the C++ side dies of a signal, this still says where.
    faulthandler.enable((scratch / CRASH).open("w"))
    # Should the parent be killed, nobody watches any more: unwind, and take the scratch along.
    signal.signal(signal.SIGTERM, _stop)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    try:
        if os.getppid() != parent:  # it was killed before that took hold
            _stop()
        return main(arguments, scratch=scratch)
    finally:
        if os.getppid() != parent:
            shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(_work(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]))
