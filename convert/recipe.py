"""The closed set of recipes, and which of them a request tries."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from convert.errors import OptionError

AUTO = "auto"
MOST_PRUNED = 95
_NAME = re.compile(r"(?P<scheme>[a-z0-9_]+)(?P<mixed>\+mixed)?(?:\+prune(?P<share>[1-9]\d?))?")


class Scheme(StrEnum):
    """How the numbers in a model are stored and multiplied; named as LiteRT Quantizer names them.

    `wi8` is 8-bit integer weights, `afp32` float32 activations, `ai8` 8-bit integer activations.
    The order is the order of trying; of two candidates of equal size the earlier one wins.

    Inputs and outputs stay float32 under every scheme.
    """

    FLOAT32 = "float32"
    """The model as trained."""
    FLOAT16 = "float16"
    """Weights stored in half the bytes, arithmetic still float32."""
    DYNAMIC_WI8_AFP32 = "dynamic_wi8_afp32"
    """Weights in a quarter of the bytes; activations are scaled to integers while it runs."""
    WEIGHT_ONLY_WI8_AFP32 = "weight_only_wi8_afp32"
    """Weights in a quarter of the bytes, made floats again before they are used."""
    STATIC_WI8_AI8 = "static_wi8_ai8"
    """Integer arithmetic throughout; the scales are fixed beforehand from calibration data."""
    STATIC_WI8_AI16 = "static_wi8_ai16"
    """The same with 16 bits for activations: slower, and 256 times finer."""
    DYNAMIC_WI4_AFP32 = "dynamic_wi4_afp32"
    """Weights in an eighth of the bytes where LiteRT has 4-bit arithmetic, else as with 8 bits."""

    @property
    def is_integer(self) -> bool:
        """Whether any numbers are rounded to integers."""
        return self not in (Scheme.FLOAT32, Scheme.FLOAT16)

    @property
    def is_static(self) -> bool:
        """Whether example inputs are needed to fix the scales of activations."""
        return self in (Scheme.STATIC_WI8_AI8, Scheme.STATIC_WI8_AI16)


class Recipe(str):
    """A scheme, and what is done besides: `dynamic_wi8_afp32+mixed+prune50`. It is its own name.

    Args:
        name: `SCHEME`, then `+mixed` or not, then `+pruneNN` or not.

    Attributes:
        scheme: How numbers are stored.
        mixed: Whether the first and the last layer with weights stay float.
        pruned: Per cent of the weights that are made zero, 0 to 95.

    Raises:
        OptionError: There is no such recipe, or the parts exclude each other.
    """

    __slots__ = ("mixed", "pruned", "scheme")
    scheme: Scheme
    mixed: bool
    pruned: int

    def __new__(cls, name: str) -> Self:
        """Checks the name; there is no recipe that cannot be carried out."""
        found = _NAME.fullmatch(name)
        if found is None or found["scheme"] not in list(Scheme):
            raise OptionError(
                f"unknown recipe {name!r}: expected one of {', '.join([AUTO, *Scheme])}, "
                f"where wanted with +mixed, then +pruneNN (NN from 1 to {MOST_PRUNED})"
            )
        made = super().__new__(cls, name)
        made.scheme = Scheme(found["scheme"])
        made.mixed = found["mixed"] is not None
        made.pruned = int(found["share"] or 0)
        if made.mixed and not made.scheme.is_integer:
            raise OptionError(
                f"recipe {name!r}: +mixed keeps layers out of integer arithmetic, and "
                f"{made.scheme} has none: leave it out"
            )
        if made.pruned > MOST_PRUNED:
            raise OptionError(
                f"recipe {name!r}: expected +prune1 to +prune{MOST_PRUNED}: "
                "hardly any model answers anything with fewer weights left"
            )
        return made

    @property
    def needs_calibration(self) -> bool:
        """Whether example inputs are needed."""
        return self.scheme.is_static


def _as_given() -> Recipe:
    made = str.__new__(Recipe, "as_given")
    made.scheme, made.mixed, made.pruned = Scheme.FLOAT32, False, 0
    return made


AS_GIVEN = _as_given()
"""What a .tflite file is under that was quantized before, in a way that no scheme names. Nobody can
ask for it: its scheme says what is left to do, which is nothing."""

_PLAIN = tuple(Recipe(scheme) for scheme in Scheme)
_PRUNED = (Recipe("dynamic_wi8_afp32+prune50"), Recipe("dynamic_wi8_afp32+prune75"))
_NO_CALIBRATION = "needs calibration data and none was given"
_NOT_KERAS = "only the weights of a Keras model can be pruned"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Which recipes a request tries.

    Attributes:
        tried: Recipes to make candidates of, in order.
        not_tried: Recipes left out, each with the reason; empty when one was asked for by name.
    """

    tried: tuple[Recipe, ...]
    not_tried: tuple[tuple[Recipe, str], ...]


def plan(wanted: str, *, calibrated: bool, trained: bool, prunable: bool) -> Plan:
    """Turns a recipe's name, or `auto` for all that are possible, into what is tried.

    Args:
        wanted: The name.
        calibrated: Whether there is calibration data.
        trained: Whether there is training data; pruning without it loses too much to be tried
            unasked.
        prunable: Whether the model is a Keras file, whose weights can still be changed.

    Raises:
        OptionError: The name is unknown, or the recipe needs what is not there.
    """
    if wanted == AUTO:
        left_out = [
            (one, _NO_CALIBRATION) for one in _PLAIN if one.needs_calibration and not calibrated
        ]
        left_out += [(one, _NOT_KERAS) for one in _PRUNED if trained and not prunable]
        everything = [*_PLAIN, *(_PRUNED if trained else ())]
        names = [one for one, _ in left_out]
        return Plan(
            tried=tuple(one for one in everything if one not in names), not_tried=tuple(left_out)
        )
    recipe = Recipe(wanted)
    if recipe.needs_calibration and not calibrated:
        raise OptionError(
            f"recipe {recipe} needs calibration data: give --calibration, a .npz or .csv file or a "
            "folder of pictures, or `calibration:` in model.yaml"
        )
    if recipe.pruned and not prunable:
        raise OptionError(
            f"recipe {recipe}: {_NOT_KERAS}; give the .keras or .h5 file that it was made from, or "
            "leave +prune out"
        )
    return Plan(tried=(recipe,), not_tried=())


def rescue(recipe: Recipe) -> Recipe | None:
    """Names what `auto` tries next when a recipe costs more of the metric than the budget allows.

    Integers hurt most where the input comes in and where the answer goes out. A pruned recipe
    has no rescue: its unpruned one is tried anyway.

    Returns:
        The recipe with `+mixed`; None where that is no recipe, or this one already.
    """
    if recipe.mixed or recipe.pruned or not recipe.scheme.is_integer:
        return None
    return Recipe(f"{recipe.scheme}+mixed")
