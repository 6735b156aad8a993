"""Watch: what CloudWatch, SNS and Budgets receive."""

import json
from typing import Any

import pytest

from handler import telemetry
from infra.watch import Watch, WatchArgs

TOPIC = "arn:aws:topic:eu-central-1:000000000000:thimble-dev-digits"
LIVE = {"FunctionName": "digits", "Resource": "digits:live"}
GATEWAY = {"ApiId": "api", "Stage": "$default"}


@pytest.fixture
def make(deploy: Any) -> Any:
    """The component alone, with defaults except for what a test names."""

    def run(**given: Any) -> Any:
        args = {
            "watch_name": "thimble-dev-digits",
            "function_name": "digits",
            "alias_name": "live",
            "api_id": "api",
            **given,
        }
        return deploy(lambda: Watch("watch", WatchArgs(**args)))

    return run


@pytest.mark.parametrize(
    ("alarm", "metric", "dimensions", "threshold"),
    [
        ("errors", ("AWS/Lambda", "Errors", "Sum"), LIVE, 3),
        ("throttles", ("AWS/Lambda", "Throttles", "Sum"), LIVE, 4),
        ("5xx", ("AWS/ApiGateway", "5xx", "Sum"), GATEWAY, 5),
        ("p99", ("AWS/Lambda", "Duration", "p99"), LIVE, 600),
    ],
)
def test_alarms(
    alarm: str, metric: tuple[str, ...], dimensions: dict[str, str], threshold: int, make: Any
) -> None:
    """Each alarm watches what callers reach, with its own threshold, and tells the topic."""
    made = make(errors=3, throttles=4, server_errors=5, p99_milliseconds=600)
    found = made.cloud.one("MetricAlarm", alarm)
    statistic = found.get("statistic") or found["extendedStatistic"]

    assert metric == (found["namespace"], found["metricName"], statistic)
    assert (dimensions, threshold) == (found["dimensions"], found["threshold"])
    assert ([TOPIC], [TOPIC]) == (found["alarmActions"], found["okActions"])


def test_silence_is_no_fault(make: Any) -> None:
    """When nobody calls, no alarm rings or lapses."""
    made = make()

    assert {"notBreaching"} == {
        inputs["treatMissingData"]
        for (kind, _), inputs in made.cloud.resources.items()
        if kind == "MetricAlarm"
    }


def test_only_our_alarms_publish(make: Any) -> None:
    """Alarms and budgets of this account may publish to the topic, and nobody else."""
    (statement,) = json.loads(make().cloud.one("TopicPolicy")["policy"])["Statement"]

    assert {"StringEquals": {"aws:SourceAccount": "000000000000"}} == statement["Condition"]
    assert TOPIC == statement["Resource"]


def test_nobody_is_mailed(make: Any) -> None:
    """Without an address there is no subscription."""
    assert "TopicSubscription" not in make().cloud.kinds()


def test_mail(make: Any) -> None:
    """An address is subscribed to the topic."""
    assert {"topic": TOPIC, "protocol": "email", "endpoint": "me@example.com"} == make(
        email="me@example.com"
    ).cloud.one("TopicSubscription")


def test_budget(make: Any) -> None:
    """The topic hears of the month's spending at 80 %, and of a forecast above all of it."""
    found = make(monthly_budget=50).cloud.one("Budget")

    assert ("50", "USD", "MONTHLY") == (
        found["limitAmount"],
        found["limitUnit"],
        found["timeUnit"],
    )
    assert [("ACTUAL", 80, [TOPIC]), ("FORECASTED", 100, [TOPIC])] == [
        (entry["notificationType"], entry["threshold"], entry["subscriberSnsTopicArns"])
        for entry in found["notifications"]
    ]


def test_no_budget(make: Any) -> None:
    """Nought dollars mean no budget rather than one that always rings."""
    assert "Budget" not in make(monthly_budget=0).cloud.kinds()


def test_dashboard(make: Any) -> None:
    """The dashboard shows the alias and the API, and the alarm's line among the times."""
    body = json.loads(make(p99_milliseconds=600).cloud.one("Dashboard")["dashboardBody"])
    shown = {widget["properties"]["title"]: widget["properties"] for widget in body["widgets"]}

    assert {
        "Requests",
        "Failures",
        "Time in the function, ms",
        "Running at once",
        "A prediction's phases, ms",
    } == set(shown)
    assert {"eu-central-1"} == {graph["region"] for graph in shown.values()}
    assert [{"label": "alarm", "value": 600}] == shown["Time in the function, ms"]["annotations"][
        "horizontal"
    ]
    assert ["FunctionName", "digits", "Resource", "digits:live"] == shown["Requests"]["metrics"][1][
        2:
    ]


def test_the_dashboard_finds_the_handlers_metrics(make: Any) -> None:
    """Namespace, dimensions and names are those that the handler writes."""
    body = json.loads(make().cloud.one("Dashboard")["dashboardBody"])
    (expression,) = (
        widget["properties"]["metrics"][0][0]["expression"]
        for widget in body["widgets"]
        if widget["properties"]["title"] == "A prediction's phases, ms"
    )

    names = ",".join((telemetry.NAMESPACE, *telemetry.DIMENSIONS))
    assert expression.startswith(f'SEARCH(\'{{{names}}} service="digits" MetricName=(')
    assert expression.endswith("', 'p50', 300)")
