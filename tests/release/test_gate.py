"""A release is allowed only if the stage before it runs exactly that."""

import pytest

from release.errors import GateError
from release.gate import require, require_deployed

COMMIT = "23cd313a0d3f7c5be7d4f0a1d2c3b4a596877869"
DIGEST = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64
STAGING = {"commit": COMMIT, "image_digest": DIGEST}


def test_the_digest_of_the_released_commit_is_returned() -> None:
    """When staging runs the tagged commit, its digest is what goes on."""
    assert DIGEST == require("staging", STAGING, commit=COMMIT, earlier=STAGING)


def test_another_commit_is_refused() -> None:
    """A tag on a commit that staging does not run is not released."""
    with pytest.raises(GateError, match=f"staging runs commit {COMMIT}, not abc"):
        require("staging", STAGING, commit="abc")


def test_a_stage_never_deployed_is_refused() -> None:
    """No outputs is not a match."""
    with pytest.raises(GateError, match="never deployed"):
        require("staging", {}, commit=COMMIT)


def test_an_output_that_is_no_digest_is_refused() -> None:
    """A tag could point anywhere tomorrow."""
    with pytest.raises(GateError, match="expected sha256:"):
        require("staging", STAGING | {"image_digest": "latest"}, commit=COMMIT)


def test_a_stage_that_moved_since_the_approval_is_refused() -> None:
    """What was approved is what is released, or nothing is."""
    with pytest.raises(GateError, match=f"{OTHER} was approved"):
        require("staging", STAGING, commit=COMMIT, digest=OTHER)


def test_one_commit_with_two_digests_is_refused() -> None:
    """Dev and staging at one commit must run one build."""
    with pytest.raises(GateError, match="of the same commit"):
        require("staging", STAGING, commit=COMMIT, earlier=STAGING | {"image_digest": OTHER})


def test_a_dev_that_is_already_ahead_does_not_hold_a_release() -> None:
    """Work that goes on in dev says nothing about the tagged commit."""
    ahead = {"commit": "f" * 40, "image_digest": OTHER}

    assert DIGEST == require("staging", STAGING, commit=COMMIT, earlier=ahead)


def test_a_deployment_that_succeeded_is_let_through() -> None:
    """Its smoke test is the last step of its job."""
    require_deployed("staging", COMMIT, "success")


@pytest.mark.parametrize(
    ("state", "mend"),
    [("failure", "run its job"), ("inactive", "run its job"), ("in_progress", "wait until it has")],
)
def test_a_deployment_that_did_not_end_well_is_refused(state: str, mend: str) -> None:
    """The message says how it stands, and what to do."""
    said = f"of {COMMIT} to staging is '{state}', expected 'success'; {mend}"
    with pytest.raises(GateError, match=said):
        require_deployed("staging", COMMIT, state)


def test_a_commit_that_was_never_deployed_is_refused() -> None:
    """Somebody may have updated the stack by hand."""
    with pytest.raises(GateError, match=f"no deployment of {COMMIT} to staging"):
        require_deployed("staging", COMMIT, "")
