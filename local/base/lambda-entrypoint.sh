#!/bin/sh
# What /lambda-entrypoint.sh of AWS's base images does: run the handler named by the first argument.
cd "$LAMBDA_TASK_ROOT" || exit 1
exec python3 -B /var/runtime/rie.py "$1"
