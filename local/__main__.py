"""`python -m local up | preview | refresh | down | outputs`: the program on the embedded AWS."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from contextlib import nullcontext, redirect_stdout
from typing import TYPE_CHECKING, Any

from local import base, demo, docker, program
from local.errors import LocalError
from local.home import PROJECT, Home, say
from local.stack import LocalStack, expect_no_changes

if TYPE_CHECKING:
    from local.plan import Plan

STACKS_HELP = "the stack whose settings to use (default: local)"
PLANNED = ("--json", "--expect-no-changes")
COMMANDS = {
    "up": ("deploy, and ask the API for a prediction", (*PLANNED, "--config")),
    "preview": ("show what `up` would do", (*PLANNED, "--config")),
    "refresh": ("show where AWS differs from what was deployed", (*PLANNED, "--apply")),
    "down": ("delete everything", ("--discard",)),
    "outputs": ("print what the program exports", ("--json",)),
}


def _setting(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not a setting; expected KEY=VALUE")
    return key, value


OPTIONS: dict[str, dict[str, Any]] = {
    "--json": {"action": "store_true", "help": "print JSON as Pulumi does"},
    "--expect-no-changes": {"action": "store_true", "help": "exit 7 on a change"},
    "--config": {
        "action": "append",
        "type": _setting,
        "default": [],
        "metavar": "KEY=VALUE",
        "help": "a setting of this one run, such as thimble:image.digest=sha256:...",
    },
    "--apply": {
        "action": "store_true",
        "help": "record the difference, so that the next `up` undoes it",
    },
    "--discard": {"action": "store_true", "help": "protected or not"},
}


def main(argv: list[str] | None = None) -> int:
    """Run one command; 0 done, 1 failed with one line, 7 changes where none were expected."""
    arguments = _parser().parse_args(argv)
    home = Home.default()
    settings = dict(arguments.config)
    stack = LocalStack(home, arguments.stack, quiet=arguments.json, settings=settings)
    try:
        if arguments.command == "outputs":
            _outputs(stack, as_json=arguments.json)
            return 0
        with home.locked():
            _run(arguments, stack)
    except LocalError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except PermissionError as error:
        print(f"error: {error.strerror}: {error.filename}; run this as its owner", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; what was done is recorded, running this again continues", file=sys.stderr)
        return program.INTERRUPTED
    return 0


def _run(arguments: argparse.Namespace, stack: LocalStack) -> None:
    if arguments.command == "down":
        _down(stack, discard=arguments.discard)
        return
    # With --json stdout is for the document alone; what is told on the way goes to stderr.
    with redirect_stdout(sys.stderr) if arguments.json else nullcontext():
        plan = _plan(arguments, stack)
    applied = arguments.command == "up" or (arguments.command == "refresh" and arguments.apply)
    if arguments.json:
        say(json.dumps(plan.document(), indent=1))
    else:
        say(plan.summary(done=applied))
    if arguments.command == "refresh" and plan.changes and not applied:
        print("refresh --apply records this, and the next `up` undoes it", file=sys.stderr)
    if arguments.expect_no_changes:
        expect_no_changes(plan)
    if arguments.command == "up" and not arguments.json:
        demo.show(stack)


def _plan(arguments: argparse.Namespace, stack: LocalStack) -> Plan:
    match arguments.command:
        case "up":
            return stack.up()
        case "preview":
            return stack.preview()
        case _:
            return stack.refresh(apply=arguments.apply)


def _down(stack: LocalStack, *, discard: bool) -> None:
    """Take one stack away; with the last one goes everything else that is ours."""
    stack.down(discard=discard)
    home = stack.home
    if home.stack(stack.name).exists():
        shutil.rmtree(home.stack(stack.name))
    if home.stacks():
        say(f"stack {stack.name} is gone; still up: {', '.join(home.stacks())}")
        return
    if docker.stop(home):
        say("stopped the Docker daemon that was started here")
    elif docker.answers():
        base.forget(home)
    home.remove()
    # What the program made on the way; every part of it is made again when it is missing.
    shutil.rmtree(PROJECT / ".build", ignore_errors=True)
    say(f"stack {stack.name} is gone, and with it everything this project kept on the machine")


def _outputs(stack: LocalStack, *, as_json: bool) -> None:
    if as_json:
        # As Pulumi's own: a stack that was never deployed has no outputs, which is no error.
        say(json.dumps(stack.exported(), indent=1))
        return
    for name, value in stack.outputs().items():
        say(f"{name:14} {value}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (text, options) in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("--stack", default="local", help=STACKS_HELP)
        for option in options:
            command.add_argument(option, **OPTIONS[option])
    parser.set_defaults(json=False, config=[])
    return parser


if __name__ == "__main__":
    sys.exit(main())
