"""One float32 .tflite and a recipe -> another .tflite, by LiteRT Quantizer."""

import re
from typing import Any

import numpy as np

from convert import signature
from convert.data import Examples
from convert.errors import DataError, ModelError
from convert.litert import THREADS, batch_of
from convert.recipe import Recipe, Scheme
from convert.signature import FREE, Signature

_EVERY = ".*"
_EVERY_AGAIN = ""
_ENDS = (0, -1)
_WEIGHTED = (
    *("FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D_TRANSPOSE"),
    *("BATCH_MATMUL", "EMBEDDING_LOOKUP", "GATHER"),
)
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
    if recipe.scheme is Scheme.FLOAT32:
        return float_model
    from litert_quantizer import quantizer

    if calibration is not None and any(FREE in spec.shape[1:] for spec in of.inputs):
        rows = {name: array.shape[1:] for name, array in calibration.inputs.items()}
        float_model = signature.with_row_shapes(float_model, of, rows)
    rules = _rules(recipe, float_model)
    worker = quantizer.Quantizer(float_model, rules.get_quantization_recipe())
    try:
        scales = None
        if recipe.needs_calibration:
            scales = _scales(float_model, rules, of.name, _calls(calibration, of))
        made = worker.quantize(scales, enable_progress_bar=False, enable_progress_report=False)
    except (ValueError, RuntimeError, KeyError, NotImplementedError) as error:
        raise ModelError(f"recipe {recipe} does not work on this model: {error}") from error
    return signature.with_free_dimensions(bytes(made.quantized_model), float_model)


def _rules(recipe: Recipe, float_model: bytes) -> Any:  # noqa: ANN401  the quantizer has no types
    from litert_quantizer import algorithm_manager, qtyping, recipe_manager

    rules = recipe_manager.RecipeManager()
    every, scheme = qtyping.TFLOperationName.ALL_SUPPORTED, recipe.scheme
    if scheme is Scheme.FLOAT16:
        half = qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT)
        rules.add_quantization_config(
            _EVERY,
            every,
            qtyping.OpQuantizationConfig(
                weight_tensor_config=half, compute_precision=qtyping.ComputePrecision.FLOAT
            ),
            algorithm_manager.AlgorithmName.FLOAT_CASTING,
        )
    elif scheme is Scheme.WEIGHT_ONLY_WI8_AFP32:
        rules.add_weight_only_config(_EVERY, every, num_bits=8)
    elif scheme.is_static:
        bits = 16 if scheme is Scheme.STATIC_WI8_AI16 else 8
        rules.add_static_config(_EVERY, every, activation_num_bits=bits, weight_num_bits=8)
    else:
        rules.add_dynamic_config(_EVERY, every, num_bits=8)
    if scheme is Scheme.DYNAMIC_WI4_AFP32:
        # Of two rules that fit an operation the later one counts, unless it is of a kind that the
        # operation does not have. The same pattern twice would replace the first.
        rules.add_dynamic_config(_EVERY_AGAIN, every, num_bits=4)
    kept = []
    if scheme.is_static:
        kept += [
            (_EVERY, edge)
            for edge in (qtyping.TFLOperationName.INPUT, qtyping.TFLOperationName.OUTPUT)
        ]
    if recipe.mixed:
        kept += [(scope, every) for scope in _outermost(float_model)]
    for pattern, operation in kept:
        rules.add_quantization_config(
            pattern, operation, algorithm_key=algorithm_manager.AlgorithmName.NO_QUANTIZE
        )
    return rules


def _outermost(float_model: bytes) -> list[str]:
    """Patterns for the first and the last operation with weights, in the order of running.

    Raises:
        ModelError: There is no third, so nothing would be quantized.
    """
    from litert_quantizer.utils import tfl_flatbuffer_utils as names

    model = signature.parse(float_model)
    graph = model.subgraphs[0]
    weighted = [
        operation
        for operation in graph.operators
        if names.TFL_OP_CODE_TO_NAME.get(model.operatorCodes[operation.opcodeIndex].builtinCode)
        in _WEIGHTED
        and any(_is_weight(model, graph.tensors[index]) for index in operation.inputs if index >= 0)
    ]
    if len(weighted) <= len(_ENDS):
        raise ModelError(
            f"+mixed keeps the first and the last layer with weights in float, and the model has "
            f"{len(weighted)} such layers in all: take the recipe without it"
        )
    scopes = [names.get_op_scope(weighted[end], graph.tensors) for end in _ENDS]
    return [f"^{re.escape(scope)}$" for scope in scopes]


def _is_weight(model: Any, tensor: Any) -> bool:  # noqa: ANN401  see _rules
    """Whether it is a matrix that the file itself holds; a bias has one dimension."""
    content = model.buffers[tensor.buffer].data
    return tensor.type == 0 and len(tensor.shape) > 1 and content is not None and len(content) > 0


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
