"""What a stack would cost, by what its preview says will be there."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from handler.manifest import Manifest
from handler.telemetry import Record, Telemetry
from handler.tensor import Tensor
from release import cost, preview
from release.cost import Cost, load_cost, price
from release.errors import InputError

FUNCTION = "aws:lambda/function:Function"
ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
DASHBOARD = "aws:cloudwatch/dashboard:Dashboard"
WARM = "aws:lambda/provisionedConcurrencyConfig:ProvisionedConcurrencyConfig"
ENDPOINT = "aws:sagemaker/endpointConfiguration:EndpointConfiguration"
MODEL = "aws:sagemaker/model:Model"
MONTH_SECONDS = 730 * 3600
PLAIN: dict[str, Any] = {
    "memorySize": 2048,
    "architectures": ["arm64"],
    "environment": {"variables": {"TELEMETRY": "off", "MODEL_BACKEND": "litert"}},
    "tracingConfig": {"mode": "PassThrough"},
}


PORT = {"dtype": "float32", "shape": [-1, 2], "quantization": None}
MANIFEST: dict[str, Any] = {
    "schema": 1,
    "name": "digits",
    "sha256": "0" * 64,
    "recipe": "dynamic_wi4_afp32",
    "signature": {
        "name": "serving_default",
        "inputs": [{**PORT, "name": "image"}],
        "outputs": [{**PORT, "name": "scores"}],
    },
    "labels": ["0", "1"],
}


def document(*resources: tuple[str, dict[str, Any]], op: str = "create") -> dict[str, Any]:
    """A preview of so many resources, each by its type and inputs."""
    return {
        "steps": [
            {"op": op, "urn": f"urn:{i}", "newState": {"type": kind, "inputs": inputs}}
            for i, (kind, inputs) in enumerate(resources)
        ]
    }


def priced(*others: tuple[str, dict[str, Any]], **inputs: Any) -> Cost:
    """The cost of a plain function with some other inputs, and of other resources."""
    found = price(document((FUNCTION, {**PLAIN, **inputs}), *others))
    assert found is not None
    return found


def with_telemetry(level: str) -> dict[str, Any]:
    """A function's or a container's inputs."""
    return {"variables": {"TELEMETRY": level}}


def test_a_plain_function_costs_nothing_until_it_is_asked() -> None:
    """The gateway, the request, the lines that AWS itself logs; 2 GB for a millisecond."""
    plain = priced()

    assert {} == plain.monthly
    assert {"API Gateway": 1.0, "Lambda, requests": 0.2, "logs, 0.9 kB each": 0.475} == (
        pytest.approx(dict(plain.million))
    )
    assert 2 * 0.0000133334 * 1000 == pytest.approx(plain.million_ms)
    assert () == plain.unpriced


def test_the_other_processor_is_dearer() -> None:
    """Lambda's price of a GB-second on x86."""
    assert 2 * 0.0000166667 * 1000 == pytest.approx(priced(architectures=["x86_64"]).million_ms)


def test_alarms_dashboard_and_metrics_stand_there_all_month() -> None:
    """Whether or not anybody asks, but for the metrics."""
    watched = priced(
        *[(ALARM, {})] * 4, (DASHBOARD, {}), environment=with_telemetry("metrics"), memorySize=512
    )

    assert {"4 alarms": 0.4, "1 dashboard": 3.0, "9 metrics, if asked every hour": 2.7} == (
        pytest.approx(dict(watched.monthly))
    )


def test_an_endpoint_has_metrics_of_its_own() -> None:
    """The same as the function's, under another name."""
    container = {"primaryContainer": {"environment": {"TELEMETRY": "metrics"}}}

    found = priced((MODEL, container), environment=with_telemetry("metrics"))

    assert {"18 metrics, if asked every hour": 5.4} == pytest.approx(dict(found.monthly))


def test_instances_kept_warm_are_paid_for_by_the_second() -> None:
    """Computing in them is cheaper than elsewhere."""
    kept = priced((WARM, {"provisionedConcurrentExecutions": 3}))

    expected = 3 * 2 * MONTH_SECONDS * 0.0000033334
    assert {"3 instances kept warm": expected} == pytest.approx(dict(kept.monthly))
    assert 2 * 0.0000077778 * 1000 == pytest.approx(kept.million_ms)


def test_a_snapshot_is_paid_for_while_it_is_kept() -> None:
    """One version's; each that is not deleted costs the same again."""
    found = priced(snapStart={"applyOn": "PublishedVersions"})

    expected = 2 * MONTH_SECONDS * 0.0000015046
    assert {"snapshot of one version": expected} == pytest.approx(dict(found.monthly))


def test_traces_are_in_it() -> None:
    """5 USD a million, of one request in twenty."""
    assert pytest.approx(0.25) == priced(tracingConfig={"mode": "Active"}).million["traces of 5 %"]


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        ({"serverlessConfig": {"memorySizeInMb": 2048}}, "SageMaker's serverless endpoint"),
        (
            {"instanceType": "ml.c6g.large", "initialInstanceCount": 2},
            "SageMaker's endpoint, from 2 ml.c6g.large all month",
        ),
        ({"instanceType": {"secret": "value"}}, "SageMaker's endpoint"),
    ],
    ids=["serverless", "instances", "unknown"],
)
def test_what_has_no_price_here_is_named(variant: dict[str, Any], expected: str) -> None:
    """SageMaker's machines are too many to list."""
    assert expected in priced((ENDPOINT, {"productionVariants": [variant]})).unpriced


def test_waiting_for_another_server_is_named() -> None:
    """How long that takes is nothing that a report says."""
    found = priced(environment={"variables": {"TELEMETRY": "off", "MODEL_BACKEND": "http"}})

    assert ("the time that Lambda waits for the model's server, and that server",) == found.unpriced


def test_what_goes_costs_nothing_and_what_is_replaced_costs_once() -> None:
    """The engine tells a replacement as up to three steps."""
    steps = [
        ("same", "urn:f", FUNCTION, PLAIN),
        ("create-replacement", "urn:a", ALARM, {}),
        ("replace", "urn:a", ALARM, {}),
        ("delete", "urn:d", DASHBOARD, {}),
    ]

    found = price(
        {
            "steps": [
                {"op": op, "urn": urn, "newState": {"type": kind, "inputs": inputs}}
                for op, urn, kind, inputs in steps
            ]
            + [{"op": "delete-replaced", "urn": "urn:a", "newState": None}]
        }
    )

    assert found is not None
    assert {"1 alarm": 0.1} == pytest.approx(dict(found.monthly))


def test_without_a_function_there_is_no_cost() -> None:
    """A stack that goes, or a preview that is none."""
    assert None is price(document((FUNCTION, PLAIN), op="delete"))
    assert None is price({})


def test_what_is_not_known_yet_or_secret_counts_as_aws_would() -> None:
    """Neither is a number; Lambda's own default is 128 MB."""
    secret = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}

    found = priced(memorySize=secret, architectures=None, environment="unknown")

    assert 128 / 1024 * 0.0000166667 * 1000 == pytest.approx(found.million_ms)


@pytest.mark.parametrize(
    ("memory", "model_ms", "expected"),
    [(1769, None, 1), (1769, 0.02, 2), (3538, 8.0, 9), (884.5, 8.0, 18)],
)
def test_less_memory_is_a_smaller_part_of_a_core(
    memory: float, model_ms: float | None, expected: int
) -> None:
    """Milliseconds are billed whole; more memory makes one thread no faster."""
    assert expected == priced(memorySize=memory).billed_ms(model_ms)


def test_a_terminal_gets_sums_that_add_up() -> None:
    """A month, a million, and a month of so many a second."""
    lines = cost.describe("dev", priced((ALARM, {}), (ALARM, {})), 10, rate=0.5).splitlines()

    million = 1.0 + 0.2 + 0.475 + 10 * 2 * 0.0000133334 * 1000
    sums = [float(line) for line in lines if not line.strip(" 0123456789.")]
    assert [0.2, round(million, 2), round(0.2 + 1.314 * million, 2)] == sums
    assert "at 0.5 a second, 1.3 million a month" in lines


def test_the_readme_shows_what_is_printed() -> None:
    """Of the example, whose function has a whole core of this machine's kind."""
    example = priced(
        *[(ALARM, {})] * 4,
        (DASHBOARD, {}),
        memorySize=1769,
        architectures=["x86_64"],
        environment=with_telemetry("metrics"),
    )

    _, *lines = cost.describe("local", example, example.billed_ms(None), rate=1.0).splitlines()

    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    assert "\n".join(["```", *lines, "```"]) in readme


def test_a_comment_shows_each_stage_and_folds_the_rest_away() -> None:
    """What one stage alone has stays empty for the others."""
    costs = {"dev": priced(), "prod": priced((DASHBOARD, {}))}

    lines = cost.render(costs, model_ms=8.5).splitlines()

    assert "| a month | 0.00 | 3.00 |" in lines
    assert "| a million predictions | 1.94 | 1.94 |" in lines
    assert "| 1 dashboard |  | 3.00 |" in lines
    assert "| Lambda, 10 ms each | 0.27 | 0.27 |" in lines
    assert "" == cost.render({}, model_ms=None)


def test_a_saved_cost_comes_back() -> None:
    """By way of JSON, from one job to another."""
    found = priced((ALARM, {}), tracingConfig={"mode": "Active"})

    assert replace(found, unpriced=[]) == load_cost(json.loads(json.dumps(asdict(found))))
    assert None is load_cost(None)


@pytest.mark.parametrize(
    "wrong",
    [
        "free",
        {"million_ms": 1.0},
        {"million_ms": 1.0, "core": 0},
        {"million_ms": "1", "core": 1},
        {"million_ms": 1.0, "core": 1, "monthly": {"[x](https://x.example)": 1.0}},
        {"million_ms": 1.0, "core": 1, "unpriced": ["@team"]},
        {"million_ms": 1.0, "core": 1, "million": [1]},
        {"million_ms": 1.0, "core": 1, "more": 1},
    ],
)
def test_what_is_no_cost_is_refused(wrong: object) -> None:
    """It stands in a comment: no links, no mentions, no text for a number."""
    with pytest.raises(InputError, match="not a cost"):
        load_cost(wrong)


def test_a_failed_preview_has_no_cost() -> None:
    """Half of the resources would be half of the price."""
    text = json.dumps(document((FUNCTION, PLAIN)))

    assert None is not preview.from_output("dev", code=0, stdout=text, stderr="").cost
    assert None is preview.from_output("dev", code=1, stdout=text, stderr="no").cost


@pytest.mark.parametrize("level", ["metrics", "log", "off"])
def test_the_handler_logs_as_much_as_is_counted(
    level: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Within a tenth, and as many metrics."""
    settings = {"TELEMETRY": level, "AWS_LAMBDA_FUNCTION_NAME": "thimble-prod-digits"}
    record = Record(Telemetry(Manifest(MANIFEST), settings), "c6af9ac6-7b61-11e6-9a41-93e8deadbeef")
    record.fields["route"] = "predict"
    for lap in ("decode_ms", "infer_ms", "encode_ms"):
        record.lap(lap)
    record.answered(1, {"scores": Tensor.of("float32", (1, 2), [0.4442296, 0.5557704])})
    record.write(200, None)

    line = capsys.readouterr().out
    assert cost.LOG_BYTES[level] == pytest.approx(len(line), rel=0.1)
    if level == "metrics":
        assert cost.METRICS == len(json.loads(line)["_aws"]["CloudWatchMetrics"][0]["Metrics"])
