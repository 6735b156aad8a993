"""What can go wrong, each with the exit code of `python -m convert`.

ConvertError
├── InputError            2  what the user gave is wrong
│   ├── OptionError          a flag, a recipe's name, a recipe without what it needs
│   ├── CardError            model.yaml
│   ├── ModelError           the model cannot be read, is refused, or uses what LiteRT lacks
│   │   └── LoopError            a recurrent layer, as it stands; `load` then tries another way
│   ├── DataError            calibration or evaluation data
│   ├── FetchError           what is on S3 cannot be brought here
│   ├── OutputError          the folder to write to
│   ├── ReportError          a report.json to compare
│   └── EndedError           a limit was reached, or TensorFlow crashed
└── BudgetError           3  no candidate is inside the budget

Anything else that escapes is a bug of this package and keeps its traceback.
"""


class ConvertError(Exception):
    """The base of all of them; its text is one line for the user.

    Attributes:
        exit_code: What `python -m convert` exits with.
    """

    exit_code = 2


class InputError(ConvertError):
    """What the user gave is wrong."""


class OptionError(InputError):
    """A flag's value is wrong, or flags do not fit together."""


class CardError(InputError):
    """model.yaml is wrong; the message names every fault found, not only the first."""


class ModelError(InputError):
    """The model cannot be read, is refused for safety, or needs what LiteRT does not have."""


class LoopError(ModelError):
    """A recurrent layer's loop that LiteRT lacks; there is another way to write it."""


class DataError(InputError):
    """Calibration or evaluation data cannot be read or does not fit the model."""


class FetchError(InputError):
    """An address on S3 is wrong, or S3 does not hand out what is there."""


class OutputError(InputError):
    """The output folder cannot be written."""


class ReportError(InputError):
    """A report.json cannot be read, or is another version's."""


class EndedError(InputError):
    """The conversion's own process reached a limit or crashed."""


class BudgetError(ConvertError):
    """No candidate is inside the budget.

    Attributes:
        table: The Markdown table of all candidates, for the user to judge.
    """

    exit_code = 3

    def __init__(self, message: str, table: str) -> None:
        super().__init__(message)
        self.table = table


def first_line(text: str) -> str:
    """Returns the first line of a library's message that says anything."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "no reason given")


def first_sentence(error: Exception) -> str:
    """Names a library's error with the first line of what it says."""
    return f"{type(error).__name__}: {first_line(str(error))}"
