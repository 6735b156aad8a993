"""Who may assume which role, what it may do, and that state is neither read nor lost."""

import json
from fnmatch import fnmatchcase
from typing import Any

import pytest

from bootstrap.roles import SOURCES
from bootstrap.settings import ENVIRONMENTS, Settings, SettingsError
from bootstrap.trust import ISSUER
from policy import statements
from tests.bootstrap.conftest import SETTINGS, Account, Bootstrap
from tests.policy.test_rules import violations
from tests.workflows.conftest import FOLDER, ROOT, parse

SUBJECT = SETTINGS["subject"]
PROVIDER = "aws:iam/openIdConnectProvider:OpenIdConnectProvider"
POLICY_LIMIT = 6_144
"""Characters of a managed policy, white space not counted."""

AT = "eu-central-1:111122223333"
NEEDED = [
    ("apigateway:POST", "arn:aws:apigateway:eu-central-1::/apis/a1b2c3/routes"),
    ("apigateway:TagResource", "arn:aws:apigateway:eu-central-1::/apis"),
    ("application-autoscaling:RegisterScalableTarget", "*"),
    ("budgets:ModifyBudget", "arn:aws:budgets::111122223333:budget/thimble-dev-digits"),
    ("cloudwatch:DescribeAlarms", "*"),
    ("cloudwatch:PutDashboard", "arn:aws:cloudwatch::111122223333:dashboard/thimble-dev-digits"),
    ("cloudwatch:PutMetricAlarm", f"arn:aws:cloudwatch:{AT}:alarm:thimble-dev-digits-5xx"),
    (
        "cloudwatch:PutMetricAlarm",
        f"arn:aws:cloudwatch:{AT}:alarm:TargetTracking-endpoint/thimble-dev-digits/variant/live-1a",
    ),
    ("ecr:GetAuthorizationToken", "*"),
    ("ecr:PutImage", f"arn:aws:ecr:{AT}:repository/thimble/dev/digits"),
    ("iam:PassRole", "arn:aws:iam::111122223333:role/thimble-dev-digits-endpoint"),
    ("iam:PutRolePolicy", "arn:aws:iam::111122223333:role/thimble-dev-digits"),
    (
        "lambda:PutProvisionedConcurrencyConfig",
        f"arn:aws:lambda:{AT}:function:thimble-dev-digits:live",
    ),
    ("lambda:AddPermission", f"arn:aws:lambda:{AT}:function:thimble-dev-digits:live"),
    ("logs:CreateLogDelivery", "*"),
    (
        "logs:PutRetentionPolicy",
        f"arn:aws:logs:{AT}:log-group:/aws/vendedlogs/thimble-dev-digits:log-stream:",
    ),
    ("sagemaker:CreateEndpointConfig", f"arn:aws:sagemaker:{AT}:endpoint-config/endpoint-1a2b3c4"),
    (
        "sagemaker:UpdateEndpointWeightsAndCapacities",
        f"arn:aws:sagemaker:{AT}:endpoint/thimble-dev-digits",
    ),
    ("sns:Subscribe", f"arn:aws:sns:{AT}:thimble-dev-digits"),
]
"""What AWS asks for while the program is deployed: an action, and the ARN as AWS writes it."""


def allows(statement: dict[str, Any], action: str, resource: str) -> bool:
    """Whether a statement grants an action on a resource; a wildcard ends at the ARN's colons."""

    def matches(pattern: str) -> bool:
        parts, given = pattern.split(":", 5), resource.split(":", 5)
        return len(parts) == len(given) and all(map(fnmatchcase, given, parts))

    return action in statement["Action"] and any(map(matches, statement["Resource"]))


@pytest.mark.parametrize(("action", "resource"), NEEDED, ids=lambda text: text[-60:])
def test_a_deployment_may_do_what_it_needs(
    action: str, resource: str, bootstrap: Bootstrap
) -> None:
    """AWS's own ARN of each kind of resource matches the deploy role's, and only that stack's."""
    account = bootstrap()

    def granted(role: str) -> bool:
        return any(allows(statement, action, resource) for statement in account.grants(role))

    assert granted("thimble-deploy-dev")
    named = "thimble-dev" in resource or "thimble/dev" in resource
    assert granted("thimble-deploy-prod") is not named


def test_production_trusts_only_its_environment_and_tagged_workflow(bootstrap: Bootstrap) -> None:
    """No branch, no pull request and no other workflow can deploy to production."""
    trusted = bootstrap().trust("thimble-deploy-prod")

    assert {
        "StringEquals": {
            f"{ISSUER}:aud": "sts.amazonaws.com",
            f"{ISSUER}:sub": f"{SUBJECT}:environment:production",
            f"{ISSUER}:repository_id": "34",
        },
        "StringLike": {
            f"{ISSUER}:job_workflow_ref": ("acme/thimble/.github/workflows/deploy.yml@refs/tags/v*")
        },
    } == trusted["Condition"]
    assert "sts:AssumeRoleWithWebIdentity" == trusted["Action"]
    assert {"Federated": "arn:aws:made:::github"} == trusted["Principal"]


GITHUB = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"


def test_github_is_an_identity_once(bootstrap: Bootstrap) -> None:
    """AWS refuses a second one for the same address: one that is there is trusted as it is."""
    (made,) = bootstrap().of(PROVIDER).values()
    there = bootstrap(identityProvider=GITHUB)

    assert ("https://token.actions.githubusercontent.com", ["sts.amazonaws.com"]) == (
        made["url"],
        made["clientIdLists"],
    )
    assert {} == there.of(PROVIDER)
    for role in ("thimble-deploy-dev", "thimble-deploy-prod", "thimble-preview"):
        assert {"Federated": GITHUB} == there.trust(role)["Principal"]


@pytest.mark.parametrize("stack", ["dev", "staging"])
def test_other_stages_trust_only_their_environment(bootstrap: Bootstrap, stack: str) -> None:
    """Each deploy role is for one environment, compared whole."""
    condition = bootstrap().trust(f"thimble-deploy-{stack}")["Condition"]

    assert f"{SUBJECT}:environment:{stack}" == condition["StringEquals"][f"{ISSUER}:sub"]
    assert {"StringEquals"} == set(condition)


def test_previews_trust_pull_requests_main_and_tags(bootstrap: Bootstrap) -> None:
    """The role that looks is for pull requests, drift checks and the gate, and no environment."""
    condition = bootstrap().trust("thimble-preview")["Condition"]

    assert [
        f"{SUBJECT}:pull_request",
        f"{SUBJECT}:ref:refs/heads/main",
        f"{SUBJECT}:ref:refs/tags/v*",
    ] == condition["StringLike"][f"{ISSUER}:sub"]
    assert "34" == condition["StringEquals"][f"{ISSUER}:repository_id"]


def test_a_repository_without_ids_in_its_subject_is_trusted_as_it_is(bootstrap: Bootstrap) -> None:
    """Older repositories' tokens carry no ids; the setting says what GitHub says."""
    condition = bootstrap(subject="repo:acme/thimble").trust("thimble-deploy-dev")["Condition"]

    assert "repo:acme/thimble:environment:dev" == condition["StringEquals"][f"{ISSUER}:sub"]


def test_the_preview_role_changes_nothing(bootstrap: Bootstrap) -> None:
    """Every action it is granted only looks, but for the token that every docker login needs."""
    verbs = ("Batch", "Decrypt", "Describe", "GET", "Get", "List", "View")
    for statement in bootstrap().grants("thimble-preview", "thimble-preview-state"):
        for action in statement["Action"]:
            assert action.partition(":")[2].startswith(verbs), action


def test_one_stack_cannot_touch_another(bootstrap: Bootstrap) -> None:
    """What carries a stack's name is granted to that stack's role only."""
    granted = bootstrap().grants("thimble-deploy-dev", "thimble-deploy-dev-state")
    resources = [resource for statement in granted for resource in statement["Resource"]]

    for other in ("staging", "prod"):
        assert [] == [one for one in resources if other in one]


def test_one_stack_writes_only_its_own_state(bootstrap: Bootstrap) -> None:
    """All may read all state, for promotion reads outputs; only the owner writes."""
    granted = bootstrap().grants("thimble-deploy-staging-state")
    (written,) = [s["Resource"] for s in granted if "s3:PutObject" in s["Action"]]
    (read,) = [s["Resource"] for s in granted if "s3:GetObject" in s["Action"]]

    assert all("/thimble/staging" in one or one.endswith("meta.yaml") for one in written)
    assert ["arn:aws:s3:::thimble-state/.pulumi/*"] == read


def test_a_role_is_handed_only_to_the_services_that_run_the_model(bootstrap: Bootstrap) -> None:
    """Otherwise a deploy role could hand rights to a machine of its own."""
    (passing,) = [
        s for s in bootstrap().grants("thimble-deploy-prod") if "iam:PassRole" in s["Action"]
    ]

    assert ["arn:aws:iam::*:role/thimble-prod-*"] == passing["Resource"]
    assert ["lambda.amazonaws.com", "sagemaker.amazonaws.com"] == (
        passing["Condition"]["StringEquals"]["iam:PassedToService"]
    )


def test_the_stage_before_may_be_read(bootstrap: Bootstrap) -> None:
    """Promotion copies out of the source's repository, and cannot write there."""
    granted = bootstrap().grants("thimble-deploy-prod")
    source = "arn:aws:ecr:*:*:repository/thimble/staging/*"
    (pull,) = [s for s in granted if source in s["Resource"]]

    assert [
        "ecr:BatchCheckLayerAvailability",
        "ecr:BatchGetImage",
        "ecr:GetDownloadUrlForLayer",
    ] == pull["Action"]


def test_a_preview_reads_no_other_accounts_images(bootstrap: Bootstrap) -> None:
    """Only a deployment copies; a preview knows the digest from the other stack's outputs."""
    granted = bootstrap(stacks='["prod"]').grants("thimble-preview")

    assert not any("thimble/staging" in one for s in granted for one in s["Resource"])


def test_every_policy_fits(bootstrap: Bootstrap) -> None:
    """AWS refuses a longer managed policy."""
    for name, inputs in bootstrap().of("aws:iam/policy:Policy").items():
        assert POLICY_LIMIT >= len(inputs["policy"]), name


def test_the_roles_pass_the_projects_own_policy_pack(bootstrap: Bootstrap) -> None:
    """Least privilege as the pack defines it holds for the roles that deploy, too."""
    for (kind, name), inputs in bootstrap().resources.items():
        if kind in statements.HOLDERS or kind == "aws:iam/role:Role":
            assert [] == violations("least-privilege", kind, inputs), name


def test_state_is_versioned_encrypted_and_closed(bootstrap: Bootstrap) -> None:
    """State is neither lost by a mistake nor read by a stranger."""
    account = bootstrap()

    (versioning,) = account.of("aws:s3/bucketVersioning:BucketVersioning").values()
    assert "Enabled" == versioning["versioningConfiguration"]["status"]
    (encryption,) = account.of(
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
    ).values()
    by_default = encryption["rules"][0]["applyServerSideEncryptionByDefault"]
    assert {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": "arn:aws:made:::state"} == by_default
    (closed,) = account.of("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock").values()
    assert {True} == {value for key, value in closed.items() if key != "bucket"}
    (policy,) = account.of("aws:s3/bucketPolicy:BucketPolicy").values()
    assert "aws:SecureTransport" in policy["policy"]


def test_every_stack_has_its_own_key(bootstrap: Bootstrap) -> None:
    """Who may decrypt dev's secrets cannot decrypt production's."""
    account = bootstrap()

    assert {"secrets-dev", "secrets-staging", "secrets-prod", "state"} == set(
        account.of("aws:kms/key:Key")
    )
    granted = account.grants("thimble-deploy-dev-state")
    (used,) = [s["Resource"] for s in granted if "kms:Encrypt" in s["Action"]]
    assert ["arn:aws:made:::secrets-dev"] == used


def test_a_second_account_uses_the_first_ones_bucket(bootstrap: Bootstrap) -> None:
    """No second bucket is made, and the roles are granted the one that is named."""
    account = bootstrap(
        stacks='["prod"]', stateBucket="thimble-state-1a2b", stateKey="arn:aws:kms:::key/k"
    )

    assert {} == account.of("aws:s3/bucket:Bucket")
    granted = account.grants("thimble-deploy-prod-state")
    assert any("arn:aws:s3:::thimble-state-1a2b" in s["Resource"] for s in granted)
    assert any("arn:aws:kms:::key/k" in s["Resource"] for s in granted)


def _readable(account: Account, policy: str) -> set[str]:
    """The secrets keys that a role may decrypt with."""
    granted = [s for s in account.grants(policy) if "kms:Decrypt" in s["Action"]]
    return {arn for s in granted for arn in s["Resource"] if "secrets" in arn or "key/" in arn}


@pytest.mark.parametrize(
    ("stack", "expected"),
    [("dev", {"dev"}), ("staging", {"staging", "dev"}), ("prod", {"prod", "staging"})],
)
def test_a_stage_unwraps_the_key_of_the_one_before(
    bootstrap: Bootstrap, stack: str, expected: set[str]
) -> None:
    """Without it Pulumi reads none of that stack's outputs; of no other one's it needs any."""
    assert {f"arn:aws:made:::secrets-{name}" for name in expected} == _readable(
        bootstrap(), f"thimble-deploy-{stack}-state"
    )


def test_a_stage_of_another_account_unwraps_its_key(bootstrap: Bootstrap) -> None:
    """One account's key lets the other in, and that one's roles are granted the key."""
    before = bootstrap(stacks='["dev"]', promotedBy="222233334444")
    key = json.loads(before.of("aws:kms/key:Key")["secrets-dev"]["policy"])
    assert ["OwnAccount", "OtherAccounts"] == [s["Sid"] for s in key["Statement"]]
    assert {"AWS": ["arn:aws:iam::222233334444:root"]} == key["Statement"][1]["Principal"]
    assert ["kms:Decrypt"] == key["Statement"][1]["Action"]

    source = "arn:aws:kms:eu-central-1:111122223333:key/dev"
    after = bootstrap(stacks='["staging"]', sourceKey=source)
    for policy in ("thimble-deploy-staging-state", "thimble-preview-state"):
        assert {source, "arn:aws:made:::secrets-staging"} == _readable(after, policy)


def test_other_accounts_are_let_in_by_name(bootstrap: Bootstrap) -> None:
    """The bucket and its key name the accounts; nobody else is let in."""
    account = bootstrap(accounts='["222233334444"]')

    (bucket,) = account.of("aws:s3/bucketPolicy:BucketPolicy").values()
    allowed = [s for s in json.loads(bucket["policy"])["Statement"] if s["Effect"] == "Allow"]
    assert [{"AWS": ["arn:aws:iam::222233334444:root"]}] * 2 == [s["Principal"] for s in allowed]
    key = json.loads(account.of("aws:kms/key:Key")["state"]["policy"])
    assert ["OwnAccount", "OtherAccounts"] == [s["Sid"] for s in key["Statement"]]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"subject": "repo:acme/*"}, "subject is 'repo:acme/\\*'"),
        ({"subject": "acme/thimble"}, "expected something like repo:acme@1234/thimble@5678"),
        ({"repository": "thimble"}, "repository is 'thimble'"),
        ({"repository_id": "acme"}, "repositoryId is 'acme'"),
        ({"stacks": ()}, "stacks is empty"),
        ({"promoted_by": "*"}, "promotedBy is '\\*'"),
        ({"source_key": "arn:aws:kms:*:*:key/*"}, "sourceKey is 'arn:aws:kms:\\*:\\*:key/\\*'"),
        ({"identity_provider": f"{GITHUB}.example"}, "identityProvider is 'arn:.*example'; expect"),
        ({"stacks": ("deploy",)}, "stacks is 'deploy'"),
        ({"stacks": ("dev-2",)}, "stacks is 'dev-2'"),
        ({"accounts": ("12",)}, "accounts is '12'"),
        ({"state_bucket": "one"}, "stateBucket and stateKey belong together"),
    ],
)
def test_a_dangerous_setting_is_refused(changed: dict[str, object], said: str) -> None:
    """A role that anybody, or nobody, could assume is not made."""
    right = {
        "subject": SUBJECT,
        "repository": "acme/thimble",
        "repository_id": "34",
        "stacks": ("dev",),
    }

    with pytest.raises(SettingsError, match=said):
        Settings(**(right | changed))  # type: ignore[arg-type]


def test_environments_are_those_of_the_workflow() -> None:
    """A role trusts the environment that release.yml deploys its stack in."""
    jobs = parse(FOLDER / "release.yml")["jobs"].values()
    called = {job["with"]["stack"]: job["with"]["environment"] for job in jobs if "with" in job}

    assert called == {stack: ENVIRONMENTS.get(stack, stack) for stack in called}


def test_sources_are_those_of_the_stacks() -> None:
    """A role may read the repository that its stack promotes from."""
    for stack, source in SOURCES.items():
        config = parse(ROOT / f"Pulumi.{stack}.yaml")["config"]
        assert source == config["thimble:image"]["promoteFrom"]
