"""What AWS, and this project's own rules, allow. Each function yields one line per broken rule.

Checked here, in preview, because AWS would refuse the same values minutes later and one at a time.
"""

import math
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from infra import base

if TYPE_CHECKING:
    from infra import settings

# The converter's, which nothing here may import; tests hold the two together.
FLOAT_SCHEMES = ("float32", "float16")
INTEGER_SCHEMES = (
    *("dynamic_wi8_afp32", "weight_only_wi8_afp32", "static_wi8_ai8", "static_wi8_ai16"),
    "dynamic_wi4_afp32",
)
RETENTION_DAYS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
    *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
)
# The gateway gives up at 30 s and answers 503 itself; below it, the handler's own error gets out.
LONGEST_TIMEOUT = 29
# Lambda's: what one core costs in memory, and how many there are at most.
MEGABYTES_PER_CORE = 1769
MOST_CORES = 6
MOST_MEMORY = 10_240
ACCOUNT = re.compile(r"\d{12}")
# AWS's own processors carry a g after the generation: ml.c6g, ml.m7gd; but ml.g5 is a GPU.
GRAVITON = re.compile(r"ml\.[a-z]+\d+g[a-z]*\.")
SNAPSHOT_PYTHON = 12
# AWS's images before Python 3.12 have glibc 2.26; LiteRT's wheels ask for 2.27 (arm64: 2.34).
OLD_LINUX = re.compile(r"(public\.ecr\.aws/lambda/|amazon/aws-lambda-)python:3\.(\d|1[01])\b")
# As browsers send it: no path, not even a slash, or no page would ever match.
ORIGIN = re.compile(r"\*|https?://(\*|[A-Za-z0-9.-]+(:\d+)?)")
ISSUER = re.compile(r"https://[A-Za-z0-9.-]+(:\d+)?(/[^\s?#]*)?")
# Nobody sits between this machine and itself, so its own issuer needs no certificate.
OWN_ISSUER = re.compile(r"http://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?(/[^\s?#]*)?")
# With a path: the function asks for it with `:predict` behind, which no host's name can carry.
BACKEND_URL = re.compile(r"https?://[^/\s]+/+[^/\s]\S*")
# One address: SNS would refuse anything else, after the rest was deployed.
EMAIL = re.compile(r"[^\s@,;]+@[^\s@,;.]+(\.[^\s@,;.]+)+")
INSTANCE_TYPE = re.compile(r"ml\.[a-z]+\d+[a-z0-9-]*\.(medium|\d*x?large)")
SERVERLESS_MEMORY = (1024, 2048, 3072, 4096, 5120, 6144)


def is_local(stack: str) -> bool:
    """Whether a stack lives in an emulator. One name and no other, as the policy pack has it too.

    What is open to everybody here would be open on the internet there.
    """
    return stack == "local"


def recipe(recipe: str) -> Iterator[str]:
    """`recipe`, by its name; whether the model suits it is the converter's to say."""
    floats, integers = "|".join(FLOAT_SCHEMES), "|".join(INTEGER_SCHEMES)
    share = r"(\+prune([1-9]|[1-8]\d|9[0-5]))?"
    if not re.fullmatch(rf"auto|({floats}|({integers})(\+mixed)?){share}", recipe):
        yield (
            f"recipe is {recipe!r}; expected auto or one of "
            f"{', '.join(FLOAT_SCHEMES + INTEGER_SCHEMES)}; where wanted, an integer one with "
            "+mixed, then any with +pruneNN (NN from 1 to 95)"
        )


def image(image: "settings.ImageSettings") -> Iterator[str]:
    """`image.*`."""
    if not re.fullmatch(r"3\.\d+", image.python):
        yield (
            f"image.pythonVersion is {image.python_version!r} and image.baseImage "
            f"{image.base_image!r} does not tell; expected the base's Python, such as 3.13"
        )
    if OLD_LINUX.match(image.base_image):
        yield (
            f"image.baseImage is {image.base_image!r}, which is Amazon Linux 2; LiteRT needs a "
            "newer C library: choose AWS's Python 3.12 or later, such as "
            "public.ecr.aws/lambda/python:3.13"
        )
    if "@" in image.base_image and not base.is_pinned(image.base_image):
        yield (
            f"image.baseImage is {image.base_image!r}; expected NAME:TAG@sha256: and 64 hex digits"
        )
    yield from _between("image.keepReleases", image.keep_releases, 2, 1000)
    if image.digest and not re.fullmatch(r"sha256:[0-9a-f]{64}", image.digest):
        yield (
            f"image.digest is {image.digest!r}; expected sha256: and 64 hex digits, as an earlier "
            "deployment exported in image_digest"
        )
    for account in image.shared_with:
        if not ACCOUNT.fullmatch(account):
            yield f"image.sharedWith holds {account!r}; expected account numbers of 12 digits"


def base_image(stack: str, image: "settings.ImageSettings", *, protect: bool) -> Iterator[str]:
    """What is protected is built on bytes that are named.

    Going back is not stopped: what worked is served, whatever would be built.
    """
    builds = not image.promote_from and not image.digest
    if builds and protect and not is_local(stack) and "@" not in image.base_image:
        yield base.remark(image.base_image, stack)


def function(function: "settings.FunctionSettings") -> Iterator[str]:
    """`function.*`, by Lambda's limits."""
    yield from _between("function.memory", function.memory, 128, MOST_MEMORY, "MB")
    yield from _between("function.timeout", function.timeout, 1, LONGEST_TIMEOUT, "s")
    yield from _between("function.ephemeralStorage", function.ephemeral_storage, 512, 10_240, "MB")
    yield from _between(
        "function.provisionedConcurrency", function.provisioned_concurrency, 0, 1000
    )
    if function.log_retention not in RETENTION_DAYS:
        yield (
            f"function.logRetention is {function.log_retention}; CloudWatch knows "
            f"{', '.join(map(str, RETENTION_DAYS))} days"
        )
    yield from _one_of("function.architecture", function.architecture, ("arm64", "x86_64", "host"))
    yield from _one_of("function.telemetry", function.telemetry, ("metrics", "log", "off"))
    most = min(MOST_CORES, math.ceil(function.memory / MEGABYTES_PER_CORE))
    if not 0 <= function.threads <= MOST_CORES:
        yield from _between("function.threads", function.threads, 0, MOST_CORES)
    elif function.threads > most:
        yield (
            f"function.threads is {function.threads} and function.memory {function.memory} MB; a "
            f"core comes with each {MEGABYTES_PER_CORE} MB, and threads that share one wait for "
            f"each other: set function.threads to {most} at most, or function.memory to "
            f"{min(function.threads * MEGABYTES_PER_CORE, MOST_MEMORY)}"
        )


def api(api: "settings.ApiSettings") -> Iterator[str]:
    """`api.*`, by API Gateway's limits."""
    yield from _between("api.throttleRate", api.throttle_rate, 1, 10_000, "requests/s")
    yield from _between("api.throttleBurst", api.throttle_burst, 1, 5_000, "requests")
    for origin in api.cors_origins:
        if not ORIGIN.fullmatch(origin):
            yield (
                f"api.corsOrigins holds {origin!r}; expected scheme and host without a path, such "
                "as https://example.com"
            )


def endpoint(endpoint: "settings.EndpointSettings") -> Iterator[str]:
    """`endpoint.*`, by SageMaker's limits."""
    if endpoint.memory not in SERVERLESS_MEMORY:
        yield (
            f"endpoint.memory is {endpoint.memory}; a serverless endpoint takes "
            f"{', '.join(map(str, SERVERLESS_MEMORY))} MB"
        )
    yield from _between("endpoint.maxConcurrency", endpoint.max_concurrency, 1, 200)
    yield from _between("endpoint.minInstances", endpoint.min_instances, 1, 100)
    yield from _between("endpoint.maxInstances", endpoint.max_instances, 1, 100)
    if endpoint.max_instances < endpoint.min_instances:
        yield (
            f"endpoint.maxInstances is {endpoint.max_instances}, below endpoint.minInstances "
            f"{endpoint.min_instances}"
        )
    yield from _between(
        "endpoint.invocationsPerInstance", endpoint.invocations_per_instance, 1, 1_000_000
    )
    if not INSTANCE_TYPE.fullmatch(endpoint.instance_type):
        yield (
            f"endpoint.instanceType is {endpoint.instance_type!r}; expected 'ml.', a family and a "
            "size, such as ml.c6g.large"
        )


def watch(watch: "settings.WatchSettings") -> Iterator[str]:
    """`watch.*`."""
    yield from _between("watch.errors", watch.errors, 1, 1_000_000)
    yield from _between("watch.throttles", watch.throttles, 1, 1_000_000)
    yield from _between("watch.p99Milliseconds", watch.p99_milliseconds, 1, 29_000, "ms")
    yield from _between("watch.serverErrors", watch.server_errors, 1, 1_000_000)
    yield from _between("watch.monthlyBudget", watch.monthly_budget, 0, 1_000_000, "USD")
    if watch.email and not EMAIL.fullmatch(watch.email):
        yield (
            f"watch.email is {watch.email!r}; expected one address, such as me@example.com, or "
            "nothing for no e-mail"
        )


def choices(backend: str, auth: str, kind: str) -> Iterator[str]:
    """The settings that pick one of a few."""
    yield from _one_of("backend", backend, ("litert", "sagemaker", "http"))
    yield from _one_of("api.auth", auth, ("iam", "jwt", "none"))
    yield from _one_of("endpoint.kind", kind, ("serverless", "instances"))


def combinations(
    backend: str,
    backend_url: str,
    function: "settings.FunctionSettings",
    api: "settings.ApiSettings",
) -> Iterator[str]:
    """Settings that are each fine and impossible together."""
    unwelcome = [mark for mark in "@?#" if mark in backend_url]
    if unwelcome:
        # Without the value: what stands there is often a password or a key.
        yield (
            f"backendUrl holds {' and '.join(map(repr, unwelcome))}; the function sends no user, "
            "password, query or fragment along, and the state would keep them in clear: expected "
            "an address without them, such as https://models.example.com/v1/models/digits"
        )
    elif backend == "http" and not BACKEND_URL.fullmatch(backend_url):
        yield (
            f"backend is http and backendUrl is {backend_url!r}; expected the address that "
            "':predict' is put behind, such as https://models.example.com/v1/models/digits"
        )
    if backend != "http" and backend_url:
        yield (
            f"backendUrl is set and backend is {backend}; set backend to http, or remove backendUrl"
        )
    if backend != "litert" and function.threads:
        yield (
            f"function.threads is {function.threads} and backend is {backend}, which computes "
            "elsewhere; set backend to litert, or remove function.threads"
        )
    if api.auth == "jwt" and not api.jwt_audiences:
        yield "api.auth is jwt and api.jwtAudiences is empty; expected at least one audience"
    if api.auth != "jwt" and (api.jwt_issuer or api.jwt_audiences):
        yield (
            f"api.jwtIssuer or api.jwtAudiences is set and api.auth is {api.auth}; set api.auth "
            "to jwt, or remove them"
        )
    if function.snap_start and function.provisioned_concurrency:
        yield (
            f"function.snapStart is on and function.provisionedConcurrency is "
            f"{function.provisioned_concurrency}; Lambda takes one or the other: set one to "
            "false or 0"
        )
    if function.snap_start and function.ephemeral_storage > 512:  # noqa: PLR2004 (Lambda's figure)
        yield (
            f"function.snapStart is on and function.ephemeralStorage is "
            f"{function.ephemeral_storage}; a snapshot takes at most 512 MB"
        )


def issuer(stack: str, api: "settings.ApiSettings") -> Iterator[str]:
    """A token is worth what the keys it is checked against are: fetched where nobody listens in."""
    if api.auth != "jwt" or ISSUER.fullmatch(api.jwt_issuer):
        return
    if is_local(stack) and OWN_ISSUER.fullmatch(api.jwt_issuer):
        return
    here = ", or http on this machine such as http://127.0.0.1:8080" if is_local(stack) else ""
    yield (
        f"api.auth is jwt and api.jwtIssuer is {api.jwt_issuer!r}; expected the issuer's https "
        f"address, as in its tokens' iss{here}"
    )


def hardware(
    backend: str,
    image: "settings.ImageSettings",
    function: "settings.FunctionSettings",
    endpoint: "settings.EndpointSettings",
) -> Iterator[str]:
    """What one image has to suit: the function, its snapshots, and the endpoint."""
    minor = image.python.rpartition(".")[2]
    if function.snap_start and minor.isdigit() and int(minor) < SNAPSHOT_PYTHON:
        yield (
            f"function.snapStart is on and image.baseImage {image.base_image!r} is Python "
            f"{image.python}; snapshots want AWS's base image of Python 3.{SNAPSHOT_PYTHON} or "
            "later"
        )
    # `host` is for emulators, which run any endpoint on the machine at hand.
    if backend != "sagemaker" or function.architecture == "host":
        return
    arm = function.architecture == "arm64"
    if endpoint.kind == "serverless" and arm:
        yield (
            "backend is sagemaker, endpoint.kind serverless and function.architecture arm64; "
            "serverless endpoints run x86_64 images: set function.architecture to x86_64, or "
            "endpoint.kind to instances"
        )
    if endpoint.kind == "instances" and arm != bool(GRAVITON.match(endpoint.instance_type)):
        yield (
            f"endpoint.instanceType is {endpoint.instance_type} and function.architecture "
            f"{function.architecture}; both run the same image: choose "
            f"{'a Graviton type such as ml.c6g.large' if arm else 'a type such as ml.c6i.large'}"
        )


def _between(key: str, value: int, low: int, high: int, unit: str = "") -> Iterator[str]:
    if not low <= value <= high:
        yield f"{key} is {value}; expected {low} to {high} {unit}".rstrip()


def _one_of(key: str, value: str, allowed: tuple[str, ...]) -> Iterator[str]:
    if value not in allowed:
        yield f"{key} is {value!r}; expected {', '.join(allowed[:-1])} or {allowed[-1]}"
