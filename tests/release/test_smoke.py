"""The smoke test passes a right API, and only that."""

import json
from collections.abc import Callable

import pytest

from release.errors import InputError, SmokeError
from release.smoke import Api, Auth, Patience, check
from tests.release.conftest import Loopback, Respond

PICTURE = ("7.png", b"\x89PNG made up")
Start = Callable[[Respond], Loopback]


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


def patience() -> Patience:
    """A minute that takes no time."""
    clock = Clock()
    return Patience(limit=60.0, sleep=clock.sleep, clock=lambda: clock.now)


class Deployed:
    """A deployed API: what it answers, and whom."""

    def __init__(self, *, label: str = "7", open_to_all: bool = False) -> None:
        self.label = label
        self.open_to_all = open_to_all
        self.failures: list[int] = []
        self.state = "AVAILABLE"

    def respond(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, bytes]:
        """Answer as the handler behind the gateway does."""
        if self.failures:
            return self.failures.pop(0), b'{"message": "Internal Server Error"}'
        if (method, path) == ("GET", "/ping"):
            return 200, b"{}"
        if not self.open_to_all and "authorization" not in headers:
            return 401, b'{"message":"Unauthorized"}'
        if (method, path) == ("GET", "/v1/models/digits"):
            return 200, json.dumps({"model_version_status": [{"state": self.state}]}).encode()
        if (method, path, body) == ("POST", "/v1/models/digits:image", PICTURE[1]):
            return 200, json.dumps({"predictions": [{"label": self.label}]}).encode()
        return 404, b'{"error": "no such path"}'


def ask(api: Api) -> str:
    """Run the whole check."""
    return check(api, model="digits", picture=PICTURE, expect="7", patience=patience())


def test_a_right_api_passes(loopback: Start) -> None:
    """Ping, status and prediction are all asked for, and the token is sent."""
    server = loopback(Deployed().respond)

    line = ask(Api(url=server.url, auth=Auth.JWT, token="made-up"))

    assert f"{server.url} answers: digits sees '7' in 7.png" == line
    assert ["/ping", "/v1/models/digits", "/v1/models/digits:image", "/v1/models/digits:image"] == [
        path for _, path, _, _ in server.asked
    ]
    assert "Bearer made-up" == server.asked[-1][2]["authorization"]
    assert "image/png" == server.asked[-1][2]["content-type"]


def test_an_iam_request_is_signed(loopback: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """The signature covers the host and the session token, in the region named."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "made-up-id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "made-up-key")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "made-up-session")
    server = loopback(Deployed().respond)

    ask(Api(url=server.url, auth=Auth.IAM, region="eu-west-1"))

    headers = server.asked[-1][2]
    assert headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=made-up-id/")
    assert "/eu-west-1/execute-api/aws4_request" in headers["authorization"]
    assert "host" in headers["authorization"]
    assert "made-up-session" == headers["x-amz-security-token"]


def test_a_wrong_prediction_fails_with_the_answer(loopback: Start) -> None:
    """The line says what was asked, what came and what was expected."""
    server = loopback(Deployed(label="1", open_to_all=True).respond)

    with pytest.raises(
        SmokeError, match=r"7\.png answered 200 .*\"1\".*expected the prediction '7'"
    ):
        ask(Api(url=server.url, auth=Auth.NONE))


def test_an_api_that_answers_strangers_fails(loopback: Start) -> None:
    """With authentication on, a request without credentials must be refused."""
    server = loopback(Deployed(open_to_all=True).respond)

    with pytest.raises(SmokeError, match="must not answer strangers"):
        ask(Api(url=server.url, auth=Auth.JWT, token="made-up"))


def test_passing_failures_are_waited_out(loopback: Start) -> None:
    """A gateway that is still settling does not fail the release."""
    deployed = Deployed(open_to_all=True)
    deployed.failures += [503, 404, 500]

    assert "sees '7'" in ask(Api(url=loopback(deployed.respond).url, auth=Auth.NONE))


def test_a_lasting_failure_ends_in_time(loopback: Start) -> None:
    """After the limit the last answer is the error."""
    deployed = Deployed(open_to_all=True)
    deployed.failures += [500] * 1_000
    server = loopback(deployed.respond)

    with pytest.raises(SmokeError, match=r"GET /ping answered 500 .*expected 200"):
        ask(Api(url=server.url, auth=Auth.NONE))

    assert 15 >= len(server.asked)


def test_a_model_that_is_not_available_fails(loopback: Start) -> None:
    """The status must say AVAILABLE, not merely answer."""
    deployed = Deployed(open_to_all=True)
    deployed.state = "LOADING"

    with pytest.raises(SmokeError, match="expected a version in state AVAILABLE"):
        ask(Api(url=loopback(deployed.respond).url, auth=Auth.NONE))


def test_nobody_there_is_said_within_the_limit() -> None:
    """A refused connection ends in one line."""
    with pytest.raises(SmokeError, match="nobody answered within 60 s"):
        ask(Api(url="http://127.0.0.1:1", auth=Auth.NONE))


def test_a_localhost_name_reaches_this_machine(loopback: Start) -> None:
    """*.localhost need not resolve, and the gateway still sees its own name."""
    server = loopback(Deployed(open_to_all=True).respond)

    ask(Api(url=f"http://abc.execute-api.localhost:{server.port}", auth=Auth.NONE))

    assert f"abc.execute-api.localhost:{server.port}" == server.asked[0][2]["host"]


def test_a_base_path_is_kept(loopback: Start) -> None:
    """An API below a path is asked below it."""
    deployed = Deployed(open_to_all=True)
    server = loopback(
        lambda method, path, headers, body: deployed.respond(
            method, path.removeprefix("/stage"), headers, body
        )
    )

    ask(Api(url=f"{server.url}/stage/", auth=Auth.NONE))

    assert {"/stage"} == {path[:6] for _, path, _, _ in server.asked}


def test_an_address_without_a_region_asks_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signature needs a region; the message names the variable."""
    monkeypatch.delenv("AWS_REGION", raising=False)

    with pytest.raises(InputError, match="set AWS_REGION"):
        Api(url="http://127.0.0.1:1", auth=Auth.IAM).ask("GET", "/")


@pytest.mark.parametrize("url", ["", "digits", "ftp://example.com"])
def test_what_is_no_address_is_refused(url: str) -> None:
    """The message shows the value and says where the right one is."""
    with pytest.raises(InputError, match="pass the stack's `url` output"):
        Api(url=url, auth=Auth.NONE).ask("GET", "/ping")


def test_a_picture_of_another_kind_is_refused(loopback: Start) -> None:
    """The file's ending decides the type sent, so an unknown one is an error."""
    server = loopback(Deployed(open_to_all=True).respond)

    with pytest.raises(InputError, match=r"7\.gif is no picture"):
        check(
            Api(url=server.url, auth=Auth.NONE),
            model="digits",
            picture=("7.gif", b""),
            expect="7",
            patience=patience(),
        )
