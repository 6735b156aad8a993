"""What can go wrong while releasing.

ReleaseError                  any failure this package explains in one line
├── InputError                an argument, file or environment variable is missing or malformed
├── EngineError               Pulumi (or the embedded engine) failed; its output went to stderr
├── GateError                 a promotion is refused
├── SmokeError                the deployed API did not answer as it must
├── DriftError                the cloud differs from the state
└── GitHubError               GitHub's API refused a request
"""


class ReleaseError(Exception):
    """Any failure this package explains in one line."""


class InputError(ReleaseError):
    """An argument, file or environment variable is missing or malformed."""


class EngineError(ReleaseError):
    """Pulumi (or the embedded engine) failed.

    Attributes:
        code: The engine's exit code.
        output: What it wrote, for callers that show it. It may hold values: mask before printing.
    """

    def __init__(self, message: str, *, code: int, output: str) -> None:
        super().__init__(message)
        self.code = code
        self.output = output


class GateError(ReleaseError):
    """A promotion is refused."""


class SmokeError(ReleaseError):
    """The deployed API did not answer as it must."""


class DriftError(ReleaseError):
    """The cloud differs from the state."""


class GitHubError(ReleaseError):
    """GitHub's API refused a request."""
