"""One float32 .tflite and a recipe -> another .tflite, by LiteRT Quantizer."""

from typing import Any

import numpy as np

from convert import signature
from convert.data import Examples
from convert.errors import DataError, ModelError
from convert.litert import THREADS, batch_of
from convert.recipe import Recipe
from convert.signature import FREE, Signature

_EVERY = ".*"
_CHUNK = 32


def quantize(
    float_model: bytes, of: Signature, recipe: Recipe, calibration: Examples | None
) -> bytes:
    """Applies a recipe. Inputs and outputs keep their names, shapes and float32.

    The quantizer's own `static_wi8_ai8` would take and give int8; here a QUANTIZE and a DEQUANTIZE
    inside the file do that, 300 bytes more, so that no client and no handler needs to know.

    Args:
        float_model: What `load` gives.
        of: Its signature.
        recipe: Which one.
        calibration: Rows that fit the signature; needed by static recipes only.

    Returns:
        The new file; the same arguments always give the same bytes.

    Raises:
        ModelError: The quantizer cannot handle some operation.
    """
    if recipe is Recipe.FLOAT32:
        return float_model
    from litert_quantizer import quantizer

    if calibration is not None and any(FREE in spec.shape[1:] for spec in of.inputs):
        rows = {name: array.shape[1:] for name, array in calibration.inputs.items()}
        float_model = signature.with_row_shapes(float_model, rows)
    rules = _rules(recipe)
    worker = quantizer.Quantizer(float_model, rules.get_quantization_recipe())
    try:
        scales = None
        if recipe.needs_calibration:
            scales = _scales(float_model, rules, of.name, _calls(calibration, of))
        made = worker.quantize(scales, enable_progress_bar=False, enable_progress_report=False)
    except (ValueError, RuntimeError, KeyError, NotImplementedError) as error:
        raise ModelError(f"recipe {recipe} does not work on this model: {error}") from error
    return signature.with_free_dimensions(bytes(made.quantized_model), of)


def _rules(recipe: Recipe) -> Any:  # noqa: ANN401  the quantizer publishes no types
    from litert_quantizer import algorithm_manager, qtyping, recipe_manager

    rules = recipe_manager.RecipeManager()
    every = qtyping.TFLOperationName.ALL_SUPPORTED
    if recipe is Recipe.FLOAT16:
        half = qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT)
        rules.add_quantization_config(
            _EVERY,
            every,
            qtyping.OpQuantizationConfig(
                weight_tensor_config=half, compute_precision=qtyping.ComputePrecision.FLOAT
            ),
            algorithm_manager.AlgorithmName.FLOAT_CASTING,
        )
    elif recipe is Recipe.DYNAMIC_WI8_AFP32:
        rules.add_dynamic_config(_EVERY, every, num_bits=8)
    else:
        rules.add_static_config(_EVERY, every, activation_num_bits=8, weight_num_bits=8)
        for edge in (qtyping.TFLOperationName.INPUT, qtyping.TFLOperationName.OUTPUT):
            rules.add_quantization_config(
                _EVERY, edge, algorithm_key=algorithm_manager.AlgorithmName.NO_QUANTIZE
            )
    return rules


def _scales(
    float_model: bytes,
    rules: Any,  # noqa: ANN401  see _rules
    signature_name: str,
    calls: list[dict[str, Any]],
) -> Any:  # noqa: ANN401  see _rules
    """Watches every tensor while the calls run, and keeps the widest range that each one reached.

    The quantizer's own way, a moving average over the calls, cuts off what only some rows reach.
    """
    from litert_quantizer import calibrator

    watcher = calibrator.Calibrator(float_model, num_threads=THREADS, qsv_update_func=_widest)
    watcher.calibrate({signature_name: calls}, rules)
    return watcher.get_model_qsvs()


def _widest(known: dict[str, Any], seen: dict[str, Any]) -> dict[str, Any]:
    if not known:
        return seen
    return {
        "min": np.minimum(known["min"], seen["min"]),
        "max": np.maximum(known["max"], seen["max"]),
    }


def _calls(calibration: Examples | None, of: Signature) -> list[dict[str, Any]]:
    """Cuts the rows into calls, of as many rows as the model is fixed to."""
    if calibration is None:
        raise DataError("static quantization without calibration data")
    batch = batch_of(of)
    step = min(_CHUNK, calibration.rows) if batch == FREE else batch
    if calibration.rows < step:
        raise DataError(
            f"{calibration.path}: {calibration.rows} rows: the model takes {step} at a time"
        )
    return [
        {name: array[start : start + step] for name, array in calibration.inputs.items()}
        # A fixed batch leaves the last incomplete call out; ranges need no row in particular.
        for start in range(0, calibration.rows - (batch - 1 if batch != FREE else 0), step)
    ]
