"""Settings: every key known, every fault named, all of them at once."""

import dataclasses
import json
import re
import typing
from pathlib import Path
from typing import Any

import pytest
import yaml

from convert.errors import OptionError
from convert.recipe import Recipe, Scheme
from handler.telemetry import _LEVELS
from infra import config, limits, settings
from infra.settings import Backend, Settings
from tests.infra.told import fault, read

ROOT = Path(__file__).parents[2]
PIN = "@sha256:" + "b" * 64
TYPES = {str: "string", int: "integer", bool: "boolean", tuple[str, ...]: "array"}


@pytest.fixture(autouse=True)
def _at_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def declared() -> dict[str, dict[str, Any]]:
    """Every key as Pulumi.yaml describes it."""
    content: dict[str, Any] = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())
    described: dict[str, dict[str, Any]] = content["config"]
    return described


def in_code() -> dict[str, tuple[str, Any]]:
    """Every key with its type and default, as the dataclasses have them."""
    areas = {
        "": settings._Top,
        "image.": settings.ImageSettings,
        "function.": settings.FunctionSettings,
        "api.": settings.ApiSettings,
        "endpoint.": settings.EndpointSettings,
        "watch.": settings.WatchSettings,
    }
    keys = {}
    for prefix, area in areas.items():
        kinds = typing.get_type_hints(area)
        for entry in dataclasses.fields(area):
            default = list(entry.default) if isinstance(entry.default, tuple) else entry.default
            keys[prefix + config.camel(entry.name)] = (TYPES[kinds[entry.name]], default)
    return keys


def test_described_settings_are_the_settings() -> None:
    """Pulumi.yaml describes each setting the program reads, with the same type and default."""
    described = {key: (entry["type"], entry["default"]) for key, entry in declared().items()}

    assert in_code() == described


def test_telemetry_is_the_handlers() -> None:
    """What may be set is what the handler's TELEMETRY takes."""
    assert _LEVELS == tuple(settings.Telemetry)


def test_described_recipes_are_the_converters() -> None:
    """Pulumi.yaml offers each recipe that `python -m convert` knows, and no other."""
    offered = re.findall(r"\b\w*(?:float|wi\d)\w*", declared()["recipe"]["description"])

    assert list(Scheme) == offered


PARTS = ("", "+mixed", "+prune0", "+prune50", "+prune095", "+prune95", "+prune96", "+mixed+prune7")


@pytest.mark.parametrize("scheme", [*Scheme, "auto", "int8", "", "FLOAT32", "float32+prune5+mixed"])
@pytest.mark.parametrize("part", PARTS)
def test_recipes_are_the_converters(scheme: str, part: str) -> None:
    """The settings take each name that `python -m convert` takes, and no other."""
    name = scheme + part
    try:
        known = name == "auto" or bool(Recipe(name))
    except OptionError:
        known = False

    assert known is (not [*limits.recipe(name)])


def test_a_recipe_is_refused_with_everything_else() -> None:
    """In the same message, not after the others were mended."""
    message = fault(recipe="int8", function={"memory": 1})

    assert "2 settings need mending" in message
    assert (
        "recipe is 'int8'; expected auto or one of float32, float16, dynamic_wi8_afp32" in message
    )


def test_a_key_that_stands_beside_its_area() -> None:
    """`pulumi config set watch.email` writes one; the message says how it is written."""
    message = fault(**{"watch.email": "me@example.com", "function.memory": "1"})

    assert (
        "watch.email is written as one word, and email belongs below watch: pulumi config rm "
        "watch.email, then pulumi config set --path watch.email <value>, which writes watch: "
        "{email: <value>}"
    ) in message
    assert "function.memory is written as one word" in message
    assert "is not a setting" not in message


def test_origins_that_aws_takes() -> None:
    """A page's origin may name a port; a wildcard stands for every host."""
    given = ["https://a.example", "http://localhost:3000", "https://*", "*"]

    assert tuple(given) == read(api={"corsOrigins": given}).api.cors_origins


def test_every_setting_is_explained() -> None:
    """No setting in Pulumi.yaml lacks a description that ends like a sentence."""
    assert [] == [
        key for key, entry in declared().items() if not entry["description"].rstrip().endswith(".")
    ]


@pytest.mark.parametrize("stack", ["local", "dev", "staging", "prod"])
def test_stack_files_are_accepted(stack: str) -> None:
    """Each stack's file, as it is committed, makes valid settings."""
    content = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"]
    given = {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in content.items()
    }

    assert stack == Settings.from_values(stack, given).stack


@pytest.mark.parametrize("stack", ["local", "dev", "staging", "prod"])
def test_stack_files_hold_differences_only(stack: str) -> None:
    """A stack's file repeats no default."""
    content = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"]
    defaults = {key: entry["default"] for key, entry in declared().items()}
    given: dict[str, Any] = {}
    for key, value in content.items():
        name = key.removeprefix("thimble:")
        nested = value.items() if isinstance(value, dict) else [("", value)]
        given |= {f"{name}.{sub}".rstrip("."): leaf for sub, leaf in nested}

    assert [] == [key for key, value in given.items() if defaults.get(key) == value]


def test_nothing_set_gives_the_defaults() -> None:
    """A stack that sets nothing gets signed calls, one core and no provisioned instances."""
    found = read()

    assert ("iam", 1769, 0) == (
        found.api.auth,
        found.function.memory,
        found.function.provisioned_concurrency,
    )


def test_areas_may_come_as_text() -> None:
    """The engine passes an area as JSON text, in which numbers may be text as well."""
    assert 3008 == read(function='{"memory": "3008"}').function.memory


def test_all_faults_in_one_message() -> None:
    """Three mistakes are one message, so that mending takes one preview instead of three."""
    message = fault(recipy="auto", function={"memory": 99}, api={"auth": "basic"})

    assert "3 settings need mending (Pulumi.dev.yaml)" in message
    assert 3 == message.count("\n  - ")


def test_unknown_key_names_its_neighbour() -> None:
    """A misspelt key is told with the one that was probably meant."""
    assert "api.throtleRate is not a setting; did you mean api.throttleRate?" in fault(
        api={"throtleRate": 5}
    )


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ({"function": {"memory": 127}}, "function.memory is 127; expected 128 to 10240 MB"),
        ({"function": {"memory": 10241}}, "function.memory is 10241"),
        ({"function": {"memory": "big"}}, "function.memory is 'big'; expected a whole number"),
        ({"function": {"memory": True}}, "expected a whole number"),
        ({"function": {"memory": 1.5}}, "expected a whole number"),
        ({"function": {"timeout": 30}}, "function.timeout is 30; expected 1 to 29 s"),
        ({"function": {"ephemeralStorage": 511}}, "expected 512 to 10240 MB"),
        ({"function": {"logRetention": 31}}, "function.logRetention is 31; CloudWatch knows"),
        ({"function": {"architecture": "riscv"}}, "expected arm64, x86_64 or host"),
        ({"function": {"snapStart": "maybe"}}, "expected true or false"),
        ({"function": {"threads": 7}}, "function.threads is 7; expected 0 to 6"),
        ({"function": {"threads": -1}}, "function.threads is -1; expected 0 to 6"),
        (
            {"function": {"threads": 2}},
            "set function.threads to 1 at most, or function.memory to 3538",
        ),
        ({"function": {"telemetry": "on"}}, "function.telemetry is 'on'; expected metrics, log"),
        ({"function": "big"}, "function is 'big'; expected keys below it"),
        ({"api": {"throttleRate": 0}}, "api.throttleRate is 0; expected 1 to 10000 requests/s"),
        ({"api": {"throttleBurst": 5001}}, "expected 1 to 5000 requests"),
        ({"api": {"corsOrigins": "*"}}, 'expected a list of texts: ["*"]'),
        ({"api": {"corsOrigins": ["example.com"]}}, "api.corsOrigins holds 'example.com'"),
        ({"api": {"corsOrigins": ["https://a.example/"]}}, "without a path"),
        ({"backend": "torch"}, "backend is 'torch'; expected litert, sagemaker or http"),
        ({"endpoint": {"memory": 1500}}, "endpoint.memory is 1500; a serverless endpoint takes"),
        ({"endpoint": {"maxConcurrency": 201}}, "expected 1 to 200"),
        ({"endpoint": {"minInstances": 3}}, "maxInstances is 2, below endpoint.minInstances 3"),
        ({"image": {"baseImage": "example.com/base"}}, "image.pythonVersion is ''"),
        (
            {"image": {"baseImage": "public.ecr.aws/lambda/python:3.13@sha256:..."}},
            "@sha256:...'; expected NAME:TAG@sha256: and 64 hex digits",
        ),
        (
            {"image": {"baseImage": "public.ecr.aws/lambda/python:3.11"}},
            "which is Amazon Linux 2; LiteRT needs a newer C library: choose AWS's Python 3.12",
        ),
        ({"image": {"baseImage": "amazon/aws-lambda-python:3.9"}}, "which is Amazon Linux 2"),
        ({"image": {"sharedWith": ["me"]}}, "image.sharedWith holds 'me'"),
        (
            {"image": {"sharedWith": [222222222222]}},
            'sharedWith is [222222222222]; expected a list of texts: ["222222222222"]',
        ),
        (
            {"image": {"sharedWith": "222222222222"}},
            "sharedWith is '222222222222'; expected a list of texts: [\"222222222222\"]",
        ),
        ({"image": {"sharedWith": [{"a": 1}]}}, "[{'a': 1}]; expected a list of texts"),
        ({"image": {"sharedWith": ""}}, "image.sharedWith is ''; expected a list of texts"),
        ({"image": {"digest": "v1"}}, "image.digest is 'v1'; expected sha256: and 64 hex"),
        ({"image": {"keepReleases": 1}}, "image.keepReleases is 1; expected 2 to 1000"),
        ({"watch": {"monthlyBudget": -1}}, "watch.monthlyBudget is -1"),
        ({"model": "models/none"}, "no model card at models/none/model.yaml"),
    ],
)
def test_values_out_of_range(own: dict[str, Any], expected: str) -> None:
    """What AWS would refuse is refused in preview, with the value and what was expected."""
    assert expected in fault(**own)


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ({"backend": "http"}, "backend is http and backendUrl is ''"),
        ({"backend": "http", "backendUrl": "https://"}, "backendUrl is 'https://'; expected"),
        (
            {"backend": "http", "backendUrl": "https://a.example/"},
            "expected the address that ':predict' is put behind",
        ),
        ({"backendUrl": "https://a.example"}, "backendUrl is set and backend is litert"),
        ({"api": {"auth": "jwt"}}, "api.jwtIssuer is ''"),
        (
            {"api": {"auth": "jwt", "jwtIssuer": "https://issuer.example"}},
            "api.jwtAudiences is empty",
        ),
        ({"api": {"jwtAudiences": ["me"]}}, "api.auth is iam; set api.auth to jwt"),
        (
            {"function": {"snapStart": True, "provisionedConcurrency": 1}},
            "Lambda takes one or the other",
        ),
        (
            {"function": {"snapStart": True, "ephemeralStorage": 1024}},
            "a snapshot takes at most 512 MB",
        ),
        (
            {"function": {"snapStart": True}, "image": {"baseImage": "base:3.11"}},
            "snapshots want AWS's base image of Python 3.12",
        ),
        ({"backend": "sagemaker"}, "serverless endpoints run x86_64 images"),
        (
            {
                "backend": "sagemaker",
                "function": {"architecture": "x86_64"},
                "endpoint": {"kind": "instances"},
            },
            "endpoint.instanceType is ml.c6g.large and function.architecture x86_64",
        ),
        (
            {
                "backend": "sagemaker",
                "endpoint": {"kind": "instances", "instanceType": "ml.g5.xlarge"},
            },
            "choose a Graviton type",
        ),
        (
            {
                "backend": "http",
                "backendUrl": "https://a.example",
                "function": {"threads": 1},
            },
            "backend is http, which computes elsewhere; set backend to litert",
        ),
        ({"image": {"promoteFrom": "dev"}}, "this very stack"),
    ],
)
def test_impossible_together(own: dict[str, Any], expected: str) -> None:
    """Settings that are each fine and impossible together are refused."""
    assert expected in fault(**own)


@pytest.mark.parametrize("backend", ["http", "litert"])
@pytest.mark.parametrize(
    ("url", "marks"),
    [
        ("https://me:hush@a.example/v1/models/digits", "'@'"),
        ("https://a.example/v1/models/digits?key=hush", "'?'"),
        ("https://a.example/v1/models/digits#hush", "'#'"),
        ("me:hush@a.example?hush", "'@' and '?'"),
    ],
)
def test_backend_url_without_secrets(backend: str, url: str, marks: str) -> None:
    """What the function would not send and the state would keep is refused, and not repeated."""
    message = fault(backend=backend, backendUrl=url)

    assert f"backendUrl holds {marks}; the function sends no user, password" in message
    assert "hush" not in message


def test_backend_is_typed() -> None:
    """A backend leaves settings as one of a closed set."""
    found = read(
        backend="sagemaker", endpoint={"kind": "instances"}, function={"architecture": "arm64"}
    )

    assert found.backend is Backend.SAGEMAKER


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ({}, "3.13"),
        ({"baseImage": f"public.ecr.aws/lambda/python:3.12{PIN}"}, "3.12"),
        ({"baseImage": "example.com:5000/base", "pythonVersion": "3.11"}, "3.11"),
    ],
)
def test_python_of_the_base(image: dict[str, Any], expected: str) -> None:
    """The base's Python is the setting, else what the tag says; a port is no version."""
    assert expected == read(image=image).image.python


@pytest.mark.parametrize(("machine", "expected"), [("aarch64", "arm64"), ("x86_64", "x86_64")])
def test_host_is_resolved(machine: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`host` becomes Lambda's name of this machine's processor."""
    monkeypatch.setattr("platform.machine", lambda: machine)

    assert expected == read("local", function={"architecture": "host"}).architecture


@pytest.mark.parametrize(
    ("name", "repository", "endpoint"),
    [
        ("digits", "thimble/dev/digits", "thimble-dev-digits"),
        ("My_Model--2", "thimble/dev/my-model-2", "thimble-dev-My-Model-2"),
    ],
)
def test_names_that_aws_takes(
    name: str, repository: str, endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ECR and SageMaker take fewer characters than a card's name has."""
    monkeypatch.chdir(tmp_path)
    Path("card.yaml").write_text(f"name: {name}\nmodel: model.keras\n")
    found = read(model="card.yaml")

    assert (repository, endpoint) == (found.repository_name, found.endpoint_name)
