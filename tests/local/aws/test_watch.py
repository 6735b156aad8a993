"""Alarms, dashboards, topics and budgets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.local.aws.conftest import Account, Deployed

ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
TOPIC = "aws:sns/topic:Topic"
ACCOUNT = "000000000000"


@pytest.fixture
def topic(account: Account) -> Iterator[Deployed]:
    """A topic, removed after the test."""
    made = account.make(TOPIC, "alarms", displayName="Alarms")
    yield made
    made.remove()
    assert account.client("sns").list_topics()["Topics"] == []


def test_alarm_on_a_metric(account: Account, topic: Deployed) -> None:
    """Dimensions are a list to AWS, and their names stay as they are."""
    made = account.make(
        ALARM,
        "errors",
        comparisonOperator="GreaterThanThreshold",
        evaluationPeriods=1,
        metricName="Errors",
        namespace="AWS/Lambda",
        period=60,
        statistic="Sum",
        threshold=1,
        dimensions={"FunctionName": "predict", "lower": "case"},
        alarmActions=[topic.id],
        okActions=[topic.id],
        treatMissingData="notBreaching",
    )
    client = account.client("cloudwatch")
    (found,) = client.describe_alarms(AlarmNames=[made.id])["MetricAlarms"]
    assert {d["Name"]: d["Value"] for d in found["Dimensions"]} == made.inputs["dimensions"]
    assert (found["OKActions"], found["AlarmActions"]) == ([topic.id], [topic.id])
    assert found["AlarmArn"] == made.outputs["arn"]
    made.change(threshold=5)
    (found,) = client.describe_alarms(AlarmNames=[made.id])["MetricAlarms"]
    assert found["Threshold"] == 5
    made.remove()
    assert client.describe_alarms()["MetricAlarms"] == []


def test_alarm_on_an_expression(account: Account) -> None:
    """A rate of two metrics: period, statistic and dimensions have their own places.

    Read from the request, which boto3 has checked: MiniStack keeps an alarm without its queries.
    """
    client = account.client("cloudwatch")
    sent: list[Any] = []
    event = "provide-client-params.cloudwatch.PutMetricAlarm"
    client.meta.events.register(event, lambda params, **_: sent.append(params), unique_id="sent")
    metric = {"metricName": "Errors", "namespace": "AWS/Lambda", "period": 60, "stat": "Sum"}
    queries = [
        {"id": "rate", "expression": "100 * errors", "label": "rate", "returnData": True},
        {"id": "errors", "metric": {**metric, "dimensions": {"FunctionName": "predict"}}},
    ]
    made = account.make(
        ALARM,
        "rate",
        comparisonOperator="GreaterThanThreshold",
        evaluationPeriods=2,
        threshold=1,
        metricQueries=queries,
    )
    client.meta.events.unregister(event, unique_id="sent")
    rate, errors = sent[0]["Metrics"]
    assert rate == {
        "Id": "rate",
        "Expression": "100 * errors",
        "Label": "rate",
        "ReturnData": True,
    }
    dimensions = [{"Name": "FunctionName", "Value": "predict"}]
    named = {"Namespace": "AWS/Lambda", "MetricName": "Errors", "Dimensions": dimensions}
    expected = {"Id": "errors", "MetricStat": {"Metric": named, "Period": 60, "Stat": "Sum"}}
    assert errors == expected
    made.remove()


def test_dashboard(account: Account) -> None:
    """Its body is put as it is."""
    body = {"widgets": [{"type": "text", "properties": {"markdown": "x"}}]}
    token = "aws:cloudwatch/dashboard:Dashboard"
    made = account.make(token, "watch", dashboardBody=json.dumps(body))
    other = json.dumps({"widgets": []})
    made.change(dashboardBody=other)
    client = account.client("cloudwatch")
    assert client.get_dashboard(DashboardName=made.id)["DashboardBody"] == other
    made.remove()
    assert client.list_dashboards()["DashboardEntries"] == []


def test_topic(account: Account, topic: Deployed) -> None:
    """Made with its attributes, changed, found by its name after a cut-off creation."""
    topic.change(displayName="Other")
    attributes = account.client("sns").get_topic_attributes(TopicArn=topic.id)["Attributes"]
    assert attributes["DisplayName"] == "Other"
    assert topic.kind.identify(topic.inputs) == topic.id


def test_topic_policy(account: Account, topic: Deployed) -> None:
    """Set, and given back to what AWS gives a new topic when it goes."""
    client = account.client("sns")
    before = client.get_topic_attributes(TopicArn=topic.id)["Attributes"]["Policy"]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "budgets.amazonaws.com"},
        "Action": "SNS:Publish",
        "Resource": topic.id,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    made = account.make("aws:sns/topicPolicy:TopicPolicy", "publish", arn=topic.id, policy=policy)
    found = client.get_topic_attributes(TopicArn=topic.id)["Attributes"]["Policy"]
    assert json.loads(found) == json.loads(policy)
    made.kind.delete(made.id, made.outputs)
    found = client.get_topic_attributes(TopicArn=topic.id)["Attributes"]["Policy"]
    assert "budgets.amazonaws.com" not in found
    assert json.loads(found)["Statement"][0]["Resource"] == topic.id
    assert json.loads(before)["Statement"][0]["Resource"] == topic.id


def test_subscription(account: Account, topic: Deployed) -> None:
    """An address that listens; another address is another subscription."""
    made = account.make(
        "aws:sns/topicSubscription:TopicSubscription",
        "mail",
        topic=topic.id,
        protocol="email",
        endpoint="a@example.com",
    )
    client = account.client("sns")
    (found,) = client.list_subscriptions_by_topic(TopicArn=topic.id)["Subscriptions"]
    assert (found["Protocol"], found["Endpoint"]) == ("email", "a@example.com")
    assert made.diff(endpoint="b@example.com")[1].replaces == ("endpoint",)
    made.remove()
    assert client.list_subscriptions_by_topic(TopicArn=topic.id)["Subscriptions"] == []


def test_budget(account: Account, topic: Deployed) -> None:
    """A limit, a filter, and whom it tells: by topic and by mail."""
    made = account.make(
        "aws:budgets/budget:Budget",
        "month",
        budgetType="COST",
        timeUnit="MONTHLY",
        limitAmount="10",
        limitUnit="USD",
        costFilters=[{"name": "TagKeyValue", "values": ["user:stack$local"]}],
        notifications=[
            {
                "comparisonOperator": "GREATER_THAN",
                "notificationType": "ACTUAL",
                "threshold": 80,
                "thresholdType": "PERCENTAGE",
                "subscriberSnsTopicArns": [topic.id],
                "subscriberEmailAddresses": ["a@example.com"],
            }
        ],
    )
    name = made.inputs["name"]
    assert made.id == f"{ACCOUNT}:{name}"
    client = account.client("budgets")
    found = client.describe_budget(AccountId=ACCOUNT, BudgetName=name)["Budget"]
    assert float(found["BudgetLimit"]["Amount"]) == 10
    assert found["CostFilters"] == {"TagKeyValue": ["user:stack$local"]}
    (notification,) = client.describe_notifications_for_budget(AccountId=ACCOUNT, BudgetName=name)[
        "Notifications"
    ]
    told = client.describe_subscribers_for_notification(
        AccountId=ACCOUNT, BudgetName=name, Notification=notification
    )["Subscribers"]
    assert {s["Address"] for s in told} == {topic.id, "a@example.com"}
    made.change(limitAmount="20.5")
    found = client.describe_budget(AccountId=ACCOUNT, BudgetName=name)["Budget"]
    assert float(found["BudgetLimit"]["Amount"]) == 20.5
    assert made.diff(notifications=None)[1].replaces == ("notifications",)
    made.remove()
    assert not client.describe_budgets(AccountId=ACCOUNT).get("Budgets")
