#!/bin/sh
# One image, two lives: `serve` is what SageMaker asks for, everything else is Lambda's.
set -eu
case "${1:-}" in
serve)
    shift
    cd "${LAMBDA_TASK_ROOT:-/var/task}"
    # AWS's base keeps its Python out of the way of the system's.
    PATH="/var/lang/bin:$PATH"
    exec python3 -m handler.serve --port 8080 "$@"
    ;;
*.*) ;;
*)
    echo "cannot run '${1:-}': expected serve, or a handler such as handler.app.handler" >&2
    exit 2
    ;;
esac
exec /lambda-entrypoint.sh "$@"
