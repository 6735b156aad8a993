"""The closed set of recipes, and which of them a request tries."""

from dataclasses import dataclass
from enum import StrEnum

from convert.errors import OptionError

AUTO = "auto"


class Recipe(StrEnum):
    """How the numbers in a model are stored and multiplied; named as LiteRT Quantizer names them.

    `wi8` is 8-bit integer weights, `afp32` float32 activations, `ai8` 8-bit integer activations.
    The order is the order of trying; of two candidates of equal size the earlier one wins.

    Inputs and outputs stay float32 under every recipe.
    """

    FLOAT32 = "float32"
    """The model as trained."""
    FLOAT16 = "float16"
    """Weights stored in half the bytes, arithmetic still float32."""
    DYNAMIC_WI8_AFP32 = "dynamic_wi8_afp32"
    """Weights in a quarter of the bytes; activations are scaled to integers while it runs."""
    STATIC_WI8_AI8 = "static_wi8_ai8"
    """Integer arithmetic throughout; the scales are fixed beforehand from calibration data."""

    @property
    def needs_calibration(self) -> bool:
        """Whether example inputs are needed to fix the scales of activations."""
        return self is Recipe.STATIC_WI8_AI8


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Which recipes a request tries.

    Attributes:
        tried: Recipes to make candidates of, in order.
        not_tried: Recipes left out, each with the reason; empty when one was asked for by name.
    """

    tried: tuple[Recipe, ...]
    not_tried: tuple[tuple[Recipe, str], ...]


def plan(wanted: str, *, calibrated: bool) -> Plan:
    """Turns a recipe's name, or `auto` for all that are possible, into what is tried.

    Raises:
        OptionError: The name is unknown, or the recipe needs calibration data and there is none.
    """
    if wanted == AUTO:
        left_out = () if calibrated else tuple(r for r in Recipe if r.needs_calibration)
        reason = "needs calibration data and none was given"
        return Plan(
            tried=tuple(recipe for recipe in Recipe if recipe not in left_out),
            not_tried=tuple((recipe, reason) for recipe in left_out),
        )
    try:
        recipe = Recipe(wanted)
    except ValueError:
        known = ", ".join([AUTO, *Recipe])
        raise OptionError(f"unknown recipe {wanted!r}: expected one of {known}") from None
    if recipe.needs_calibration and not calibrated:
        raise OptionError(
            f"recipe {recipe} needs calibration data: give --calibration FILE.npz, "
            "or `calibration:` in model.yaml"
        )
    return Plan(tried=(recipe,), not_tried=())
