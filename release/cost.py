"""What a stack would cost, read off its preview: a month of standing there, and a million calls.

AWS's list prices for us-east-1 in US dollars, first tier, as they were in 2026; other regions are
up to a quarter dearer. Free tiers are not counted, nor is what comes to cents (the images' storage,
the state, starts from a snapshot), what bootstrap makes (a key for each stack), or data sent out.
Source: aws.amazon.com/lambda/pricing, and the same of api-gateway, cloudwatch and xray.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from release.errors import InputError
from release.markdown import row

METRICS = 9
"""Custom metrics of a model's requests: those that `handler.telemetry` names."""

LOG_BYTES = {"metrics": 850, "log": 290, "off": 0}
"""The handler's line for a prediction, by TELEMETRY; a test holds this to the handler."""

OTHER_LOG_BYTES = 950
"""Lambda's two lines for a call and the gateway's one, with CloudWatch's 26 bytes for each line."""

HANDLER_MS = 1.0
"""What a call takes beside the model: the runtime, the handler, JSON. `make bench`: warm, p50."""

WHOLE_CORE_MB = 1769
"""The memory that buys one whole vCPU."""

LAMBDA_MILLION = 0.20
"""A million requests, but for computing."""

GB_SECOND = {
    "x86_64": (0.0000166667, 0.0000097222, 0.0000041667),
    "arm64": (0.0000133334, 0.0000077778, 0.0000033334),
}
"""By architecture, a GB-second of computing; the same where instances are kept warm; and of keeping
one so."""

_MONTH_SECONDS = 730 * 3600
_ALARM, _DASHBOARD, _METRIC = 0.10, 3.00, 0.30
_LOG_GB = 0.50
_GATEWAY_MILLION = 1.00  # of requests and answers up to 512 KB; larger ones count for several
_TRACE_MILLION, _TRACED = 5.00, 0.05  # of many requests, X-Ray records 5 %
_SNAPSHOT_GB_SECOND = 0.0000015046
_INSTANCE = re.compile(r"ml\.[a-z0-9-]+\.[a-z0-9]+")
_WORDS = re.compile(r"[\w .,%'-]+")
_FUNCTION = "aws:lambda/function:Function"
_GONE = ("delete", "delete-replaced", "remove")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one stack costs, in US dollars; numbers and words of ours alone, fit to be published.

    Attributes:
        monthly: What stands there, by what it is.
        million: What a million predictions add, but for computing.
        million_ms: What they add for each millisecond that Lambda bills for one.
        core: The part of a core that the function's memory buys, at most 1.
        unpriced: What costs something too, and is not in the sums.
    """

    monthly: Mapping[str, float] = field(default_factory=dict)
    million: Mapping[str, float] = field(default_factory=dict)
    million_ms: float
    core: float
    unpriced: Sequence[str] = ()

    def billed_ms(self, model_ms: float | None) -> int:
        """Milliseconds billed for a prediction that takes the model so many on a whole core."""
        return math.ceil((HANDLER_MS + (model_ms or 0)) / self.core)

    def of_a_million(self, milliseconds: int) -> dict[str, float]:
        """What a million predictions cost, by what for, each billed for so many milliseconds."""
        return {
            **self.million,
            f"Lambda, {milliseconds} ms each": milliseconds * self.million_ms,
        }


def price(document: Mapping[str, Any]) -> Cost | None:
    """The cost of what `pulumi preview --json` says will be there.

    Returns:
        None where no function will be.
    """
    kinds: dict[str, list[Mapping[str, Any]]] = {}
    for kind, inputs in _resources(document):
        kinds.setdefault(kind, []).append(inputs)
    if _FUNCTION not in kinds:
        return None
    function = kinds[_FUNCTION][0]
    gigabytes = _number(function.get("memorySize"), 128) / 1024
    architecture = "arm64" if "arm64" in (function.get("architectures") or ()) else "x86_64"
    computing, warm_computing, keeping = GB_SECOND[architecture]
    kept = sum(
        _number(one.get("provisionedConcurrentExecutions"), 0)
        for one in kinds.get(
            "aws:lambda/provisionedConcurrencyConfig:ProvisionedConcurrencyConfig", ()
        )
    )
    monthly = dict(_watching(kinds))
    if kept:
        share = kept * gigabytes * _MONTH_SECONDS * keeping
        monthly[f"{kept:g} {_plural(kept, 'instance')} kept warm"] = share
    if function.get("snapStart"):
        monthly["snapshot of one version"] = gigabytes * _MONTH_SECONDS * _SNAPSHOT_GB_SECOND
    telemetry = _variables(function).get("TELEMETRY")
    lines = LOG_BYTES.get(str(telemetry), 0) + OTHER_LOG_BYTES
    million = {
        "API Gateway": _GATEWAY_MILLION,
        "Lambda, requests": LAMBDA_MILLION,
        f"logs, {lines / 1000:.1f} kB each": lines / 1000 * _LOG_GB,
    }
    if _table(function.get("tracingConfig")).get("mode") == "Active":
        million["traces of 5 %"] = _TRACED * _TRACE_MILLION
    return Cost(
        monthly=monthly,
        million=million,
        million_ms=1000 * gigabytes * (warm_computing if kept else computing),
        core=min(1.0, gigabytes * 1024 / WHOLE_CORE_MB),
        unpriced=tuple(_unpriced(kinds, _variables(function))),
    )


def render(costs: Mapping[str, Cost], model_ms: float | None) -> str:
    """Markdown: the sums of each stack, and folded away what they are made of.

    Args:
        costs: By stack, in the order of promotion.
        model_ms: What a prediction takes the model, as its report says; None where nobody knows.
    """
    if not costs:
        return ""
    billed = {stack: cost.billed_ms(model_ms) for stack, cost in costs.items()}
    months = {stack: sum(cost.monthly.values()) for stack, cost in costs.items()}
    millions = {
        stack: sum(cost.of_a_million(billed[stack]).values()) for stack, cost in costs.items()
    }
    head = [row("US dollars", *costs), row("---", *["--:"] * len(costs))]
    sums = [
        row("a month", *(f"{months[stack]:.2f}" for stack in costs)),
        row("a million predictions", *(f"{millions[stack]:.2f}" for stack in costs)),
    ]
    items: dict[str, dict[str, float]] = {}
    for stack, cost in costs.items():
        for name, usd in (*cost.monthly.items(), *cost.of_a_million(billed[stack]).items()):
            items.setdefault(name, {})[stack] = usd
    lines = [
        row(name, *(f"{each[stack]:.2f}" if stack in each else "" for stack in costs))
        for name, each in items.items()
    ]
    notes = [
        "List prices of us-east-1, free tiers not counted, nor data sent out.",
        *sorted({f"Not in it: {what}." for cost in costs.values() for what in cost.unpriced}),
    ]
    return "\n".join(
        [
            "### Cost\n",
            *head,
            *sums,
            "\n<details><summary>of what</summary>\n",
            *head,
            *lines,
            f"\n{' '.join(notes)}\n\n</details>",
        ]
    )


def describe(stack: str, cost: Cost, milliseconds: int, rate: float) -> str:
    """The same for a terminal, and what a month is with so many requests a second."""
    millions = cost.of_a_million(milliseconds)
    month, million = sum(cost.monthly.values()), sum(millions.values())
    asked = rate * _MONTH_SECONDS / 1e6
    lines = [f"{stack}, in US dollars: list prices of us-east-1, free tiers not counted"]
    lines += ["a month", *_priced(cost.monthly), _line("", month)]
    lines += ["a million predictions", *_priced(millions), _line("", million)]
    lines += [
        f"at {rate:g} a second, {asked:.1f} million a month",
        _line("", month + asked * million),
    ]
    lines += [f"not in it: {what}" for what in cost.unpriced]
    return "\n".join(lines)


def load_cost(document: object) -> Cost | None:
    """A cost that was saved as its fields, by another job: words and numbers, or it is refused.

    Raises:
        InputError: It is none.
    """
    if document is None:
        return None
    try:
        cost = Cost(**document)  # type: ignore[arg-type]
        words = (*cost.monthly, *cost.million, *cost.unpriced)
        numbers = (*cost.monthly.values(), *cost.million.values(), cost.million_ms, cost.core)
        if all(map(_WORDS.fullmatch, words)) and all(map(math.isfinite, numbers)) and cost.core > 0:
            return cost
    except (TypeError, AttributeError):
        pass
    raise InputError(f"not a cost: {document!r:.200}; preview the stack again")


def _resources(document: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    # By name: the engine tells a replacement as up to three steps.
    states = {
        step.get("urn"): step["newState"]
        for step in document.get("steps") or ()
        if isinstance(step.get("newState"), dict) and step.get("op") not in _GONE
    }
    for state in states.values():
        yield str(state.get("type")), _table(state.get("inputs"))


def _watching(kinds: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[tuple[str, float]]:
    alarms = len(kinds.get("aws:cloudwatch/metricAlarm:MetricAlarm", ()))
    dashboards = len(kinds.get("aws:cloudwatch/dashboard:Dashboard", ()))
    metrics = METRICS * sum(
        _variables(one).get("TELEMETRY") == "metrics"
        for one in (*kinds[_FUNCTION], *kinds.get("aws:sagemaker/model:Model", ()))
    )
    if alarms:
        yield f"{alarms} {_plural(alarms, 'alarm')}", alarms * _ALARM
    if dashboards:
        yield f"{dashboards} {_plural(dashboards, 'dashboard')}", dashboards * _DASHBOARD
    if metrics:
        yield f"{metrics} metrics, if asked every hour", metrics * _METRIC


def _unpriced(
    kinds: Mapping[str, Sequence[Mapping[str, Any]]], variables: Mapping[str, str]
) -> Iterator[str]:
    for one in kinds.get("aws:sagemaker/endpointConfiguration:EndpointConfiguration", ()):
        for variant in map(_table, one.get("productionVariants") or ()):
            kind = str(variant.get("instanceType"))
            if variant.get("serverlessConfig"):
                yield "SageMaker's serverless endpoint"
            elif _INSTANCE.fullmatch(kind):
                count = _number(variant.get("initialInstanceCount"), 1)
                yield f"SageMaker's endpoint, from {count:g} {kind} all month"
            else:
                yield "SageMaker's endpoint"
    if variables.get("MODEL_BACKEND", "litert") != "litert":
        yield "the time that Lambda waits for the model's server, and that server"


def _variables(resource: Mapping[str, Any]) -> Mapping[str, str]:
    """The environment of a function, or of a SageMaker model's container."""
    container = _table(resource.get("primaryContainer")).get("environment")
    return _table(container or _table(resource.get("environment")).get("variables"))


def _table(value: object) -> Mapping[str, Any]:
    """A table of the document's, where one may also be unknown yet."""
    return value if isinstance(value, dict) else {}


def _number(value: object, default: float) -> float:
    """A number of the document's, where a setting may also be unknown yet, or a secret."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else default


def _plural(count: float, noun: str) -> str:
    return noun if count == 1 else f"{noun}s"


def _priced(items: Mapping[str, float]) -> list[str]:
    return [_line(name, usd) for name, usd in items.items()]


def _line(name: str, usd: float) -> str:
    return f"  {name:<36}{usd:>9.2f}"
