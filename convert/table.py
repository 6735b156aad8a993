"""A CSV file of numbers -> arrays: one row a line, the columns in their order.

With or without a header. A column called `y` holds the targets. Where columns are called
`NAME:0, NAME:1, ...` they are the numbers of the input NAME; all others together are the features
of the model's one input.
"""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from convert.errors import DataError

FEATURES = "x"
TARGETS = "y"


def read(path: Path) -> dict[str, npt.NDArray[np.float64]]:
    """Reads a table.

    Returns:
        Arrays of shape [lines, columns] by input; the targets of shape [lines].

    Raises:
        DataError: It is not there, not text, has no line of numbers, or a line that does not fit.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = [(number, line) for number, line in enumerate(csv.reader(file), 1) if line]
    except FileNotFoundError as error:
        raise DataError(f"{path}: not found: expected a .csv file") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: not a .csv file: {error}") from error
    header = None
    if lines and not any(map(_is_number, lines[0][1])):
        header = [name.strip() for name in lines.pop(0)[1]]
    if not lines:
        raise DataError(f"{path}: no line of numbers in it")
    width = len(header or lines[0][1])
    table = np.array([_numbers(path, number, line, width) for number, line in lines])
    if header is None:
        return {FEATURES: table}
    if len(set(header)) < len(header):
        raise DataError(f"{path}: two columns of one name in the header: {', '.join(header)}")
    arrays = {
        name: table[:, [header.index(column) for column in columns]]
        for name, columns in _grouped(header).items()
    }
    return arrays if TARGETS not in header else {**arrays, TARGETS: table[:, header.index(TARGETS)]}


def _grouped(header: Sequence[str]) -> dict[str, list[str]]:
    inputs = [column for column in header if column != TARGETS]
    groups: dict[str, list[str]] = {}
    for column in inputs:
        name, _, place = column.rpartition(":")
        groups.setdefault(name if place.isdigit() and name else FEATURES, []).append(column)
    return groups


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _numbers(path: Path, number: int, line: Sequence[str], width: int) -> list[float]:
    if len(line) != width:
        raise DataError(f"{path}: line {number} has {len(line)} columns: expected {width}")
    wrong = next((text for text in line if not _is_number(text)), None)
    if wrong is not None:
        raise DataError(f"{path}: line {number} holds {wrong!r:.60}: expected numbers only")
    return [float(text) for text in line]
