"""One comment, one issue, honest errors."""

import pytest

from release.errors import GitHubError, InputError
from release.github import Repository
from tests.release.conftest import FakeGitHub

MARKER = "<!-- test -->"


def test_the_first_comment_is_created(github: FakeGitHub) -> None:
    """A pull request without our comment gets one."""
    github.repository().upsert_comment(7, MARKER, f"{MARKER}\nfirst")

    assert [(7, f"{MARKER}\nfirst")] == [(one["issue"], one["body"]) for one in github.comments]


def test_the_next_comment_replaces_the_first(github: FakeGitHub) -> None:
    """There is one comment however often the workflow runs, even behind a page of others."""
    for number in range(130):
        github.comments.append({"id": number, "issue": 7, "body": "talk", "html_url": "u"})
    github.comments.append({"id": 130, "issue": 7, "body": f"{MARKER}\nold", "html_url": "u"})

    github.repository().upsert_comment(7, MARKER, f"{MARKER}\nnew")

    assert 131 == len(github.comments)
    assert f"{MARKER}\nnew" == github.comments[-1]["body"]


def test_a_comment_that_quotes_ours_is_left_alone(github: FakeGitHub) -> None:
    """Only a comment that opens with the marker is ours."""
    github.comments.append({"id": 1, "issue": 7, "body": f"> {MARKER}\n> hm", "html_url": "u"})

    github.repository().upsert_comment(7, MARKER, f"{MARKER}\nnew")

    assert f"> {MARKER}\n> hm" == github.comments[0]["body"]
    assert 2 == len(github.comments)


def test_a_passing_failure_is_tried_again(github: FakeGitHub) -> None:
    """A 502 while reading is not the end of the job."""
    github.failures += [502, 503]

    github.repository().upsert_comment(7, MARKER, MARKER)

    assert 1 == len(github.comments)


def test_a_write_is_not_repeated(github: FakeGitHub) -> None:
    """A POST that failed may have been heard: repeating it could leave two."""
    github.failures += [502]

    with pytest.raises(GitHubError, match="502 to POST /issues: made to fail"):
        github.repository().create_issue("t", "b", "drift")

    assert [] == github.issues


def test_the_newest_deployment_of_a_commit_counts(github: FakeGitHub) -> None:
    """Of its own environment, in the state it is in now."""
    github.deploy("abc", "staging", "queued", "in_progress", "success")
    github.deploy("abc", "dev", "success")
    github.deploy("def", "staging", "success")
    github.deploy("abc", "staging", "in_progress", "failure")
    github.deploy("new", "staging")

    asked = [("abc", "staging"), ("abc", "dev"), ("new", "staging"), ("abc", "production")]

    assert ["failure", "success", "queued", ""] == [
        github.repository().deployment(environment, commit) for commit, environment in asked
    ]


def test_a_refusal_names_the_permission(github: FakeGitHub) -> None:
    """A 403 says which permission the job lacks."""
    github.failures += [403]

    with pytest.raises(GitHubError, match="pull-requests: write"):
        github.repository().upsert_comment(7, MARKER, MARKER)


def test_the_token_is_in_no_representation() -> None:
    """A traceback that shows the client shows no token."""
    assert "made-up" not in repr(Repository(name="a/b", token="made-up"))


def test_a_missing_token_is_named() -> None:
    """Outside GitHub the message says which variable is missing."""
    with pytest.raises(InputError, match="GITHUB_TOKEN is not set"):
        Repository.from_environment({"GITHUB_REPOSITORY": "a/b"})
