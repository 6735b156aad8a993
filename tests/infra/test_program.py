"""The whole program: how components are wired to each other, and what it exports."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from infra.errors import SettingsError
from infra.release import APPROVED

DIGEST = "sha256:" + "d" * 64
HOST = "000000000000.dkr.ecr.eu-central-1.amazonaws.com"
BASE = "public.ecr.aws/lambda/python:3.13@sha256:" + "b" * 64
ACCOUNT = {"aws:allowedAccountIds": ["111111111111"]}
DEV = {
    "image_uri": f"{HOST}/thimble/dev/digits@{DIGEST}",
    "image_digest": DIGEST,
    "model_sha256": "m" * 64,
    "recipe": "static_wi8_ai8",
    "base_image": BASE,
}
PROMOTED = {"thimble:image": {"promoteFrom": "dev"}}


@pytest.fixture
def run(project: Path, deploy: Any, whole_program: Any) -> Any:
    """The program in a stack that is told these settings."""
    assert project.is_dir()

    def with_settings(
        stack: str = "dev",
        *,
        preview: bool = False,
        dev: dict[str, Any] | None = None,
        of: str = "organization/thimble/dev",
        **settings: Any,
    ) -> Any:
        given = {f"thimble:{key}": value for key, value in settings.items()}
        return deploy(
            whole_program,
            stack=stack,
            config=ACCOUNT | given,
            stacks={of: dev or DEV},
            preview=preview,
        )

    return with_settings


def test_image_is_built_from_its_context(run: Any, project: Path) -> None:
    """Docker gets a relative folder, an explicit platform, and the base image."""
    build = run().cloud.one("Image")["build"]

    assert build["context"].startswith(".build/image/")
    assert (project / build["context"]).is_dir()
    assert f"{build['context']}/Dockerfile" == build["dockerfile"]
    assert ("linux/arm64", {"BASE_IMAGE": "public.ecr.aws/lambda/python:3.13"}) == (
        build["platform"],
        build["args"],
    )


def test_image_gets_the_drawn_tag(run: Any) -> None:
    """The image is pushed with the tag that was drawn for its context."""
    cloud = run().cloud

    assert cloud.one("Image")["build"]["context"] == cloud.one("ImageTag")["context"]
    assert f"{HOST}/thimble/dev/digits:drawn" == cloud.one("Image")["imageName"]


def test_registry_password_is_secret(run: Any) -> None:
    """The registry's token reaches state only as a secret."""
    request = run().options("Image", "model")
    password = request.object.fields["registry"].struct_value.fields["password"]

    assert "4dabf18193072939515e22adb298388d" in password.struct_value.fields


def test_first_preview_makes_nothing(run: Any, project: Path) -> None:
    """A preview of a new stack neither converts, nor fetches libraries, nor lays out a context."""
    run(preview=True)

    assert not (project / ".build").exists()


def test_function_runs_the_digest(run: Any) -> None:
    """Lambda gets REPOSITORY@sha256:..., of the image that was pushed."""
    assert f"{HOST}/thimble/dev/digits@{DIGEST}" == run().cloud.one("Function")["imageUri"]


def test_function_traces_where_it_is_told_to(run: Any) -> None:
    """Traces are paid for, so a stack has none unless its settings ask."""
    mode = "PassThrough", "Active"

    assert mode == tuple(
        run(function={"tracing": tracing}).cloud.one("Function")["tracingConfig"]["mode"]
        for tracing in (False, True)
    )


def test_api_calls_the_alias(run: Any) -> None:
    """The integration and the permission are about the alias, not the bare function."""
    cloud = run().cloud
    alias = "arn:aws:lambda:eu-central-1:000000000000:function:thimble-dev-digits:live"

    assert (f"invoke/{alias}", "live") == (
        cloud.one("Integration")["integrationUri"],
        cloud.one("Permission")["qualifier"],
    )


def test_exports(run: Any) -> None:
    """What the release flow reads is exported under its agreed names."""
    outputs = run().outputs

    assert {
        *("url", "image_uri", "image_digest", "model_sha256"),
        *("recipe", "base_image", "architecture", "commit", "function", "alias"),
    } == set(outputs)
    assert (DIGEST, "float32", "live") == (
        outputs["image_digest"],
        outputs["recipe"],
        outputs["alias"],
    )


def test_commit_without_git(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a workflow that has no checkout the commit is the one it runs for."""
    monkeypatch.setenv("GITHUB_SHA", "c" * 40)

    assert "c" * 40 == run().outputs["commit"]


def test_commit_is_the_checkout_s(run: Any, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a checkout the commit is what is checked out, whatever the workflow says."""
    monkeypatch.setenv("GITHUB_SHA", "c" * 40)
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com"]
    subprocess.run(["git", "init", "--quiet"], check=True)
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "-m", "a"], check=True)
    head = (project / ".git/refs/heads").rglob("*")

    assert [run().outputs["commit"]] == [
        path.read_text().strip() for path in head if path.is_file()
    ]


def test_commit_outside_a_checkout(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside a checkout the program runs all the same."""
    monkeypatch.delenv("GITHUB_SHA", raising=False)

    assert "unknown" == run().outputs["commit"]


def test_no_machine_path_in_any_request(run: Any, project: Path) -> None:
    """Nothing that reaches state names a place on this machine."""
    assert str(project) not in json.dumps(list(run().cloud.resources.values()))


def test_changed_label_keeps_the_model(run: Any, project: Path) -> None:
    """A new label reaches the image and leaves the model as it is."""
    before = run().cloud
    card = project / "models/digits/model.yaml"
    card.write_text(card.read_text().replace('"a"', '"zero"'))
    after = run().cloud

    assert before.one("OptimizedModel") == after.one("OptimizedModel")
    assert before.one("ImageTag")["context"] != after.one("ImageTag")["context"]


def test_promoted_stack_builds_nothing(run: Any) -> None:
    """A promoted stack takes the other's digest into its own repository, and converts nothing."""
    made = run("staging", image={"promoteFrom": "dev"})
    uri = f"{HOST}/thimble/staging/digits@{DIGEST}"

    assert not {"OptimizedModel", "Image"} & made.cloud.kinds()
    assert {"source": DEV["image_uri"], "uri": uri} == made.cloud.one("PromotedImage")
    assert uri == made.cloud.one("Function")["imageUri"]


def test_promoted_stack_takes_what_was_approved(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other stack may be deployed again after the gate; nothing else is copied then."""
    monkeypatch.setenv(APPROVED, DIGEST)
    run("staging", image={"promoteFrom": "dev"})

    monkeypatch.setenv(APPROVED, "sha256:0")
    with pytest.raises(SettingsError, match=f"dev runs {DIGEST} by now, and sha256:0 was approved"):
        run("staging", image={"promoteFrom": "dev"})


def test_promoted_stack_waits_for_the_copy(run: Any) -> None:
    """The function is made after the image arrived."""
    request = run("staging", image={"promoteFrom": "dev"}).options("Function", "prediction")

    assert any("PromotedImage" in urn for urn in request.propertyDependencies["imageUri"].urns)


def test_promoted_stack_exports_the_other_s_model(run: Any) -> None:
    """Digest, model and recipe are passed on, for the next stage and for whoever compares."""
    outputs = run("staging", image={"promoteFrom": "dev"}).outputs

    assert (DIGEST, DEV["model_sha256"], "static_wi8_ai8") == (
        outputs["image_digest"],
        outputs["model_sha256"],
        outputs["recipe"],
    )


@pytest.fixture
def warnings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the program warned of."""
    told: list[str] = []
    monkeypatch.setattr("pulumi.log.warn", told.append)
    return told


def test_a_base_by_tag_is_warned_of(run: Any, warnings: list[str]) -> None:
    """Where an image is built, with the command that pins it; and where it is promoted to."""
    tag = "public.ecr.aws/lambda/python:3.13"

    outputs = run("dev").outputs
    run("staging", image={"promoteFrom": "dev"}, dev=DEV | outputs)

    assert tag == outputs["base_image"]
    built, promoted = warnings
    assert built.startswith(f"image.baseImage is '{tag}', a tag, which may name other bytes")
    assert promoted.startswith(f"the image promoted from dev was built on '{tag}', a tag")
    assert "pulumi config set --stack dev --path image.baseImage" in built


def test_a_base_by_digest_is_passed_on(run: Any, warnings: list[str]) -> None:
    """Nothing is said of it, and every stage exports it."""
    assert BASE == run("dev", image={"baseImage": BASE}).outputs["base_image"]
    assert BASE == run("staging", image={"promoteFrom": "dev"}).outputs["base_image"]
    assert [] == warnings


@pytest.mark.parametrize("known", [BASE, "unknown", None])
def test_production_takes_what_may_be_pinned(
    run: Any, warnings: list[str], known: str | None
) -> None:
    """Also an image gone back to, and one of a stage that did not export its base yet."""
    run("prod", protect="true", image={"promoteFrom": "dev"}, dev=DEV | {"base_image": known})

    assert [] == warnings


def test_production_takes_no_base_by_tag(run: Any) -> None:
    """The image is not copied, and the message says what to pin where."""
    dev = DEV | {"base_image": "public.ecr.aws/lambda/python:3.13"}

    with pytest.raises(SettingsError, match="in the stack that builds, and deploy it again"):
        run("prod", protect="true", image={"promoteFrom": "dev"}, dev=dev)


@pytest.mark.parametrize("known", ["arm64", None])
def test_an_image_for_this_stacks_processor_is_promoted(run: Any, known: str | None) -> None:
    """Also one of a stage that did not export its processor yet."""
    made = run("staging", image={"promoteFrom": "dev"}, dev=DEV | {"architecture": known})

    assert "arm64" == made.outputs["architecture"]


def test_an_image_for_another_processor_is_not_promoted(run: Any) -> None:
    """Lambda would take it, and fail with every call."""
    dev = DEV | {"architecture": "x86_64"}

    with pytest.raises(SettingsError, match="is arm64, and dev built its image for x86_64"):
        run("staging", image={"promoteFrom": "dev"}, dev=dev)


def test_promotion_by_full_name(run: Any) -> None:
    """A stack of another organization or project is named in full."""
    made = run("staging", image={"promoteFrom": "organization/thimble/dev"})

    assert "organization/thimble/dev" == made.cloud.one("StackReference")["name"]


@pytest.mark.parametrize("name", ["dev", "organization/dev", "organization/thimble/dev"])
def test_nobody_promotes_from_himself(run: Any, name: str) -> None:
    """By whichever of its names a stack is called."""
    with pytest.raises(SettingsError, match=f"promoteFrom is '{name}', this very stack"):
        run("dev", image={"promoteFrom": name})


def test_a_stack_of_another_project_is_another(run: Any) -> None:
    """Even one that is called alike."""
    made = run("dev", image={"promoteFrom": "organization/other/dev"}, of="organization/other/dev")

    assert "organization/other/dev" == made.cloud.one("StackReference")["name"]


def test_endpoint_runs_the_same_image(run: Any) -> None:
    """With backend sagemaker the function calls an endpoint that runs the function's own image."""
    made = run(backend="sagemaker", function={"architecture": "x86_64"})
    uri = made.cloud.one("Function")["imageUri"]

    assert uri == made.cloud.one("Model")["primaryContainer"]["image"]
    assert "thimble-dev-digits-serverless" == made.outputs["endpoint"]
    assert made.cloud.one("Function")["environment"]["variables"] == {
        "MODEL_BACKEND": "sagemaker",
        "TELEMETRY": "metrics",
        "SAGEMAKER_ENDPOINT": "thimble-dev-digits-serverless",
        "BACKEND_TIMEOUT_MS": "25000",
    }


def test_protected_stack(run: Any) -> None:
    """`protect` covers what cannot be had back: the images and the URL."""
    made = run("prod", protect="true", image={"baseImage": BASE})

    assert made.options("Repository", "model").protect
    assert made.options("Api", "prediction").protect


def test_going_back(run: Any) -> None:
    """A pinned digest is served from this stack's own repository, instead of the promoted one."""
    digest = "sha256:" + "e" * 64
    made = run("prod", image={"promoteFrom": "dev", "digest": digest})

    assert f"{HOST}/thimble/prod/digits@{digest}" == made.cloud.one("Function")["imageUri"]
    assert digest == made.outputs["image_digest"]
    assert not {"StackReference", "PromotedImage"} & made.cloud.kinds()


def test_going_back_where_images_are_built(run: Any) -> None:
    """A building stack that serves an older digest keeps what it built in its state."""
    digest = "sha256:" + "e" * 64
    made = run("dev", image={"digest": digest})

    assert f"{HOST}/thimble/dev/digits@{digest}" == made.cloud.one("Function")["imageUri"]
    assert {"OptimizedModel", "Image"} <= made.cloud.kinds()


def test_model_of_an_older_image(run: Any) -> None:
    """Which model an older image holds is not known here, and not guessed."""
    outputs = run("dev", image={"digest": "sha256:" + "e" * 64}).outputs

    assert ("unknown", "unknown") == (outputs["model_sha256"], outputs["recipe"])


def test_faults_stop_the_program(run: Any) -> None:
    """A fault in the settings ends the run before anything is asked of AWS."""
    with pytest.raises(SettingsError, match=r"function.memory is 1"):
        run(function={"memory": 1})


def test_components_are_the_program_s_top(run: Any) -> None:
    """Every AWS resource lies inside a component."""
    made = run()
    loose = [
        request.type
        for request in made.registrations
        if request.type.startswith("aws:") and "thimble:" not in request.parent
    ]

    assert [] == loose
