"""What watches a deployment: alarms, dashboards, topics and budgets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from local.aws.resource import ACCOUNT, Resource, pascal, some, tags

if TYPE_CHECKING:
    from local.values import Properties


class MetricAlarm(Resource):
    """aws.cloudwatch.MetricAlarm; its id is its name."""

    token = "aws:cloudwatch/metricAlarm:MetricAlarm"  # noqa: S105 - a type token
    service = "cloudwatch"
    physical = "name"
    fixed = frozenset({"name"})

    def make(self, news: Properties) -> tuple[str, Properties]:
        """Put the alarm."""
        arguments = {k: v for k, v in news.items() if k not in ("name", "tags", "okActions")}
        dimensions = [
            {"Name": k, "Value": v} for k, v in (arguments.pop("dimensions", None) or {}).items()
        ]
        queries = arguments.pop("metricQueries", None)
        self.client.put_metric_alarm(
            AlarmName=news["name"],
            **pascal(arguments),
            **some(
                Dimensions=dimensions or None,
                OKActions=news.get("okActions"),
                Metrics=[_query(q) for q in queries] if queries else None,
                Tags=tags(news) or None,
            ),
        )
        return news["name"], {"arn": f"arn:aws:cloudwatch:us-east-1:{ACCOUNT}:alarm:{news['name']}"}

    def look(self, id_: str, outputs: Properties) -> Properties:
        """Read the threshold and the periods."""
        found = self.client.describe_alarms(AlarmNames=[id_])["MetricAlarms"]
        if not found:
            raise self.client.exceptions.ResourceNotFoundException(
                {"Error": {"Code": "ResourceNotFound"}}, "DescribeAlarms"
            )
        seen = {"threshold": found[0].get("Threshold"), "period": found[0].get("Period")}
        return {k: v for k, v in seen.items() if k in outputs}

    def remove(self, id_: str, outputs: Properties) -> None:
        """Delete the alarm."""
        del outputs
        self.client.delete_alarms(AlarmNames=[id_])


class Dashboard(Resource):
    """aws.cloudwatch.Dashboard; its id is its name."""

    token = "aws:cloudwatch/dashboard:Dashboard"  # noqa: S105
    service = "cloudwatch"
    physical = "dashboardName"
    fixed = frozenset({"dashboardName"})

    def make(self, news: Properties) -> tuple[str, Properties]:
        """Put the dashboard."""
        name = news["dashboardName"]
        self.client.put_dashboard(DashboardName=name, DashboardBody=news["dashboardBody"])
        return name, {"dashboardArn": f"arn:aws:cloudwatch::{ACCOUNT}:dashboard/{name}"}

    def look(self, id_: str, outputs: Properties) -> Properties:
        """Read the body."""
        del outputs
        return {"dashboardBody": self.client.get_dashboard(DashboardName=id_)["DashboardBody"]}

    def remove(self, id_: str, outputs: Properties) -> None:
        """Delete the dashboard."""
        del outputs
        self.client.delete_dashboards(DashboardNames=[id_])


class Topic(Resource):
    """aws.sns.Topic; its id is its ARN."""

    token = "aws:sns/topic:Topic"  # noqa: S105
    service = "sns"
    physical = "name"
    fixed = frozenset({"name"})

    def make(self, news: Properties) -> tuple[str, Properties]:
        """Create the topic."""
        arn = self.client.create_topic(Name=news["name"], Tags=tags(news))["TopicArn"]
        self._set(arn, news)
        return arn, {"arn": arn, "owner": ACCOUNT}

    def change(self, id_: str, outputs: Properties, news: Properties) -> Properties:
        """Change encryption, policy and display name."""
        del outputs
        self._set(id_, news)
        return {}

    def identify(self, news: Properties) -> str:
        """Its ARN."""
        return f"arn:aws:sns:us-east-1:{ACCOUNT}:{news['name']}"

    def look(self, id_: str, outputs: Properties) -> Properties:
        """Read its name."""
        del outputs
        found = self.client.get_topic_attributes(TopicArn=id_)["Attributes"]
        return {"name": found["TopicArn"].rpartition(":")[2]}

    def remove(self, id_: str, outputs: Properties) -> None:
        """Delete the topic."""
        del outputs
        self.client.delete_topic(TopicArn=id_)

    def _set(self, arn: str, news: Properties) -> None:
        attributes = some(
            KmsMasterKeyId=news.get("kmsMasterKeyId"),
            Policy=news.get("policy"),
            DisplayName=news.get("displayName"),
        )
        for name, value in attributes.items():
            self.client.set_topic_attributes(TopicArn=arn, AttributeName=name, AttributeValue=value)


class TopicPolicy(Resource):
    """aws.sns.TopicPolicy; its id is the topic's ARN."""

    token = "aws:sns/topicPolicy:TopicPolicy"  # noqa: S105
    service = "sns"
    fixed = frozenset({"arn"})

    def make(self, news: Properties) -> tuple[str, Properties]:
        """Set the topic's policy."""
        self.client.set_topic_attributes(
            TopicArn=news["arn"], AttributeName="Policy", AttributeValue=news["policy"]
        )
        return news["arn"], {"owner": ACCOUNT}

    def look(self, id_: str, outputs: Properties) -> Properties:
        """Read the policy."""
        del outputs
        attributes = self.client.get_topic_attributes(TopicArn=id_)["Attributes"]
        return {"policy": attributes["Policy"]}

    def remove(self, id_: str, outputs: Properties) -> None:
        """Go back to the policy that AWS gives a new topic: its own account's."""
        del outputs
        self.client.set_topic_attributes(
            TopicArn=id_, AttributeName="Policy", AttributeValue=_default_policy(id_)
        )


class TopicSubscription(Resource):
    """aws.sns.TopicSubscription; its id is its ARN."""

    token = "aws:sns/topicSubscription:TopicSubscription"  # noqa: S105
    service = "sns"
    fixed = frozenset({"topic", "protocol", "endpoint"})

    def make(self, news: Properties) -> tuple[str, Properties]:
        """Subscribe."""
        arn = self.client.subscribe(
            TopicArn=news["topic"],
            Protocol=news["protocol"],
            Endpoint=news["endpoint"],
            ReturnSubscriptionArn=True,
        )["SubscriptionArn"]
        return arn, {"arn": arn}

    def look(self, id_: str, outputs: Properties) -> Properties:
        """Read the protocol and whom it reaches."""
        del outputs
        found = self.client.get_subscription_attributes(SubscriptionArn=id_)["Attributes"]
        return {"protocol": found["Protocol"], "endpoint": found["Endpoint"]}

    def remove(self, id_: str, outputs: Properties) -> None:
        """Unsubscribe."""
        del outputs
        self.client.unsubscribe(SubscriptionArn=id_)


class Budget(Resource):
    """aws.budgets.Budget; its id is `account:name`."""

    token = "aws:budgets/budget:Budget"  # noqa: S105
    service = "budgets"
    physical = "name"
    fixed = frozenset({"name", "notifications"})

    def make(self, news: Properties) -> tuple[str, Properties]:
        """Create the budget with its notifications."""
        self.client.create_budget(
            AccountId=ACCOUNT,
            Budget=_budget(news),
            NotificationsWithSubscribers=[
                _notification(n) for n in news.get("notifications") or []
            ],
        )
        return self.identify(news), {"accountId": ACCOUNT}

    def change(self, id_: str, outputs: Properties, news: Properties) -> Properties:
        """Change the limit."""
        del id_, outputs
        self.client.update_budget(AccountId=ACCOUNT, NewBudget=_budget(news))
        return {}

    def identify(self, news: Properties) -> str:
        """`account:name`."""
        return f"{ACCOUNT}:{news['name']}"

    def look(self, id_: str, outputs: Properties) -> Properties:
        """Read the limit."""
        name = id_.partition(":")[2]
        found = self.client.describe_budget(AccountId=ACCOUNT, BudgetName=name)["Budget"]
        amount = found["BudgetLimit"]["Amount"]
        same = float(amount) == float(outputs["limitAmount"])
        return {"limitAmount": outputs["limitAmount"] if same else amount}

    def remove(self, id_: str, outputs: Properties) -> None:
        """Delete the budget."""
        del outputs
        self.client.delete_budget(AccountId=ACCOUNT, BudgetName=id_.partition(":")[2])


def _default_policy(topic: str) -> str:
    statement = {
        "Sid": "__default_statement_ID",
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": [
            "SNS:GetTopicAttributes",
            "SNS:SetTopicAttributes",
            "SNS:AddPermission",
            "SNS:RemovePermission",
            "SNS:DeleteTopic",
            "SNS:Subscribe",
            "SNS:ListSubscriptionsByTopic",
            "SNS:Publish",
        ],
        "Resource": topic,
        "Condition": {"StringEquals": {"AWS:SourceOwner": ACCOUNT}},
    }
    return json.dumps(
        {"Version": "2008-10-17", "Id": "__default_policy_ID", "Statement": [statement]}
    )


def _query(query: Properties) -> Properties:
    metric = dict(query.get("metric") or {})
    answer = pascal({k: v for k, v in query.items() if k != "metric"})
    if metric:
        stat = {"Period": metric.pop("period"), "Stat": metric.pop("stat")}
        unit = some(Unit=metric.pop("unit", None))
        dimensions = metric.pop("dimensions", None) or {}
        named = [{"Name": k, "Value": v} for k, v in dimensions.items()]
        answer["MetricStat"] = {**stat, **unit, "Metric": {**pascal(metric), "Dimensions": named}}
    return dict(answer)


def _budget(news: Properties) -> Properties:
    filters = {f["name"]: f["values"] for f in news.get("costFilters") or []}
    return {
        "BudgetName": news["name"],
        "BudgetType": news["budgetType"],
        "TimeUnit": news["timeUnit"],
        "BudgetLimit": {"Amount": news["limitAmount"], "Unit": news["limitUnit"]},
        **({"CostFilters": filters} if filters else {}),
    }


def _notification(notification: Properties) -> Properties:
    topics = notification.get("subscriberSnsTopicArns") or []
    mails = notification.get("subscriberEmailAddresses") or []
    return {
        "Notification": {
            "ComparisonOperator": notification["comparisonOperator"],
            "NotificationType": notification["notificationType"],
            "Threshold": notification["threshold"],
            "ThresholdType": notification["thresholdType"],
        },
        "Subscribers": [{"SubscriptionType": "SNS", "Address": a} for a in topics]
        + [{"SubscriptionType": "EMAIL", "Address": a} for a in mails],
    }


TYPES = (MetricAlarm, Dashboard, Topic, TopicPolicy, TopicSubscription, Budget)
