"""The few requests to GitHub's REST API that a release makes."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from release.errors import GitHubError, InputError

_PAGE = 100
_ATTEMPTS = 3
_TIMEOUT = 20.0
_RETRIED = {429, 500, 502, 503, 504}


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """One repository, seen with one token.

    Attributes:
        name: "owner/repository".
        token: What the job was granted. Never shown.
        api: The API's address; a GitHub Enterprise server has another.
        sleep: Waits between attempts, in seconds.
    """

    name: str
    token: str = field(repr=False)
    api: str = "https://api.github.com"
    sleep: Callable[[float], None] = time.sleep

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Repository":
        """Build from what GitHub Actions sets, and a token the workflow passes.

        Raises:
            InputError: GITHUB_TOKEN or GITHUB_REPOSITORY is missing.
        """
        for name in ("GITHUB_TOKEN", "GITHUB_REPOSITORY"):
            if not environment.get(name):
                raise InputError(
                    f"{name} is not set; in a workflow, pass it through the step's env"
                )
        return cls(
            name=environment["GITHUB_REPOSITORY"],
            token=environment["GITHUB_TOKEN"],
            api=environment.get("GITHUB_API_URL") or "https://api.github.com",
        )

    def upsert_comment(self, number: int, marker: str, body: str) -> str:
        """Write the one comment that opens with `marker` on issue or pull request `number`.

        Returns:
            The comment's address.
        """
        comments = f"/issues/{number}/comments"
        for comment in self._pages(comments):
            if str(comment.get("body", "")).startswith(marker):
                path = f"/issues/comments/{comment['id']}"
                return str(self._call("PATCH", path, {"body": body})["html_url"])
        return str(self._call("POST", comments, {"body": body})["html_url"])

    def open_issue(self, label: str, marker: str) -> int | None:
        """Return the number of the open issue with that label whose text opens with `marker`."""
        for issue in self._pages(f"/issues?state=open&labels={label}"):
            if str(issue.get("body") or "").startswith(marker):
                return int(issue["number"])
        return None

    def create_issue(self, title: str, body: str, label: str) -> int:
        """Open an issue; return its number."""
        issue = self._call("POST", "/issues", {"title": title, "body": body, "labels": [label]})
        return int(issue["number"])

    def update_issue(self, number: int, body: str) -> None:
        """Replace an issue's text."""
        self._call("PATCH", f"/issues/{number}", {"body": body})

    def close_issue(self, number: int, comment: str) -> None:
        """Say why, then close an issue."""
        self._call("POST", f"/issues/{number}/comments", {"body": comment})
        self._call("PATCH", f"/issues/{number}", {"state": "closed", "state_reason": "completed"})

    def deployment(self, environment: str, commit: str) -> str:
        """Return how the newest deployment of a commit to an environment stands.

        GitHub keeps one for each job that names an environment. Its states are GitHub's: success,
        failure, error, in_progress, queued, waiting, inactive; "" where there is no deployment.
        """
        path = f"/deployments?sha={commit}&environment={quote(environment, safe='')}"
        newest = _newest(self._pages(path))
        if newest is None:
            return ""
        status = _newest(self._pages(f"/deployments/{newest['id']}/statuses"))
        return "queued" if status is None else str(status["state"])

    def _pages(self, path: str) -> Iterator[dict[str, Any]]:
        joint = "&" if "?" in path else "?"
        page = 1
        while True:
            found = self._call("GET", f"{path}{joint}per_page={_PAGE}&page={page}")
            yield from found
            if len(found) < _PAGE:
                return
            page += 1

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:  # noqa: ANN401 (the API's JSON)
        request = urllib.request.Request(  # noqa: S310 (the scheme is GitHub's own setting)
            f"{self.api}/repos/{self.name}{path}",
            data=None if body is None else json.dumps(body).encode(),
            method=method,
            headers={
                "Accept": "application/vnd.github+json",
                "Authorization": f"Bearer {self.token}",
                "Content-Type": "application/json",
                "User-Agent": "thimble-release",
                "X-GitHub-Api-Version": "2022-11-28",
            },
        )
        # A POST is not repeated: the first may have been heard, and there must be one comment.
        attempts = 1 if method == "POST" else _ATTEMPTS
        for attempt in range(1, attempts + 1):
            try:
                with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:  # noqa: S310
                    return json.load(answer)
            except urllib.error.HTTPError as error:
                with error:
                    text = error.read(2_000).decode(errors="replace")
                if error.code not in _RETRIED or attempt == attempts:
                    raise GitHubError(_explain(method, path, error.code, text)) from error
            except OSError as error:
                if attempt == attempts:
                    raise GitHubError(f"{method} {path}: {error}") from error
            self.sleep(2.0**attempt)
        raise AssertionError("the last attempt returns or raises")


def _newest(found: Iterator[dict[str, Any]]) -> dict[str, Any] | None:
    return max(found, key=lambda one: int(one["id"]), default=None)


def _explain(method: str, path: str, status: int, text: str) -> str:
    try:
        message = str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        message = text[:200]
    hint = {
        401: "; the token is invalid or expired",
        403: "; grant the job the permission it lacks (issues: write, pull-requests: write or "
        "deployments: read)",
        404: "; check GITHUB_REPOSITORY and that the token may see it",
    }.get(status, "")
    return f"GitHub answered {status} to {method} {path}: {message}{hint}"
