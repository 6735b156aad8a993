"""One float32 .tflite and a recipe -> another .tflite, by LiteRT Quantizer."""

from typing import Any

from convert import signature
from convert.data import Examples
from convert.errors import DataError, ModelError
from convert.litert import THREADS, batch_of
from convert.recipe import Recipe
from convert.signature import FREE, Signature

_EVERY = ".*"


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

    worker = quantizer.Quantizer(float_model, _rules(recipe))
    try:
        scales = None
        if worker.need_calibration:
            scales = worker.calibrate({of.name: _calls(calibration, of)}, num_threads=THREADS)
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
    return rules.get_quantization_recipe()


def _calls(calibration: Examples | None, of: Signature) -> list[dict[str, Any]]:
    """Cuts the rows into calls: one row each, or as many as the model is fixed to."""
    if calibration is None:
        raise DataError("static quantization without calibration data")
    batch = batch_of(of)
    step = 1 if batch == FREE else batch
    if calibration.rows < step:
        raise DataError(
            f"{calibration.path}: {calibration.rows} rows: the model takes {step} at a time"
        )
    return [
        {name: array[start : start + step] for name, array in calibration.inputs.items()}
        for start in range(0, calibration.rows - step + 1, step)
    ]
