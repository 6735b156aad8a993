"""`python -m release COMMAND`: the steps of a release, one command each.

Exit code 0 done, 1 the thing checked is not as it must be, 2 the command line or its input is
wrong, 7 drift. Whatever goes wrong is one line on stderr.
"""

import argparse
import json
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from release import comment, cost, drift, engine, gate, model_report, preview, rollback, smoke
from release.errors import DriftError, GateError, InputError, ReleaseError, SmokeError
from release.github import Repository
from release.mask import mask


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    options = parser().parse_args(arguments)
    try:
        return int(options.command(options))
    except ReleaseError as error:
        print(f"release {options.name}: {error}", file=sys.stderr)
        return 2 if isinstance(error, InputError) else 7 if isinstance(error, DriftError) else 1


def parser() -> argparse.ArgumentParser:
    """Build the command line."""
    top = argparse.ArgumentParser(prog="python -m release", description="The steps of a release.")
    commands = top.add_subparsers(dest="name", required=True, metavar="COMMAND")
    _reviewing(commands)
    _deploying(commands)
    one = commands.add_parser("drift", help="is a stack still what its state says?")
    _stack(one)
    one.add_argument("--issue", action="store_true", help="open, update or close its issue")
    one.set_defaults(command=_drift)
    return top


def _reviewing(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    one = commands.add_parser("preview", help="preview a stack; keep what may be published")
    _stack(one)
    one.add_argument("--out", type=Path, required=True, help="folder for STACK.json")
    one.set_defaults(command=_preview)

    one = commands.add_parser("comment", help="write the pull request's one comment")
    one.add_argument("--previews", type=Path, required=True, help="folder of STACK.json files")
    one.add_argument("--stages", nargs="+", required=True, help="stacks, in order of promotion")
    one.add_argument(
        "--reports",
        type=Path,
        required=True,
        help="folder of report-head/report.json, and report-base/report.json to compare with",
    )
    one.add_argument("--pull-request", type=int, help="number; without it, print only")
    one.add_argument("--summary", action="store_true", help="append to $GITHUB_STEP_SUMMARY")
    one.set_defaults(command=_comment)

    one = commands.add_parser("cost", help="what would a stack cost, a month and a million calls?")
    _stack(one)
    one.add_argument(
        "--milliseconds",
        type=_positive,
        help="what Lambda bills for a prediction, as its log says; default: the handler's alone",
    )
    one.add_argument("--rate", type=_positive, default=1.0, help="requests a second, by default 1")
    one.set_defaults(command=_cost)

    one = commands.add_parser("needs", help="did every job before this one succeed?")
    one.set_defaults(command=_needs)


def _deploying(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    one = commands.add_parser("outputs", help="write a stack's outputs")
    _stack(one)
    one.add_argument("--out", type=Path, help="a JSON file; default stdout")
    one.add_argument("--github", action="store_true", help="append to $GITHUB_OUTPUT instead")
    one.set_defaults(command=_outputs)

    one = commands.add_parser("gate", help="may this commit be promoted from that stack?")
    one.add_argument("--source", required=True, help="the stack promoted from")
    one.add_argument("--source-outputs", type=Path, help="its outputs as JSON, `-` for stdin")
    one.add_argument("--earlier", help="the stack before it: same commit, same digest")
    one.add_argument("--earlier-outputs", type=Path, help="its outputs as JSON")
    one.add_argument("--commit", default="", help="the commit released; default: the checkout's")
    one.add_argument("--digest", default="", help="the digest that was approved")
    one.add_argument(
        "--environment", help="GitHub's: the commit's deployment there must have succeeded"
    )
    one.add_argument(
        "--local", metavar="DIR", help="use the embedded engine, which keeps everything in DIR"
    )
    one.set_defaults(command=_gate)

    one = commands.add_parser("up", help="deploy a stack, under the policy pack")
    _stack(one)
    one.set_defaults(command=_up)

    one = commands.add_parser("smoke", help="ask a deployed API for a real prediction")
    where = one.add_mutually_exclusive_group(required=True)
    where.add_argument("--url", help="the API's address")
    where.add_argument("--stack", help="the stack that exports it")
    one.add_argument("--model", required=True, help="the model's name in the address")
    one.add_argument("--picture", type=Path, required=True, help="a sample")
    one.add_argument("--expect", required=True, help="the label it must get")
    one.add_argument("--auth", choices=[auth.value for auth in smoke.Auth], default="iam")
    one.add_argument("--digest", default="", help="the digest --stack must be serving")
    one.add_argument("--timeout", type=float, default=120.0, help="seconds to wait for an answer")
    one.add_argument(
        "--local", metavar="DIR", help="use the embedded engine, which keeps everything in DIR"
    )
    one.set_defaults(command=_smoke)

    one = commands.add_parser("rollback", help="return a stack to a digest it served before")
    _stack(one)
    back = one.add_mutually_exclusive_group(required=True)
    back.add_argument("--to", default="", metavar="DIGEST", help="sha256:…")
    back.add_argument("--before", type=Path, help="outputs saved before the deployment")
    one.set_defaults(command=_rollback)


def _stack(one: argparse.ArgumentParser) -> None:
    one.add_argument("--stack", required=True)
    one.add_argument(
        "--local", metavar="DIR", help="use the embedded engine, which keeps everything in DIR"
    )


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number above 0")
    return number


def _engine(options: argparse.Namespace) -> engine.Engine:
    return engine.choose(options.local, os.environ)


def _look(options: argparse.Namespace) -> preview.Preview:
    """Preview a stack; what the engine says of a failure goes to stderr."""
    done = _engine(options).preview(options.stack)
    seen = preview.from_output(
        options.stack, code=done.code, stdout=done.stdout, stderr=done.stderr
    )
    if seen.error:
        print(mask(done.stderr) or seen.error, file=sys.stderr)
        print(f"release {options.name}: {options.stack} failed, see above", file=sys.stderr)
    return seen


def _preview(options: argparse.Namespace) -> int:
    seen = _look(options)
    path = preview.save(seen, options.out)
    # The comment may have to leave rows out and points here.
    for step in seen.changes():
        print(step.op, step.urn, *step.reasons)
    if seen.error:
        return 1
    print(f"{path}: {len(seen.changes())} changes")
    return 0


def _cost(options: argparse.Namespace) -> int:
    seen = _look(options)
    if seen.error:
        return 1
    if seen.cost is None:
        raise InputError(f"{options.stack} has no function that could cost anything")
    milliseconds = math.ceil(options.milliseconds or seen.cost.billed_ms(None))
    print(cost.describe(options.stack, seen.cost, milliseconds, options.rate))
    return 0


def _comment(options: argparse.Namespace) -> int:
    previews = []
    for stage in options.stages:
        path = options.previews / f"{stage}.json"
        if path.exists():
            previews.append(preview.load(path))
        else:
            error = "This preview did not run to its end; its job's log says why."
            previews.append(preview.Preview(stack=stage, error=error))
    # The conversion may have failed, and the branch merged into may have no model yet.
    report, base = (
        model_report.load(path) if path.exists() else None
        for path in (
            options.reports / side / "report.json" for side in ("report-head", "report-base")
        )
    )
    body = comment.compose(previews, report, base, _run_url())
    if options.summary:
        _append("GITHUB_STEP_SUMMARY", body)
    if options.pull_request is None:
        print(body)
        return 0
    repository = Repository.from_environment(os.environ)
    print(repository.upsert_comment(options.pull_request, comment.MARKER, body))
    return 0


def _outputs(options: argparse.Namespace) -> int:
    outputs = _engine(options).outputs(options.stack)
    text = json.dumps(outputs, indent=1, sort_keys=True)
    if options.github:
        # Only these: a job's outputs are visible to every job after it.
        for name in ("url", "image_digest", "commit"):
            _append("GITHUB_OUTPUT", f"{name}={_single(name, outputs.get(name, ''))}\n")
    elif options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        part = options.out.with_suffix(".part")
        part.write_text(text + "\n", encoding="utf-8")
        part.replace(options.out)
    else:
        print(text)
        return 0
    print(f"{options.stack} serves {outputs.get('image_digest') or 'nothing yet'}")
    return 0


def _gate(options: argparse.Namespace) -> int:
    source = _outputs_of(options, options.source, options.source_outputs)
    earlier = None
    if options.earlier or options.earlier_outputs:
        earlier = _outputs_of(options, options.earlier, options.earlier_outputs)
    commit = options.commit or engine.checked_out()
    digest = gate.require(
        options.source,
        source,
        commit=commit,
        digest=options.digest,
        earlier=earlier,
    )
    if options.environment:
        repository = Repository.from_environment(os.environ)
        state = repository.deployment(options.environment, commit)
        gate.require_deployed(options.environment, commit, state)
    if os.environ.get("GITHUB_OUTPUT"):
        _append("GITHUB_OUTPUT", f"image_digest={digest}\n")
    print(f"{options.source} runs {commit} as {digest}")
    return 0


def _outputs_of(options: argparse.Namespace, stack: str, path: Path | None) -> dict[str, Any]:
    if path is None:
        return _engine(options).outputs(stack)
    return engine.read_outputs(Path("/dev/stdin") if str(path) == "-" else path)


def _up(options: argparse.Namespace) -> int:
    _engine(options).up(options.stack)
    return 0


def _smoke(options: argparse.Namespace) -> int:
    auth = smoke.Auth(options.auth)
    token = os.environ.get("SMOKE_TOKEN", "")
    if auth is smoke.Auth.JWT and not token:
        raise InputError("SMOKE_TOKEN is not set; put a token of the API's issuer there")
    url = options.url
    if options.stack:
        outputs = _engine(options).outputs(options.stack)
        url = str(outputs.get("url", ""))
        if not url:
            raise SmokeError(
                f"{options.stack} exports no url; deploy it: "
                f"python -m release up --stack {options.stack}"
            )
        if options.digest and outputs.get("image_digest") != options.digest:
            raise SmokeError(
                f"{options.stack} serves {outputs.get('image_digest')}, not {options.digest}, "
                "which was approved",
            )
    try:
        picture = options.picture.read_bytes()
    except OSError as error:
        raise InputError(f"--picture {options.picture} cannot be read: {error.strerror}") from error
    print(
        smoke.check(
            smoke.Api(url=url, auth=auth, token=token),
            model=options.model,
            picture=(options.picture.name, picture),
            expect=options.expect,
            patience=smoke.Patience(limit=options.timeout),
        ),
    )
    return 0


def _rollback(options: argparse.Namespace) -> int:
    before = engine.read_outputs(options.before) if options.before else None
    digest = rollback.target(options.to, before)
    print(rollback.perform(_engine(options), options.stack, digest))
    return 0


def _drift(options: argparse.Namespace) -> int:
    difference = drift.look(_engine(options), options.stack)
    if options.issue:
        repository = Repository.from_environment(os.environ)
        # Drift that has its issue is told; the job is red only when looking or telling failed.
        print(drift.tell(repository, options.stack, difference, _run_url()))
        return 0
    if difference is not None:
        print(difference)
        raise DriftError(f"{options.stack} has drifted, see above")
    print(f"{options.stack}: no drift")
    return 0


def _needs(_: argparse.Namespace) -> int:
    try:
        needs = json.loads(os.environ.get("NEEDS", ""))
        results = {str(job): str(need["result"]) for job, need in needs.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            "NEEDS is not the workflow's needs; pass `NEEDS: ${{ toJSON(needs) }}`"
        ) from error
    bad = [f"{job} {result}" for job, result in results.items() if result != "success"]
    if bad or not results:
        raise GateError(f"not every job succeeded: {', '.join(bad) or 'none ran'}")
    print(f"all of {', '.join(results)} succeeded")
    return 0


def _append(variable: str, text: str) -> None:
    path = os.environ.get(variable)
    if not path:
        raise InputError(f"{variable} is not set; GitHub Actions sets it, elsewhere name any file")
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(text)


def _single(name: str, value: object) -> str:
    text = str(value)
    if "\n" in text or "\r" in text:
        raise InputError(f"the output {name} has more than one line: {text!r}")
    return text


def _run_url() -> str:
    server, repository, run = (
        os.environ.get(name, "")
        for name in ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")
    )
    return f"{server}/{repository}/actions/runs/{run}" if server and repository and run else ""


if __name__ == "__main__":
    sys.exit(main())
