"""Hides what looks like a secret in text that is about to be published.

Pulumi masks what it knows to be secret; an error message quoted from a provider, or an output
copied from a secret input, it does not know. Masking too much costs a reader a word; masking too
little costs a key. So every rule here errs on the side of hiding.
"""

import os
import re
from collections.abc import Mapping

HIDDEN = "[hidden]"

_PEM = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL
)
_SHAPES = (
    re.compile(r"\b(?:AKIA|ASIA|AIDA|AROA|ABIA|ACCA)[A-Z0-9]{16}\b"),  # AWS key and principal ids
    re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,})"),  # GitHub tokens
    re.compile(r"\bpul-[0-9a-f]{40}\b"),  # Pulumi access tokens
    re.compile(r"\bxox[abprs]-[A-Za-z0-9-]{10,}"),  # Slack tokens
    re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?"),  # JWTs
    re.compile(r"\bv1:[A-Za-z0-9+/=]{8,}:[A-Za-z0-9+/=]{8,}"),  # Pulumi ciphertexts
)
_USERINFO = re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)")
# `authorization: Bearer abc`, `"password": "abc"`, `SECRET_TOKEN=abc`.
_NAMED = re.compile(
    r"(?i)(?P<name>[\w.-]*(?:passw(?:or)?d|passphrase|secret|token|api[_-]?key|access[_-]?key|"
    r"private[_-]?key|credential|authorization|signature)[\w.-]*[\"']?\s*[:=]\s*[\"']?)"
    r"(?P<value>(?:(?:bearer|basic)\s+)?[^\s\"',;}&]{4,})",
)
# AWS secret keys are 40 base64 characters. A git commit is 40 hex digits: that one stays readable.
_FORTY = re.compile(
    r"(?<![A-Za-z0-9/+=])(?![0-9a-f]{40}(?![A-Za-z0-9/+=]))[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])"
)
_SECRET_VARIABLE = re.compile(r"(?i)passw|passphrase|secret|token|key")
_SHORTEST_VALUE = 8


def mask(text: str, environment: Mapping[str, str] | None = None) -> str:
    """Return `text` with everything that looks like a secret replaced by `[hidden]`.

    Args:
        text: Anything a tool wrote.
        environment: Variables whose values must not appear; those whose names speak of a secret
            are hidden wherever they occur. Default: this process's.
    """
    variables = os.environ if environment is None else environment
    for name, value in variables.items():
        if len(value) >= _SHORTEST_VALUE and _SECRET_VARIABLE.search(name):
            text = text.replace(value, HIDDEN)
    text = _PEM.sub(HIDDEN, text)
    for shape in _SHAPES:
        text = shape.sub(HIDDEN, text)
    text = _USERINFO.sub(HIDDEN, text)
    text = _NAMED.sub(lambda match: match["name"] + HIDDEN, text)
    return _FORTY.sub(HIDDEN, text)
