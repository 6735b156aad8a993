"""Who may call: signed requests of IAM users and bearers of an issuer's tokens; nobody else."""

from __future__ import annotations

import json
import threading
import time
import urllib.parse
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import boto3
import jwt
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from tests.e2e.api import Answer, send

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.project import Project

PREDICT = "/v1/models/digits:predict"
STATUS = "/v1/models/digits"
BODY = json.dumps({"instances": [[[[0.0]] * 8] * 8]}).encode()
REGION = "us-east-1"
ACCOUNT = "000000000000"
AUDIENCE = "digits-clients"


@pytest.fixture(scope="module")
def url(project: Project) -> str:
    """Where the API is; its address outlives a change of who may call."""
    return str(project.outputs()["url"])


# Signed requests.


@dataclass(frozen=True, slots=True)
class Users:
    """Keys of IAM users, by what their policies allow."""

    caller: Credentials
    neighbour: Credentials
    stranger: Credentials


@pytest.fixture(scope="class")
def signed(project: Project) -> Iterator[list[str]]:
    """The API for signed requests."""
    with project.deployed_with("thimble:api.auth=iam") as options:
        yield options


@pytest.fixture(scope="class")
def users(project: Project, url: str) -> Iterator[Users]:
    """One may call this API, one another API, one nothing."""
    # The root key may do anything and its signature is not even checked: it only makes users here.
    iam = boto3.client(
        "iam",
        endpoint_url=f"http://127.0.0.1:{project.emulator()['port']}",
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    api = str(urllib.parse.urlsplit(url).hostname).partition(".")[0]
    apis = {"caller": api, "neighbour": "deadbeef", "stranger": None}
    with _users(iam, apis) as keys:
        yield Users(**keys)
    iam.close()


@contextmanager
def _users(iam: Any, apis: dict[str, str | None]) -> Iterator[dict[str, Credentials]]:
    keys: dict[str, Credentials] = {}
    try:
        for name, api in apis.items():
            iam.create_user(UserName=name)
            key = iam.create_access_key(UserName=name)["AccessKey"]
            keys[name] = Credentials(key["AccessKeyId"], key["SecretAccessKey"])
            if api is not None:
                statement = {
                    "Effect": "Allow",
                    "Action": "execute-api:Invoke",
                    "Resource": f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{api}/*",
                }
                policy = {"Version": "2012-10-17", "Statement": [statement]}
                iam.put_user_policy(
                    UserName=name, PolicyName="invoke", PolicyDocument=json.dumps(policy)
                )
        yield keys
    finally:
        for name, key in keys.items():
            iam.delete_access_key(UserName=name, AccessKeyId=key.access_key)
            if apis[name] is not None:
                iam.delete_user_policy(UserName=name, PolicyName="invoke")
            iam.delete_user(UserName=name)


def sign(
    url: str, user: Credentials, path: str = PREDICT, body: bytes = BODY, method: str = "POST"
) -> dict[str, str]:
    """Headers of a request that a user has signed."""
    headers = {"Content-Type": "application/json"}
    request = AWSRequest(method, url + path, data=body, headers=headers)
    SigV4Auth(user, "execute-api", REGION).add_auth(request)
    return dict(request.headers)


@pytest.mark.usefixtures("signed")
class TestSigned:
    """`api.auth: iam`."""

    def test_allowed_user_is_answered(self, url: str, users: Users) -> None:
        """A user who may invoke this API gets predictions."""
        answer = send(url, PREDICT, BODY, headers=sign(url, users.caller))
        assert (200, 10) == (answer.status, len(answer.document["predictions"][0]))

    def test_every_route_of_the_function_takes_signatures(self, url: str, users: Users) -> None:
        """So do the routes that are read."""
        headers = sign(url, users.caller, STATUS, b"", "GET")
        assert send(url, STATUS, method="GET", headers=headers).status == 200

    def test_unsigned(self, url: str) -> None:
        """A request without a signature is refused."""
        assert send(url, PREDICT, BODY).status == 403

    def test_user_without_the_right(self, url: str, users: Users) -> None:
        """A user of the account who may not invoke is refused."""
        assert send(url, PREDICT, BODY, headers=sign(url, users.stranger)).status == 403

    def test_right_to_another_api(self, url: str, users: Users) -> None:
        """The right to invoke another API is none to invoke this one."""
        assert send(url, PREDICT, BODY, headers=sign(url, users.neighbour)).status == 403

    def test_wrong_secret(self, url: str, users: Users) -> None:
        """A known key with another secret is refused."""
        forger = Credentials(users.caller.access_key, "x" * 40)
        assert send(url, PREDICT, BODY, headers=sign(url, forger)).status == 403

    def test_unknown_key(self, url: str) -> None:
        """A key of nobody's is refused."""
        nobody = Credentials("AKIAAAAAAAAAAAAAAAAA", "x" * 40)
        assert send(url, PREDICT, BODY, headers=sign(url, nobody)).status == 403

    def test_body_changed_on_the_way(self, url: str, users: Users) -> None:
        """A signature is for one body."""
        changed = BODY.replace(b"0.0", b"0.5", 1)
        assert send(url, PREDICT, changed, headers=sign(url, users.caller)).status == 403

    def test_signature_for_another_path(self, url: str, users: Users) -> None:
        """And for one path."""
        headers = sign(url, users.caller, STATUS, b"", "GET")
        assert send(url, f"{STATUS}/metadata", method="GET", headers=headers).status == 403

    # Left out: a bearer's token instead of a signature. API Gateway refuses it; MiniStack 1.5 takes
    # any Authorization header but AWS's for an anonymous caller's, and lets it pass.
    def test_signature_cut_off(self, url: str, users: Users) -> None:
        """Half a signature is none."""
        headers = sign(url, users.caller)
        headers["Authorization"] = headers["Authorization"][:-32]
        assert send(url, PREDICT, BODY, headers=headers).status == 403

    def test_health_is_open(self, url: str) -> None:
        """Load balancers cannot sign."""
        assert send(url, "/ping", method="GET").status == 200

    def test_second_up_changes_nothing(self, project: Project, signed: list[str]) -> None:
        """Deployed twice, it is deployed once."""
        project.ok("local", "up", "--json", "--expect-no-changes", *signed)


# Bearers of tokens.


class Issuer(ThreadingHTTPServer):
    """A real issuer on this machine: discovery, its public key, and tokens signed with the other.

    Attributes:
        name: Its address, which is what `iss` says.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Documents)
        self.name = f"http://127.0.0.1:{self.server_address[1]}"
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        keys = [{**public, "kid": "one", "use": "sig", "alg": "RS256"}]
        self.documents = {
            "/.well-known/openid-configuration": {
                "issuer": self.name,
                "jwks_uri": f"{self.name}/keys",
            },
            "/keys": {"keys": keys},
        }

    def token(self, **claims: Any) -> str:
        """A token that is fine but for what is given; a claim of None is left out."""
        return jwt.encode(self.claims(**claims), self.key, "RS256", headers={"kid": "one"})

    def claims(self, **claims: Any) -> dict[str, Any]:
        """What a token of this issuer says."""
        now = int(time.time())
        fine = {"iss": self.name, "aud": AUDIENCE, "sub": "me", "iat": now - 5, "exp": now + 600}
        return {key: value for key, value in {**fine, **claims}.items() if value is not None}


class _Documents(BaseHTTPRequestHandler):
    server: Issuer

    def do_GET(self) -> None:
        """Answer with the document at this path."""
        document = self.server.documents.get(self.path)
        body = json.dumps(document).encode()
        self.send_response(404 if document is None else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="class")
def issuer() -> Iterator[Issuer]:
    """A running issuer."""
    with Issuer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="class")
def bearers(project: Project, issuer: Issuer) -> Iterator[list[str]]:
    """The API for bearers of that issuer's tokens."""
    with project.deployed_with(
        "thimble:api.auth=jwt",
        f"thimble:api.jwtIssuer={issuer.name}",
        f"thimble:api.jwtAudiences={json.dumps([AUDIENCE])}",
    ) as options:
        yield options


def bring(url: str, token: str) -> Answer:
    """Ask for a prediction with a token."""
    return send(url, PREDICT, BODY, headers={"Authorization": f"Bearer {token}"})


@pytest.mark.usefixtures("bearers")
class TestBearers:
    """`api.auth: jwt`."""

    def test_valid_token_is_answered(self, url: str, issuer: Issuer) -> None:
        """A bearer of a valid token gets predictions."""
        answer = bring(url, issuer.token())
        assert (200, 10) == (answer.status, len(answer.document["predictions"][0]))

    def test_one_of_several_audiences(self, url: str, issuer: Issuer) -> None:
        """A token for several is a token for each of them."""
        assert bring(url, issuer.token(aud=["others", AUDIENCE])).status == 200

    def test_without_a_token(self, url: str) -> None:
        """A request without a token is refused."""
        assert send(url, PREDICT, BODY).status == 401

    @pytest.mark.parametrize(
        "claims",
        [
            {"aud": "others"},
            {"aud": None},
            {"iss": "https://issuer.example"},
            {"iss": None},
        ],
        ids=["wrong audience", "no audience", "wrong issuer", "no issuer"],
    )
    def test_token_for_others(self, url: str, issuer: Issuer, claims: dict[str, Any]) -> None:
        """A token of somebody else's or for somebody else is refused."""
        assert bring(url, issuer.token(**claims)).status == 401

    @pytest.mark.parametrize(("claim", "seconds"), [("exp", -60), ("nbf", 300), ("iat", 300)])
    def test_token_of_another_time(
        self, url: str, issuer: Issuer, claim: str, seconds: int
    ) -> None:
        """A token that has expired, or is not valid yet, is refused."""
        assert bring(url, issuer.token(**{claim: int(time.time()) + seconds})).status == 401

    def test_signed_by_another_key(self, url: str, issuer: Issuer) -> None:
        """A token that says everything right, under somebody else's signature, is refused."""
        other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        token = jwt.encode(issuer.claims(), other, "RS256", headers={"kid": "one"})
        assert bring(url, token).status == 401

    def test_signed_by_nobody(self, url: str, issuer: Issuer) -> None:
        """`alg: none` is no signature."""
        token = jwt.encode(issuer.claims(), "", "none", headers={"kid": "one"})
        assert bring(url, token).status == 401

    def test_claims_changed_on_the_way(self, url: str, issuer: Issuer) -> None:
        """A signature is for one set of claims."""
        header, _, signature = issuer.token().split(".")
        _, claims, _ = issuer.token(sub="you").split(".")
        assert bring(url, f"{header}.{claims}.{signature}").status == 401

    @pytest.mark.parametrize("token", ["", "token", "a.b.c"])
    def test_no_token_at_all(self, url: str, token: str) -> None:
        """What is no token is refused, and breaks nothing."""
        assert bring(url, token).status == 401

    def test_health_is_open(self, url: str) -> None:
        """Load balancers have no tokens."""
        assert send(url, "/ping", method="GET").status == 200

    def test_second_up_changes_nothing(self, project: Project, bearers: list[str]) -> None:
        """Deployed twice, it is deployed once."""
        project.ok("local", "up", "--json", "--expect-no-changes", *bearers)
