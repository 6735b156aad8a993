"""What AWS, and a stack's stage, leave of settings that are each fine."""

import json
from pathlib import Path
from typing import Any

import botocore.session
import pytest
import yaml

from infra import limits
from infra.errors import SettingsError
from infra.settings import Settings
from tests.infra.told import EMULATED, REAL, fault, read

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _at_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def test_open_api_only_locally() -> None:
    """An API without authentication is for local stacks."""
    assert "an open API is for the local stack" in fault("prod", api={"auth": "none"})
    assert "none" == read("local", api={"auth": "none"}).api.auth


OWN_ISSUERS = ["http://127.0.0.1:8080", "http://localhost:8080/realms/me", "http://[::1]/"]


def tokens_of(issuer: str) -> dict[str, Any]:
    """`api.*` for bearers of that issuer's tokens."""
    return {"auth": "jwt", "jwtIssuer": issuer, "jwtAudiences": ["me"]}


@pytest.mark.parametrize("issuer", OWN_ISSUERS)
def test_issuer_on_this_machine_only_locally(issuer: str) -> None:
    """A local stack takes an issuer without a certificate where nobody can listen in."""
    assert issuer == read("local", api=tokens_of(issuer)).api.jwt_issuer
    assert fault("dev", api=tokens_of(issuer)).endswith("https address, as in its tokens' iss")


@pytest.mark.parametrize(
    "issuer",
    [
        *("http://issuer.example", "http://127.0.0.1.example", "127.0.0.1:8080", "https://"),
        *("https:///realms/me", "https://issuer.example?realm=me", "https://me@issuer.example"),
        "http://localhost:8080/?realm=me",
    ],
)
def test_issuer_elsewhere_needs_an_https_address(issuer: str) -> None:
    """A local stack does not take keys from the network unencrypted, and is told what it may."""
    said = fault("local", api=tokens_of(issuer))

    assert said.endswith("or http on this machine such as http://127.0.0.1:8080")
    assert repr(issuer) in said


@pytest.mark.parametrize("path", ["", "/", "/realms/me", ":8443/oauth2/default"])
def test_an_issuer_may_have_a_path(path: str) -> None:
    """As identity providers have; it is compared with a token's letter by letter."""
    issuer = f"https://issuer.example{path}"

    assert issuer == read(api=tokens_of(issuer)).api.jwt_issuer


@pytest.mark.parametrize("email", ["me", "@", "me@", "me@localhost", "a@b.example,c@d.example"])
def test_watch_tells_one_address(email: str) -> None:
    """SNS would refuse anything else, when most is deployed."""
    assert f"watch.email is {email!r}; expected one address" in fault(watch={"email": email})


def test_an_address_may_be_any() -> None:
    """With a label, a subdomain, hyphens."""
    email = "ml-team+thimble@mail.my-company.example"

    assert email == read(watch={"email": email}).watch.email


def test_every_machine_of_sagemaker_is_known() -> None:
    """What SageMaker takes for an endpoint has a name that the settings take."""
    api = botocore.session.get_session().get_service_model("sagemaker")
    machines = api.shape_for("ProductionVariantInstanceType").enum

    assert "ml.c6g.large" in machines
    assert [] == [name for name in machines if not limits.INSTANCE_TYPE.fullmatch(name)]


@pytest.mark.parametrize("name", ["c6g.large", "ml.anything", "ml.c6g", "ml.c6g.big", "ml.c6g.l x"])
def test_what_is_no_machine(name: str) -> None:
    """SageMaker would refuse it minutes later."""
    said = fault(endpoint={"instanceType": name})

    assert f"endpoint.instanceType is {name!r}; expected 'ml.', a family and a size" in said


def test_host_architecture_only_locally() -> None:
    """Who runs the program does not decide what a real stack deploys."""
    assert "must not decide what is deployed" in fault("dev", function={"architecture": "host"})


TWO = '["000000000000", "111111111111"]'


@pytest.mark.parametrize("accounts", [None, "[]", '["1234"]', "111111111111", TWO])
def test_real_stack_names_its_account(accounts: str | None) -> None:
    """A real stack without a proper aws:allowedAccountIds, of one account, is refused."""
    given = {} if accounts is None else {"aws:allowedAccountIds": accounts}

    with pytest.raises(SettingsError, match="expected the one account this stack may touch"):
        Settings.from_values("dev", given)


def test_emulator_only_locally() -> None:
    """A real stack's settings cannot point it at an emulator, or past its account's check."""
    given = {**REAL, "aws:endpoints": "[]", "aws:skipMetadataApiCheck": "true"}

    with pytest.raises(SettingsError) as caught:
        Settings.from_values("prod", given)

    assert ["aws:endpoints", "aws:skipMetadataApiCheck"] == [
        line.split()[1] for line in str(caught.value).splitlines()[1:]
    ]


def test_local_stack_may_use_an_emulator() -> None:
    """The local stack may point anywhere."""
    assert "local" == Settings.from_values("local", {**EMULATED, "aws:endpoints": "[{}]"}).stack


@pytest.mark.parametrize("accounts", [None, "[0]", '["111111111111"]', TWO])
def test_local_stack_reaches_the_emulators_account_alone(accounts: str | None) -> None:
    """Its API may be open to everybody, so no real account is among those that it may touch."""
    given = {} if accounts is None else {"aws:allowedAccountIds": accounts}

    with pytest.raises(SettingsError) as caught:
        Settings.from_values("local", given)

    assert 'expected ["000000000000"], its account (Pulumi.local.yaml)' in str(caught.value)


LOGINS = {
    "profile": "hush",
    "assumeRoles": '[{"roleArn": "hush"}]',
    "assumeRoleWithWebIdentity": '{"roleArn": "hush"}',
    "accessKey": "hush",
    "sharedConfigFiles": '["hush"]',
}


@pytest.mark.parametrize("key", LOGINS)
def test_a_login_that_the_copy_would_not_share(key: str) -> None:
    """A promoted image is copied beside the AWS provider; what is a secret is not repeated."""
    given = {**REAL, f"aws:{key}": LOGINS[key], "thimble:image": '{"promoteFrom": "dev"}'}

    with pytest.raises(SettingsError) as caught:
        Settings.from_values("staging", given)

    said = str(caught.value)
    assert f"aws:{key} is set and image.promoteFrom is 'dev'" in said
    assert f"remove aws:{key}, and export AWS_PROFILE instead" in said
    assert "hush" not in said


@pytest.mark.parametrize(
    "image", [{}, {"promoteFrom": "dev", "digest": f"sha256:{'d' * 64}"}], ids=["built", "digest"]
)
def test_a_login_is_the_providers_where_nothing_is_copied(image: dict[str, str]) -> None:
    """A stack that builds, or goes back to an image it has, logs in as it likes."""
    given = {**REAL, **{f"aws:{key}": value for key, value in LOGINS.items()}}

    assert Settings.from_values("prod", {**given, "thimble:image": json.dumps(image)})


def test_only_one_stack_is_local() -> None:
    """A stack whose name begins likewise is a real one, and needs its account."""
    with pytest.raises(SettingsError, match="expected the one account this stack may touch"):
        Settings.from_values("local-next", {})


@pytest.mark.parametrize("stack", ["release-1.2", "_", "dev--2", "dev-"])
def test_a_stack_name_that_aws_refuses(stack: str) -> None:
    """Pulumi takes it, and Lambda, ECR or SNS would not."""
    assert f"the stack is called {stack!r}" in fault(stack)


def test_the_local_stack_reaches_no_real_account() -> None:
    """`pulumi up` without the emulator's address would find the user's own credentials."""
    document = yaml.safe_load((ROOT / "Pulumi.local.yaml").read_text())

    assert ["000000000000"] == document["config"]["aws:allowedAccountIds"]


def test_too_long_a_name() -> None:
    """A name that IAM would cut off is refused, with its length."""
    assert "80 characters; AWS takes 64" in fault("x" * 65)


def test_name_without_a_letter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A card called `__` would leave ECR nothing to call it."""
    monkeypatch.chdir(tmp_path)
    Path("card.yaml").write_text('name: "__"\nmodel: model.keras\n')

    assert "at least one letter or digit" in fault(model="card.yaml")
