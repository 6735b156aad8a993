"""Each setting, changed alone: what preview shows is exactly what it should change.

Beside the session's stack there is a second one, from a copy of its own with a home of its own. It
goes through the bases that some settings need and is then taken down; `down` is tested on it
because by then it holds something of everything.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
import pytest
import yaml

from local import process
from local.base import tag
from local.docker import docker
from local.home import Home
from local.sagemaker import OWNER_LABEL
from tests.e2e.api import send
from tests.e2e.changes import BASES, CASES, OTHER_DIGEST, Case
from tests.e2e.project import ROOT, TIMEOUT_SECONDS, Project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Answers = list[dict[str, Any]]
# What there is to list: boto3's service, operation, list, and name in an entry.
KINDS = (
    ("ecr", "describe_repositories", "repositories", "repositoryName"),
    ("iam", "list_roles", "Roles", "RoleName"),
    ("logs", "describe_log_groups", "logGroups", "logGroupName"),
    ("lambda", "list_functions", "Functions", "FunctionName"),
    ("apigatewayv2", "get_apis", "Items", "Name"),
    ("sns", "list_topics", "Topics", "TopicArn"),
    ("sns", "list_subscriptions", "Subscriptions", "Endpoint"),
    ("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
    ("cloudwatch", "list_dashboards", "DashboardEntries", "DashboardName"),
    ("budgets", "describe_budgets", "Budgets", "BudgetName"),
    ("sagemaker", "list_models", "Models", "ModelName"),
    ("sagemaker", "list_endpoint_configs", "EndpointConfigs", "EndpointConfigName"),
    ("sagemaker", "list_endpoints", "Endpoints", "EndpointName"),
    ("application-autoscaling", "describe_scalable_targets", "ScalableTargets", "ResourceId"),
    ("application-autoscaling", "describe_scaling_policies", "ScalingPolicies", "PolicyName"),
)


PLAIN = [case for case in CASES if case.base == "plain"]
SEVERAL = [case for case in CASES if case.base != "plain"]


@dataclass(frozen=True, slots=True)
class Second:
    """What came of the second stack.

    Attributes:
        previews: What was shown, by case.
        foreseen: By base, the preview of the way there.
        done: By base, what `up` then did.
        again: By base, what a second `up` did.
        held: Names of what the emulator held in the end, by kind.
        left: The same after every resource was deleted.
        record: The emulator's ports and processes.
        folder: The copy.
        home: Its home.
        down: What `down` printed.
    """

    previews: dict[str, dict[str, Any]]
    foreseen: dict[str, Any]
    done: dict[str, Any]
    again: dict[str, Any]
    held: dict[str, list[str]]
    left: dict[str, list[str]]
    record: dict[str, Any]
    folder: Path
    home: Path
    down: str


def ask(folder: Path, home: Path, jobs: list[dict[str, Any]]) -> Answers:
    """Have jobs done by one process in a copy of the project."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.e2e.driver"],
        cwd=folder,
        env={**os.environ, "THIMBLE_HOME": str(home)},
        input=json.dumps(jobs),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout))


def preview(settings: dict[str, str]) -> dict[str, Any]:
    """The job."""
    return {"do": "preview", "settings": settings}


@pytest.fixture(scope="module")
def plain(project: Project) -> Iterator[dict[str, dict[str, Any]]]:
    """Previews against the session's stack as it is, by case; and without any change."""
    models = project.folder / "models"
    copied, renamed = models / "copied", models / "renamed"
    home = project.folder / ".local"
    # What a deployed stage exports; its release is rehearsed elsewhere.
    dev = home / "stacks/dev/state.json"
    outputs = {
        "image_uri": f"localhost:4566/thimble/dev/digits@{OTHER_DIGEST}",
        "image_digest": OTHER_DIGEST,
        "model_sha256": "m" * 64,
        "recipe": "float32",
    }
    try:
        for folder in (copied, renamed):
            shutil.copytree(models / "digits", folder)
        card = renamed / "model.yaml"
        card.write_text(card.read_text().replace("name: digits", "name: numbers"))
        dev.parent.mkdir(parents=True)
        dev.write_text(json.dumps({"boot": "", "resources": [], "outputs": outputs}))
        jobs = [preview({}), *(preview(case.settings) for case in PLAIN)]
        answers = ask(project.folder, home, jobs)
        yield dict(zip(["", *map(str, PLAIN)], answers, strict=True))
    finally:
        for folder in (copied, renamed, dev.parent):
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def second(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Second]:
    """The second stack's whole life."""
    folder = tmp_path_factory.mktemp("second") / "project"
    # With what the session's stack made: the model need not be converted again.
    shutil.copytree(project.folder, folder, ignore=shutil.ignore_patterns(".local", "__pycache__"))
    home = folder / ".local"
    try:
        yield live(folder, home)
    finally:
        if home.exists():
            Project(folder).run("local", "down", "--discard")


def live(folder: Path, home: Path) -> Second:
    """Through the bases, and down."""
    asked: list[tuple[str, str, dict[str, Any]]] = []
    for base, settings in BASES.items():
        asked += [
            ("foreseen", base, {"do": "preview", "settings": settings}),
            ("done", base, {"do": "up", "settings": settings}),
            ("again", base, {"do": "up", "settings": settings}),
        ]
        asked += [
            ("previews", str(case), preview({**settings, **case.settings}))
            for case in SEVERAL
            if case.base == base
        ]
    answers = ask(folder, home, [job for _, _, job in asked])
    told: dict[str, dict[str, Any]] = {"previews": {}, "foreseen": {}, "done": {}, "again": {}}
    for (where, name, _), answer in zip(asked, answers, strict=True):
        told[where][name] = answer
    stack = home / "stacks/local"
    record = json.loads((stack / "emulator.json").read_text())
    url = json.loads((stack / "state.json").read_text())["outputs"]["url"]
    # A function that was called has a container.
    assert send(url, "/ping", method="GET").status == 200
    held = contents(record)
    assert ask(folder, home, [{"do": "destroy", "settings": {}}]) == [{"changes": []}]
    left = contents(record)
    down = Project(folder).ok("local", "down")
    return Second(**told, held=held, left=left, record=record, folder=folder, home=home, down=down)


def contents(record: dict[str, Any]) -> dict[str, list[str]]:
    """Names of all that an emulator holds, by what kind of thing it is."""
    found = {}
    for service, operation, key, name in KINDS:
        moto = service in {"sagemaker", "application-autoscaling"}
        port = record["sagemaker_port" if moto else "port"]
        client = boto3.client(
            service,
            endpoint_url=f"http://localhost:{port}",
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        arguments = {
            "budgets": {"AccountId": "000000000000"},
            "application-autoscaling": {"ServiceNamespace": "sagemaker"},
        }.get(service, {})
        answer = getattr(client, operation)(**arguments)
        found[operation] = [str(entry[name]) for entry in answer.get(key, [])]
    return found


def test_table_is_complete() -> None:
    """Every setting of Pulumi.yaml has a row, and every row is a setting."""
    declared = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    assert set(declared) == {case.key for case in CASES}


@pytest.mark.parametrize("key", sorted({case.key for case in CASES}))
def test_every_setting_changes_something(key: str) -> None:
    """No setting is without effect on every base."""
    assert any(case.changes for case in CASES if case.key == key)


def test_nothing_changed(plain: dict[str, dict[str, Any]]) -> None:
    """Without another value, preview shows no changes."""
    assert plain[""] == {"changes": []}


@pytest.mark.parametrize("case", PLAIN, ids=str)
def test_setting(plain: dict[str, dict[str, Any]], case: Case) -> None:
    """Another value for one setting changes exactly what the table says."""
    check(case, plain[str(case)])


@pytest.mark.parametrize("case", SEVERAL, ids=str)
def test_setting_on_a_base(second: Second, case: Case) -> None:
    """So it does where the setting only counts together with others."""
    check(case, second.previews[str(case)])


def check(case: Case, answer: dict[str, Any]) -> None:
    """The answer is the table's."""
    if case.error:
        assert case.error in answer["error"]
    else:
        assert answer == {"changes": sorted(case.changes)}


@pytest.mark.parametrize("base", BASES)
def test_up_does_what_preview_showed(second: Second, base: str) -> None:
    """From one base to the next, `up` takes the very steps that preview listed."""
    assert second.foreseen[base]["changes"]
    assert second.foreseen[base] == second.done[base]


@pytest.mark.parametrize("base", BASES)
def test_second_up_changes_nothing(second: Second, base: str) -> None:
    """`up` on what is up has nothing to do, whatever is deployed."""
    assert second.again[base] == {"changes": []}


def test_something_of_everything(second: Second) -> None:
    """Before `down` the emulator held at least one of each kind; the next test would say little."""
    assert [] == [kind for kind, names in second.held.items() if not names]


def test_down_empties_the_emulator(second: Second) -> None:
    """Once every resource is deleted, no service lists anything."""
    assert {kind: [] for kind in second.held} == second.left


def test_down_stops_every_process(second: Second) -> None:
    """Of the emulator's processes none runs, and nothing listens where they did."""
    assert [False, False] == [process.alive(identity) for identity in second.record["processes"]]
    for port in (second.record["port"], second.record["sagemaker_port"]):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)


def test_down_removes_every_container(second: Second) -> None:
    """Neither functions' nor the endpoint's containers remain, running or not."""
    functions = f"label=ministack.instance={socket.gethostname()}:{second.record['port']}"
    endpoints = f"label={OWNER_LABEL}={second.record['sagemaker_port']}"
    for label in (functions, endpoints):
        assert "" == docker("ps", "--all", "--quiet", "--filter", label)


def test_down_removes_every_image(second: Second, project: Project) -> None:
    """The daemon holds no image of the stack's registry, nor its base; others keep theirs."""
    names = docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").split()
    assert [] == [name for name in names if f"localhost:{second.record['port']}/" in name]
    assert tag(Home(second.home.resolve())) not in names
    assert tag(Home((project.folder / ".local").resolve())) in names


def test_down_removes_every_file(second: Second, project: Project) -> None:
    """The copy holds what it held before: neither the home nor anything the program made."""
    assert "everything this project kept on the machine" in second.down
    assert not second.home.exists()
    assert [] == sorted(files(second.folder) - files(project.folder))


def files(folder: Path) -> set[str]:
    """Paths of all files in a copy; not Python's cache, nor the home that a daemon writes to."""
    found = set()
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in {"__pycache__", ".local"}]
        found |= {(folder / place / name).relative_to(folder).as_posix() for name in names}
    return found
