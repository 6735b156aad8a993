"""What `up` shows in the end, asked of an API on this machine."""

from __future__ import annotations

import http.server
import json
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from local import demo, program
from local.errors import LocalError
from local.home import Home, write_json
from local.stack import LocalStack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PREDICTION = {"predictions": [{"label": "seven", "score": 0.98765}]}
PICTURE = b"\x89PNG a seven"
CARD = "name: digits\npicture: {width: 8, height: 8}\n"


@dataclass(slots=True)
class Api:
    """An API that answers what a test prepared, the last answer again and again.

    Attributes:
        answers: Status and body of each answer; None hangs up instead.
        asked: Path, headers and body of each request.
    """

    url: str = ""
    answers: list[tuple[int, str] | None] = field(default_factory=list)
    asked: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """It answers with a prediction; nobody waits between two attempts."""
    found = Api(answers=[(200, json.dumps(PREDICTION))])

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.asked.append((self.path, dict(self.headers), body))
            answer = found.answers.pop(0) if len(found.answers) > 1 else found.answers[0]
            if answer is not None:
                self.send_response(answer[0])
                self.end_headers()
                self.wfile.write(answer[1].encode())

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        # Whether or not the resolver knows this name.
        found.url = f"http://abc.execute-api.localhost:{server.server_port}/"
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield found
        server.shutdown()


@dataclass(frozen=True, slots=True)
class Project:
    """A project that is up."""

    folder: Path
    stack: LocalStack

    def shows(self, capsys: pytest.CaptureFixture[str]) -> str:
        """What is printed."""
        demo.show(self.stack)
        return capsys.readouterr().out

    def settings(self, **values: Any) -> None:
        """Change the stack's settings."""
        merged = {"model": "models/digits", "api": {"auth": "none"}, **values}
        document = {"config": {f"thimble:{key}": value for key, value in merged.items()}}
        (self.folder / "Pulumi.local.yaml").write_text(json.dumps(document))


@pytest.fixture
def project(tmp_path: Path, api: Api, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A model with one sample, its report, and a stack that exports the API's URL."""
    folder = tmp_path / "project"
    samples = folder / "models" / "digits" / "samples"
    samples.mkdir(parents=True)
    (samples / "7.png").write_bytes(PICTURE)
    (samples.parent / "model.yaml").write_text(CARD)
    (folder / "artifact").mkdir()
    (folder / "artifact" / "report.md").write_text("# a tenth of the size\n")
    (folder / "Pulumi.yaml").write_text("name: thimble\n")
    stack = LocalStack(Home(tmp_path / "home"), "local")
    stack.home.stack("local").mkdir(parents=True)
    state = {
        "resources": [{"outputs": {}}, {"outputs": {"artifact": "artifact"}}],
        "outputs": {"url": api.url},
    }
    write_json(stack.home.stack("local") / "state.json", state)
    for module in (demo, program):
        monkeypatch.setattr(module, "PROJECT", folder)
    found = Project(folder, stack)
    found.settings()
    return found


def test_a_real_picture_is_sent(
    project: Project, api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    """To the model that the card names; label and confidence are the API's own."""
    shown = project.shows(capsys)
    ((path, headers, body),) = api.asked
    assert (path, body) == ("/v1/models/digits:image", PICTURE)
    assert headers["Content-Type"] == "image/png"
    assert headers["Host"].startswith("abc.execute-api.localhost:")
    assert "models/digits/samples/7.png is 'seven', confidence 98.8%" in shown


def test_report_and_url_come_before(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """What the model lost and gained, where it answers, then the line to try."""
    shown = project.shows(capsys)
    wanted = ["# a tenth of the size", "url ", "prediction ", "  curl -H 'Content-Type: image/png'"]
    places = [shown.index(one) for one in wanted]
    assert places == sorted(places)


def test_behind_iam_the_request_is_signed(
    project: Project, api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    """And the curl line says how to sign one."""
    project.settings(api={"auth": "iam"})
    shown = project.shows(capsys)
    signature = api.asked[0][1]["Authorization"]
    assert signature.startswith("AWS4-HMAC-SHA256 Credential=test/")
    assert "/us-east-1/execute-api/aws4_request" in signature
    assert "curl --aws-sigv4 aws:amz:us-east-1:execute-api --user test:test " in shown


def test_behind_jwt_nothing_is_sent(
    project: Project, api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only the issuer of the user's has tokens."""
    project.settings(api={"auth": "jwt"})
    assert "try it with a token of your issuer" in project.shows(capsys)
    assert api.asked == []


@pytest.mark.parametrize("missing", ["picture", "samples"])
def test_a_model_without_pictures_is_shown_none(
    project: Project, api: Api, capsys: pytest.CaptureFixture[str], missing: str
) -> None:
    """A model of numbers is deployed as well; the line says where its signature is."""
    model = project.folder / "models" / "digits"
    if missing == "picture":
        (model / "model.yaml").write_text("name: digits\n")
    else:
        (model / "samples" / "7.png").unlink()
    assert f"see {api.url}v1/models/digits/metadata" in project.shows(capsys)
    assert api.asked == []


def test_the_setting_may_name_the_card_itself(
    project: Project, api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the program's own reading of it allows."""
    project.settings(model="models/digits/model.yaml")
    assert "'seven'" in project.shows(capsys)
    assert len(api.asked) == 1


@pytest.mark.parametrize("first", [(503, "starting"), None], ids=["5xx", "hung up"])
def test_a_function_that_starts_is_asked_again(api: Api, first: tuple[int, str] | None) -> None:
    """Its first container takes a moment."""
    api.answers.insert(0, first)
    assert demo.ask(f"{api.url}v1/models/digits:image", PICTURE, {}) == PREDICTION
    assert len(api.asked) == 2


@pytest.mark.parametrize(
    ("answer", "attempts", "said"),
    [
        ((404, '{"error": "no such model"}'), 1, 'answered 404: {"error": "no such model"}'),
        ((500, "x" * 1000), demo.ATTEMPTS, f"answered 500: {'x' * 300};"),
        (None, demo.ATTEMPTS, "does not answer (Remote end closed connection"),
    ],
    ids=["refused", "broken", "hung up"],
)
def test_an_api_that_does_not_predict(
    api: Api, answer: tuple[int, str] | None, attempts: int, said: str
) -> None:
    """One line: the URL, what it said, and how to see why; a refusal is not asked twice."""
    api.answers = [answer]
    with pytest.raises(LocalError) as caught:
        demo.ask(f"{api.url}path", PICTURE, {})
    line = str(caught.value)
    assert line.startswith(f"{api.url}path {said}")
    assert line.endswith("`python -m local refresh` shows what was changed by hand")
    assert len(api.asked) == attempts


def test_nobody_listens(api: Api) -> None:
    """One line too."""
    with pytest.raises(LocalError, match=r"^http://localhost:1/ does not answer \(.*refused\)"):
        demo.ask("http://localhost:1/", PICTURE, {})
    assert api.asked == []
