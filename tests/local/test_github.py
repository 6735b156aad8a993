"""What a rehearsal's gate hears of deployments."""

from local.github import serve
from release.github import Repository


def test_what_was_deployed_has_succeeded() -> None:
    """In its environment, and no other commit."""
    with serve([("dev", "abc"), ("staging", "abc"), ("dev", "def")]) as variables:
        repository = Repository.from_environment(variables)

        asked = [("staging", "abc"), ("staging", "def"), ("dev", "def")]
        found = [repository.deployment(*one) for one in asked]

    assert ["success", "", "success"] == found
