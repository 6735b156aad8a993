#!/bin/sh
# One image, two lives: `serve` is what SageMaker asks for, everything else is Lambda's.
set -eu
if [ "${1:-}" = serve ]; then
    cd "${LAMBDA_TASK_ROOT:-/var/task}"
    # AWS's base keeps its Python out of the way of the system's.
    PATH="/var/lang/bin:$PATH"
    exec python3 -m handler.serve --port 8080
fi
exec /lambda-entrypoint.sh "$@"
