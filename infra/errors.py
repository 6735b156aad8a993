"""What can go wrong before AWS is asked for anything.

InfraError                 shown by Pulumi as its message alone, without a traceback
├── SettingsError          a setting is unknown, out of range, or at odds with another
├── CardError              models/<name>/model.yaml cannot be used
├── ToolError              a command this program needs is missing or failed
├── ConversionError        `python -m convert` refused the model or found no candidate
├── ContextError           the image's build context cannot be put together
└── CopyError              a promoted image could not be copied, or arrived changed
"""

import pulumi


class InfraError(pulumi.RunError):
    """A fault the user can mend; its message says how."""


class SettingsError(InfraError):
    """A setting is unknown, out of range, or at odds with another."""


class CardError(InfraError):
    """The model's card cannot be used."""


class ToolError(InfraError):
    """A command this program needs is missing or failed."""


class ConversionError(InfraError):
    """The converter refused the model, or no candidate is inside the budget."""


class ContextError(InfraError):
    """The image's build context cannot be put together."""


class CopyError(InfraError):
    """A promoted image could not be copied, or arrived changed."""
