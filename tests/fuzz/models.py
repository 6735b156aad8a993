"""Five models of a few hundred bytes each that between them take every kind of input there is."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from tests.handler.tiny import Port, Step, write_model, write_table, write_three

PIXELS = (-1, 8, 8, 1)


def write_models(folder: Path) -> dict[str, dict[str, str]]:
    """Write them.

    Returns:
        The handler's environment for each, by name.
    """
    several = write_three(folder / "several", name="several")
    quantized = write_model(
        folder / "quantized",
        inputs=(Port("x", "int8", (-1, 4), (0.05, 0)),),
        outputs=(Port("y", "int8", (-1, 4), (1 / 256, -128)),),
        steps=(Step("LOGISTIC", ("x",), "y"),),
        name="quantized",
    )
    picture = write_model(
        folder / "picture",
        inputs=(Port("image", "float32", PIXELS),),
        outputs=(Port("scores", "float32", (-1, 64)),),
        steps=(Step("RESHAPE", ("image",), "scores"),),
        name="picture",
        labels=[f"pixel {number}" for number in range(64)],
        picture={"width": 8, "height": 8, "color": "gray", "range": [0.0, 1.0]},
    )
    number = write_model(
        folder / "number",
        inputs=(Port("x", "float32", (2, 1)),),
        outputs=(Port("y", "float32", (2, 1)),),
        steps=(Step("LOGISTIC", ("x",), "y"),),
        name="number",
    )
    table = write_table(folder / "table", name="table")
    spec = importlib.util.find_spec("ai_edge_litert")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    library = str(Path(spec.submodule_search_locations[0], "libLiteRt.so"))
    return {
        made.name: {"MODEL_DIR": str(made), "LITERT_LIBRARY": library}
        for made in (several, quantized, picture, number, table)
    }
