"""One float32 .tflite and a recipe -> another .tflite, by LiteRT Quantizer."""

import re
from typing import Any

import numpy as np

from convert import embedding, litert, signature
from convert.data import Examples
from convert.embedding import Ranges
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
_BRANCHING = (118, 119)  # IF and WHILE of BuiltinOperator in LiteRT's schema
_LOOPS = (
    "activations inside loops (recurrent layers) cannot be watched: take a dynamic_ or "
    "weight_only_ recipe, or build the layer with unroll=True"
)
_CHUNK = 32
_WATCHED_BYTES = 256 * 2**20
_NARROWEST = 1e-4


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
    rules, ranges = _rules(recipe, float_model)
    worker = quantizer.Quantizer(float_model, rules.get_quantization_recipe())
    try:
        if recipe.needs_calibration:
            calls = _calls(calibration, of, _rows_at_once(float_model, of, calibration))
            ranges = _ranges(float_model, rules, of.name, calls)
            if recipe.scheme is Scheme.STATIC_WI8_AI16:
                ranges = {name: _widened(one) for name, one in ranges.items()}
        made = worker.quantize(ranges, enable_progress_bar=False, enable_progress_report=False)
    except (ValueError, RuntimeError, KeyError, NotImplementedError) as error:
        why = _LOOPS if recipe.needs_calibration and _has_loops(float_model) else error
        raise ModelError(f"recipe {recipe} does not work on this model: {why}") from error
    return signature.with_free_dimensions(bytes(made.quantized_model), float_model)


def _rules(recipe: Recipe, float_model: bytes) -> tuple[Any, Ranges]:
    """Says what is done to which operation, and what ranges are known without any example."""
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
    ranges: Ranges = {}
    if scheme.is_integer and not scheme.is_static:
        ranges = embedding.add_rules(rules, float_model)
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
    return rules, ranges


def _has_loops(float_model: bytes) -> bool:
    model = signature.parse(float_model)
    return any(code.builtinCode in _BRANCHING for code in model.operatorCodes)


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
        and any(
            signature.is_weight(model, graph.tensors[index])
            for index in operation.inputs
            if index >= 0
        )
    ]
    if len(weighted) <= len(_ENDS):
        raise ModelError(
            f"+mixed keeps the first and the last layer with weights in float, and the model has "
            f"{len(weighted)} such layers in all: take the recipe without it"
        )
    scopes = [names.get_op_scope(weighted[end], graph.tensors) for end in _ENDS]
    return [f"^{re.escape(scope)}$" for scope in scopes]


def _ranges(
    float_model: bytes,
    rules: Any,  # noqa: ANN401  see _rules
    signature_name: str,
    calls: list[dict[str, Any]],
) -> Ranges:
    """Watches every tensor while the calls run, and keeps the widest range that each one reached.

    The quantizer's own way, a moving average over the calls, cuts off what only some rows reach.
    """
    from litert_quantizer import calibrator

    watcher = calibrator.Calibrator(float_model, num_threads=THREADS, qsv_update_func=_widest)
    watcher.calibrate({signature_name: calls}, rules)
    found: Ranges = watcher.get_model_qsvs()
    return found


def _widest(known: dict[str, Any], seen: dict[str, Any]) -> dict[str, Any]:
    if not known:
        return seen
    return {
        "min": np.minimum(known["min"], seen["min"]),
        "max": np.maximum(known["max"], seen["max"]),
    }


def _widened(seen: dict[str, Any]) -> dict[str, Any]:
    """Keeps 6, where RELU6 ends, countable in steps of a range: LiteRT does, in 32 bits.

    Sixteen bits of a range below this, as of a layer that is nearly dead, are finer than that.
    """
    return seen | {
        "min": np.minimum(seen["min"], -_NARROWEST),
        "max": np.maximum(seen["max"], _NARROWEST),
    }


def _calls(calibration: Examples | None, of: Signature, step: int) -> list[dict[str, Any]]:
    """Cuts the rows into calls of so many."""
    if calibration is None:
        raise DataError("static quantization without calibration data")
    if calibration.rows < step:
        raise DataError(
            f"{calibration.path}: {calibration.rows} rows: the model takes {step} at a time"
        )
    return [
        {name: array[start : start + step] for name, array in calibration.inputs.items()}
        # A fixed batch leaves the last incomplete call out; ranges need no row in particular.
        for start in range(0, calibration.rows - (0 if batch_of(of) == FREE else step - 1), step)
    ]


def _rows_at_once(float_model: bytes, of: Signature, calibration: Examples | None) -> int:
    """How many rows a call may have: while it is watched it holds every tensor there is."""
    batch = batch_of(of)
    if batch != FREE or calibration is None:
        return batch
    one = {name: array[:1].shape for name, array in calibration.inputs.items()}
    fit = _WATCHED_BYTES // max(1, litert.bytes_of_all_tensors(float_model, of, one))
    return max(1, min(_CHUNK, calibration.rows, fit))
