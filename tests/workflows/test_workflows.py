"""Workflows are thin: whatever they run, anybody can run."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from release.__main__ import parser
from tests.workflows.conftest import FILES, FOLDER, ROOT, parse

MAKE = re.compile(r"make(?P<targets>(?: [a-z-]+)+)(?: [A-Z]+=\S+)*")
RELEASE = re.compile(r"(?:uv run python|python3) -m release (?P<rest>.+)")
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}")
WRITES = {"id-token", "pull-requests", "issues"}


def jobs(workflow: dict[Any, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The jobs by name."""
    yield from workflow["jobs"].items()


def steps(workflow: dict[Any, Any]) -> Iterator[dict[str, Any]]:
    """Every step of every job."""
    for _, job in jobs(workflow):
        yield from job.get("steps", ())


def commands(workflow: dict[Any, Any]) -> list[str]:
    """Every line that a workflow runs."""
    return [step["run"] for step in steps(workflow) if "run" in step]


def test_there_are_workflows() -> None:
    """The tests below look at something."""
    assert ["ci.yml", "deploy.yml", "drift.yml", "preview.yml", "release.yml"] == [
        path.name for path in FILES
    ]


def test_every_line_is_one_anybody_can_run(workflow: dict[Any, Any]) -> None:
    """A run line is one call of make or of `python -m release`, nothing else."""
    for line in commands(workflow):
        assert "\n" not in line
        assert MAKE.fullmatch(line) or RELEASE.fullmatch(line), line
        assert not re.search(r"[;&|<>`]|\$\(", line), f"shell of its own: {line}"


def test_every_make_target_exists(workflow: dict[Any, Any]) -> None:
    """A workflow calls no target that the Makefile has not got."""
    makefile = (ROOT / "Makefile").read_text()
    known = {
        name
        for line in re.findall(r"^([\w -]+):(?!=)", makefile, re.MULTILINE)
        for name in line.split()
    }
    for line in commands(workflow):
        called = MAKE.fullmatch(line)
        if called:
            assert set(called["targets"].split()) <= known, line


def test_every_release_command_parses(workflow: dict[Any, Any]) -> None:
    """A workflow passes `python -m release` only what it takes."""
    for line in commands(workflow):
        called = RELEASE.fullmatch(line)
        if called:
            # A variable's value is not known here; a number stands for each, and `iam` for AUTH.
            filled = called["rest"].replace("$AUTH", "iam")
            parser().parse_args(shlex.split(re.sub(r"\$[A-Z_]+", "7", filled)))


def test_every_variable_in_a_line_comes_through_env(workflow: dict[Any, Any]) -> None:
    """A line's variables are set by its job or step, and no expression is pasted into a shell."""
    for _, job in jobs(workflow):
        for step in job.get("steps", ()):
            line = step.get("run", "")
            known = {*job.get("env", {}), *step.get("env", {})}
            assert "${{" not in line
            assert set(re.findall(r"\$([A-Z_]+)", line)) <= known, line


def test_every_action_is_pinned_by_commit() -> None:
    """A tag can be moved onto other code; a commit cannot. The version stands beside it."""
    for path in FILES:
        for line in re.findall(r"uses: (.+)", path.read_text()):
            used, _, comment = line.partition(" # ")
            if used.startswith("./"):
                assert (ROOT / used).is_file(), used
                continue
            assert PINNED.fullmatch(used), f"{path.name}: {used}"
            assert re.fullmatch(r"v\d+\.\d+\.\d+", comment), f"{path.name}: {line}"


def test_one_action_has_one_version() -> None:
    """The same action is the same commit everywhere."""
    used = {line for path in FILES for line in re.findall(r"uses: (\S+@\S+)", path.read_text())}

    assert len({line.partition("@")[0] for line in used}) == len(used)


def test_nothing_is_permitted_by_default(workflow: dict[Any, Any]) -> None:
    """Permissions are granted job by job."""
    assert {} == workflow["permissions"]
    for name, job in jobs(workflow):
        assert "permissions" in job, name


def test_every_permission_has_its_reason() -> None:
    """Each grant says on its line what it is for."""
    for path in FILES:
        for line in re.findall(r"^ +[a-z-]+: (?:read|write)\b.*$", path.read_text(), re.MULTILINE):
            assert re.search(r" # to \w+", line), f"{path.name}: {line.strip()}"


def test_only_these_are_ever_written(workflow: dict[Any, Any]) -> None:
    """No job may push code, packages or releases."""
    for name, job in jobs(workflow):
        writes = {scope for scope, level in job["permissions"].items() if level == "write"}
        assert writes <= WRITES, name


def test_every_job_ends(workflow: dict[Any, Any]) -> None:
    """A job that hangs is stopped; one that calls a workflow is stopped in there."""
    for name, job in jobs(workflow):
        if "uses" not in job:
            assert 60 >= job["timeout-minutes"], name


def test_no_checkout_leaves_a_token_behind(workflow: dict[Any, Any]) -> None:
    """Later steps run code of the pull request; the token is not theirs."""
    for step in steps(workflow):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def test_no_key_is_stored(workflow: dict[Any, Any]) -> None:
    """AWS is reached by OIDC only, and the one secret is the smoke test's token."""
    text = str(workflow)

    assert "AWS_SECRET_ACCESS_KEY" not in text
    assert "aws-secret-access-key" not in text
    assert {"SMOKE_TOKEN"} >= set(re.findall(r"secrets\.(\w+)", text))
    for _, job in jobs(workflow):
        assert "inherit" != job.get("secrets")


def test_strangers_code_never_runs_beside_a_credential(workflow: dict[Any, Any]) -> None:
    """Neither trigger that would give a fork's pull request the repository's rights is used."""
    triggers = workflow[True]

    assert not {"pull_request_target", "workflow_run"} & set(triggers)


def test_a_pull_request_reaches_the_cloud_only_from_this_repository() -> None:
    """Forks, Dependabot and repositories without an account get the offline preview."""
    preview = parse(FOLDER / "preview.yml")["jobs"]
    condition = preview["preview"]["if"]

    assert "head.repo.full_name == github.repository" in condition
    assert "dependabot[bot]" in condition
    for name in ("report", "comment", "offline"):
        assert "id-token" not in preview[name]["permissions"]
    assert "== 'skipped'" in preview["offline"]["if"]


@pytest.mark.parametrize("name", ["preview", "drift"])
def test_a_stack_is_looked_at_where_it_is_deployed(deploy: dict[Any, Any], name: str) -> None:
    """The model is compared byte for byte, and processors do not round all alike."""
    looking = parse(FOLDER / f"{name}.yml")["jobs"][name]

    assert deploy["jobs"]["deploy"]["runs-on"] == looking["runs-on"]


def test_the_comment_is_written_also_when_a_preview_failed() -> None:
    """The job runs unless it was cancelled, and every preview leaves its file."""
    preview = parse(FOLDER / "preview.yml")["jobs"]

    assert "!cancelled()" in preview["comment"]["if"]
    uploads = [s for s in preview["preview"]["steps"] if "upload-artifact" in s.get("uses", "")]
    assert ["always()"] == [step["if"] for step in uploads]


def test_production_takes_its_digest_only_from_staging(release: dict[Any, Any]) -> None:
    """The digest comes out of the gate, which asks staging, and nothing is built for prod."""
    prod, gate = release["jobs"]["prod"], release["jobs"]["gate"]

    assert "gate" == prod["needs"]
    assert "${{ needs.gate.outputs.image_digest }}" == prod["with"]["digest"]
    assert ("staging", "prod", "production") == (
        prod["with"]["source"],
        prod["with"]["stack"],
        prod["with"]["environment"],
    )
    assert {"image_digest": "${{ steps.gate.outputs.image_digest }}"} == gate["outputs"]
    (asked,) = [step["run"] for step in gate["steps"] if step.get("id") == "gate"]
    assert "--source staging" in asked
    assert f"--environment {release['jobs']['staging']['with']['environment']}" in asked
    assert "refs/tags/v" in gate["if"]


def test_only_the_gate_sees_deployments(workflow: dict[Any, Any]) -> None:
    """It asks how staging's ended, and no other job needs to know."""
    seeing = {name: job["permissions"].get("deployments") for name, job in jobs(workflow)}

    assert {name: "read" if name == "gate" else None for name in seeing} == seeing


def test_a_deployment_succeeds_only_with_its_smoke_test(deploy: dict[Any, Any]) -> None:
    """GitHub records the end of the job with the environment: the smoke test is a step of it."""
    job = deploy["jobs"]["deploy"]

    assert {"name", "url"} == set(job["environment"])
    (smoke,) = [step for step in job["steps"] if step.get("id") == "smoke"]
    assert "if" not in smoke
    assert "continue-on-error" not in str(job)


def test_only_a_deployment_makes_a_deployment(workflow: dict[Any, Any]) -> None:
    """No other job names an environment, or its success would pass for a deployment's."""
    naming = [name for name, job in jobs(workflow) if "environment" in job]

    assert [name for name in workflow["jobs"] if name == "deploy"] == naming


def test_staging_takes_what_dev_built(release: dict[Any, Any]) -> None:
    """Main goes through dev, then staging, with one digest."""
    staging = release["jobs"]["staging"]

    assert "dev" == staging["needs"]
    assert ("dev", "${{ needs.dev.outputs.image_digest }}") == (
        staging["with"]["source"],
        staging["with"]["digest"],
    )
    assert "refs/heads/main" in release["jobs"]["dev"]["if"]


def test_the_project_promotes_along_the_same_line() -> None:
    """The stacks' own settings name the stages that the workflow gates."""
    for stack, source in (("staging", "dev"), ("prod", "staging")):
        config = parse(ROOT / f"Pulumi.{stack}.yaml")["config"]
        assert source == config["thimble:image"]["promoteFrom"]


def test_a_deployment_is_gated_smoked_and_returned(deploy: dict[Any, Any]) -> None:
    """Gate, memory, up, smoke test; back after a failed update or smoke test of prod; outputs."""
    job = deploy["jobs"]["deploy"]
    lines = [step for step in job["steps"] if "run" in step]

    words = [re.sub(r".*-m release (\w+).*", r"\1", step["run"]) for step in lines]
    assert ["gate", "outputs", "up", "smoke", "rollback", "outputs"] == words
    back = lines[words.index("rollback")]["if"]
    assert "before" == lines[words.index("outputs")]["id"]
    assert "failure() && steps.before.outcome == 'success'" in back
    assert "inputs.stack == 'prod'" in back
    assert job["concurrency"]["cancel-in-progress"] is False
    assert "deploy-${{ inputs.stack }}" == job["concurrency"]["group"]


def test_one_job_stands_for_all_of_ci() -> None:
    """The required check needs every other job, and runs even when one failed."""
    ci = parse(FOLDER / "ci.yml")["jobs"]

    assert set(ci) - {"all-green"} == set(ci["all-green"]["needs"])
    assert "always()" == ci["all-green"]["if"]


def test_zizmor_finds_nothing() -> None:
    """The pedantic auditor has nothing to say, but for what .github/zizmor.yml explains."""
    zizmor = Path(sys.executable).parent / "zizmor"
    done = subprocess.run(
        [zizmor, "--offline", "--persona", "pedantic", "--quiet", "--no-progress", ".github"],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )

    assert 0 == done.returncode, done.stdout


def test_the_guide_sets_every_variable_that_is_read() -> None:
    """docs/first-release.md names each variable and secret of the workflows, and no other."""
    guide = (ROOT / "docs" / "first-release.md").read_text()
    text = "".join(path.read_text() for path in FILES)
    read = set(re.findall(r"\b(?:vars|secrets)\.([A-Z_]+)", text))

    assert read == set(re.findall(r"gh (?:variable|secret) set ([A-Z_]+)", guide))


def test_the_guides_commands_of_ours_parse() -> None:
    """What the guide tells a reader to run is a command line that exists."""
    guide = (ROOT / "docs" / "first-release.md").read_text().replace("\\\n", " ")
    lines = re.findall(r"python -m release (.+?)(?:`|$)", guide, re.MULTILINE)

    assert 2 == len(lines)
    for line in lines:
        parser().parse_args(shlex.split(line))


def test_the_guide_names_settings_that_exist() -> None:
    """Each setting the guide sets or removes is described in the Pulumi.yaml it belongs to."""
    guide = (ROOT / "docs" / "first-release.md").read_text()
    calls = re.findall(r"(pulumi (?:-C bootstrap )?config (?:set|rm) [^\n#`]+)", guide)
    assert len(calls) > 12
    for call in calls:
        program = "bootstrap" if "-C bootstrap" in call else "."
        known = {*parse(ROOT / program / "Pulumi.yaml")["config"], "aws:allowedAccountIds"}
        words = shlex.split(call.partition("config ")[2])
        assert any(word.partition("[")[0] in known for word in words), call


def test_the_guide_sets_shell_variables_before_it_reads_them() -> None:
    """A reader who skips what is for three accounts still has every variable."""
    guide = (ROOT / "docs" / "first-release.md").read_text()
    common = re.sub(r"With \*\*three accounts\*\*.*?```sh\n.*?```", "", guide, flags=re.DOTALL)
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", common, re.DOTALL))
    for name in {*re.findall(r"\$([A-Za-z_]\w*)", blocks)} - {"HOME"}:
        first = re.search(rf"(?m)^(?:export )?{name}=|\bfor {name} in ", blocks)
        assert first, name
        assert first.start() < blocks.index(f"${name}"), name
