"""What is published holds no secret."""

import pytest

from release.mask import HIDDEN, mask


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("key AKIAIOSFODNN7EXAMPLE here", "AKIAIOSFODNN7EXAMPLE"),
        (
            "got wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        ),
        ("token ghp_abcdefghijklmnopqrstuvwxyz012345", "ghp_abcdefghijklmnopqrstuvwxyz012345"),
        ("github_pat_11ABCDEFG0aaaaaaaaaaaaaa", "github_pat_11ABCDEFG0aaaaaaaaaaaaaa"),
        ("pul-0123456789abcdef0123456789abcdef01234567", "pul-0123456789abcdef"),
        ("Authorization: Bearer abcdef12345", "abcdef12345"),
        ('{"dbPassword": "hunter22"}', "hunter22"),
        ("MY_SECRET=swordfish", "swordfish"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "eyJzdWIiOiIxIn0"),
        ("https://user:opensesame@example.com/x", "opensesame"),
        ("v1:aGVsbG93b3JsZA==:Y2lwaGVydGV4dA==", "Y2lwaGVydGV4dA=="),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----", "MIIE"),
        ("-----BEGIN PRIVATE KEY-----\nMIIEcut off", "MIIEcut"),
    ],
)
def test_a_secret_of_a_known_shape_is_hidden(text: str, secret: str) -> None:
    """What looks like a credential is replaced, whatever stands around it."""
    masked = mask(text, {})

    assert secret not in masked
    assert HIDDEN in masked


def test_a_secret_variable_of_this_process_is_hidden() -> None:
    """The value of a variable named like a secret never appears, even without a telling shape."""
    assert f"said {HIDDEN} twice: {HIDDEN}" == mask(
        "said plainwords twice: plainwords", {"DEPLOY_TOKEN": "plainwords"}
    )


@pytest.mark.parametrize(
    "text",
    [
        "commit 23cd313a0d3f7c5be7d4f0a1d2c3b4a5968778695 of main",
        "aws:lambda/function:Function thimble-dev-digits updating failed",
        "sha256:" + "a" * 64,
        "error: resource arn:aws:lambda:eu-west-1:123456789012:function:thimble not found",
    ],
)
def test_what_a_reviewer_needs_stays_readable(text: str) -> None:
    """Commits, digests and resource names are no secrets."""
    assert text == mask(text, {})
