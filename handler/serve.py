"""`python3 -m handler.serve`: the same service on a socket, for SageMaker and other containers.

Beside Lambda's routes it answers SageMaker's: `POST /invocations`, which is :predict for JSON and
:image for pictures, and `GET /ping`. `handler/server/` is how.
"""

from __future__ import annotations

import os
import sys

from handler.errors import StartupError
from handler.server import options
from handler.server.acceptor import Acceptor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; requests under way are still answered.

    Returns:
        The exit status: 1 when it cannot serve, or had to cut requests off.
    """
    chosen = options.read(arguments, os.environ)
    try:
        finished = Acceptor(chosen).run()
    except OSError as error:
        where = f"{chosen.host}:{chosen.port}"
        advice = "choose another --host or --port"
        print(f"cannot serve on {where}: {error.strerror}; {advice}", file=sys.stderr)
        return 1
    except StartupError as error:
        print(f"cannot serve: {error}", file=sys.stderr)
        return 1
    if not finished:
        print(f"stopped after {chosen.grace} s with requests still under way", file=sys.stderr)
    return 0 if finished else 1


if __name__ == "__main__":
    sys.exit(main())
