"""Watch: what makes a phone ring, what a person looks at then, and what it may cost."""

import json
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

FIVE_MINUTES = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchArgs:
    """What to watch, and from which figures on it is wrong.

    Attributes:
        watch_name: Prefix of every name.
        function_name: The function.
        alias_name: Its alias; versions that nobody calls raise no alarm.
        api_id: The API.
        email: Who is told; nobody when empty.
        errors: Failed calls in 5 minutes.
        throttles: Throttled calls in 5 minutes.
        p99_milliseconds: The slowest hundredth's time, above it for 15 minutes.
        server_errors: 5xx answers in 5 minutes.
        monthly_budget: US dollars for the stack's account; 0 for no budget.
    """

    watch_name: str
    function_name: pulumi.Input[str]
    alias_name: pulumi.Input[str]
    api_id: pulumi.Input[str]
    email: str = ""
    errors: int = 1
    throttles: int = 1
    p99_milliseconds: int = 1000
    server_errors: int = 1
    monthly_budget: int = 20


class Watch(pulumi.ComponentResource):
    """Alarms, a dashboard and a budget, all telling one topic.

    Attributes:
        topic_arn: Subscribe here for alarms.
        alarm_names: Of every alarm, for a release that watches them.
    """

    topic_arn: pulumi.Output[str]
    alarm_names: pulumi.Output[list[str]]

    def __init__(
        self, name: str, args: WatchArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("thimble:watch:Watch", name, None, opts)
        self._child = pulumi.ResourceOptions(parent=self)
        self._args = args
        # No encryption key: alarms cannot publish to a topic under AWS's own SNS key, and a
        # metric's name and threshold are no secret worth a key of ours.
        topic = aws.sns.Topic(name, name=args.watch_name, opts=self._child)
        policy = aws.sns.TopicPolicy(
            name, arn=topic.arn, policy=topic.arn.apply(topic_policy), opts=self._child
        )
        if args.email:
            aws.sns.TopicSubscription(
                name, topic=topic.arn, protocol="email", endpoint=args.email, opts=self._child
            )
        self.topic_arn = topic.arn
        alias = {
            "FunctionName": args.function_name,
            "Resource": pulumi.Output.concat(args.function_name, ":", args.alias_name),
        }
        gateway = {"ApiId": args.api_id, "Stage": "$default"}
        alarms = [
            self._alarm("errors", "AWS/Lambda", "Errors", alias, args.errors),
            self._alarm("throttles", "AWS/Lambda", "Throttles", alias, args.throttles),
            self._alarm("5xx", "AWS/ApiGateway", "5xx", gateway, args.server_errors),
            self._alarm("p99", "AWS/Lambda", "Duration", alias, args.p99_milliseconds),
        ]
        self.alarm_names = pulumi.Output.all(*(alarm.name for alarm in alarms))
        region = aws.get_region_output(opts=pulumi.InvokeOutputOptions(parent=self)).region
        aws.cloudwatch.Dashboard(
            name,
            dashboard_name=args.watch_name,
            dashboard_body=pulumi.Output.all(
                args.function_name, args.alias_name, args.api_id, region
            ).apply(lambda known: dashboard(args.p99_milliseconds, *known)),
            opts=self._child,
        )
        if args.monthly_budget:
            aws.budgets.Budget(
                name,
                name=args.watch_name,
                budget_type="COST",
                time_unit="MONTHLY",
                limit_amount=str(args.monthly_budget),
                limit_unit="USD",
                notifications=[
                    _notification("ACTUAL", 80, topic.arn),
                    _notification("FORECASTED", 100, topic.arn),
                ],
                # AWS tests the topic while it makes the budget.
                opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
            )
        self.register_outputs({"topic_arn": self.topic_arn, "alarm_names": self.alarm_names})

    def _alarm(
        self,
        what: str,
        namespace: str,
        metric: str,
        dimensions: dict[str, pulumi.Input[str]],
        threshold: int,
    ) -> aws.cloudwatch.MetricAlarm:
        slow = what == "p99"
        return aws.cloudwatch.MetricAlarm(
            what,
            name=f"{self._args.watch_name}-{what}",
            alarm_description=(
                f"The slowest hundredth took over {threshold} ms for 15 minutes"
                if slow
                else f"{metric}: {threshold} or more in 5 minutes"
            ),
            namespace=namespace,
            metric_name=metric,
            dimensions=dimensions,
            statistic=None if slow else "Sum",
            extended_statistic="p99" if slow else None,
            comparison_operator=(
                "GreaterThanThreshold" if slow else "GreaterThanOrEqualToThreshold"
            ),
            threshold=threshold,
            period=FIVE_MINUTES,
            # One slow spell may be a cold start; one failure is one too many.
            evaluation_periods=3 if slow else 1,
            # Nobody calling is no fault; by default an alarm would lapse into INSUFFICIENT_DATA.
            treat_missing_data="notBreaching",
            alarm_actions=[self.topic_arn],
            ok_actions=[self.topic_arn],
            opts=self._child,
        )


def topic_policy(topic_arn: str) -> str:
    """Lets alarms and budgets of the topic's own account publish, and nobody else."""
    account = topic_arn.split(":")[4]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": ["cloudwatch.amazonaws.com", "budgets.amazonaws.com"]},
        "Action": "sns:Publish",
        "Resource": topic_arn,
        "Condition": {"StringEquals": {"aws:SourceAccount": account}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}, sort_keys=True)


def dashboard(p99_milliseconds: int, function: str, alias: str, api: str, region: str) -> str:
    """A dashboard's body: who calls, what fails, how long it takes, how many run at once."""
    live = ["FunctionName", function, "Resource", f"{function}:{alias}"]
    gateway = ["ApiId", api, "Stage", "$default"]
    widgets = [
        _graph(
            "Requests",
            region,
            [["AWS/ApiGateway", "Count", *gateway], ["AWS/Lambda", "Invocations", *live]],
        ),
        _graph(
            "Failures",
            region,
            [
                ["AWS/ApiGateway", "4xx", *gateway],
                ["AWS/ApiGateway", "5xx", *gateway],
                ["AWS/Lambda", "Errors", *live],
                ["AWS/Lambda", "Throttles", *live],
            ],
        ),
        _graph(
            "Time in the function, ms",
            region,
            [
                ["AWS/Lambda", "Duration", *live, {"stat": statistic}]
                for statistic in ("p50", "p90", "p99")
            ],
            line=p99_milliseconds,
        ),
        _graph(
            "Running at once",
            region,
            [["AWS/Lambda", "ConcurrentExecutions", *live, {"stat": "Maximum"}]],
        ),
        _graph("A prediction's phases, ms", region, [[{"expression": _phases(function)}]]),
    ]
    for number, widget in enumerate(widgets):
        widget |= {"x": 12 * (number % 2), "y": 6 * (number // 2), "width": 12, "height": 6}
    return json.dumps({"widgets": widgets}, sort_keys=True)


def _phases(function: str) -> str:
    """The handler's own metrics, whatever models and recipes the function has had."""
    return (
        f'SEARCH(\'{{thimble,service,model,recipe}} service="{function}" '
        'MetricName=("decode_ms" OR "infer_ms" OR "encode_ms")\', \'p50\', '
        f"{FIVE_MINUTES})"
    )


def _graph(
    title: str, region: str, metrics: list[list[Any]], line: int | None = None
) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "title": title,
        "region": region,
        "metrics": metrics,
        "period": FIVE_MINUTES,
        "stat": "Sum",
        "view": "timeSeries",
    }
    if line is not None:
        properties["annotations"] = {"horizontal": [{"label": "alarm", "value": line}]}
    return {"type": "metric", "properties": properties}


def _notification(
    kind: str, threshold: int, topic: pulumi.Output[str]
) -> aws.budgets.BudgetNotificationArgs:
    return aws.budgets.BudgetNotificationArgs(
        comparison_operator="GREATER_THAN",
        notification_type=kind,
        threshold=threshold,
        threshold_type="PERCENTAGE",
        subscriber_sns_topic_arns=[topic],
    )
