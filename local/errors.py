"""What can go wrong on this machine.

LocalError                  one line for the user; the command exits 1
├── DockerError             no daemon, or it refused what was asked
├── EmulatorError           the emulated AWS did not start or went away
├── DeploymentError         the program or one of its resources failed
└── ExpectationError        --expect-no-changes met a change (exit 7, as Pulumi's own)
"""

from __future__ import annotations


class LocalError(Exception):
    """An error whose text is the whole message: what is wrong, what was seen, what mends it."""

    exit_code = 1


class DockerError(LocalError):
    """Docker is missing, cannot be started, or failed at what it was asked."""


class EmulatorError(LocalError):
    """The emulated AWS did not start, or stopped answering."""


class DeploymentError(LocalError):
    """The program raised, or a resource could not be created, updated or deleted."""


class ExpectationError(LocalError):
    """No change was expected and there is one; 7 is the code the Pulumi command line uses."""

    exit_code = 7
