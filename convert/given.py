"""Reads off a .tflite file what was done to it before it came here."""

from typing import Any

from convert.recipe import AS_GIVEN, Recipe
from convert.signature import parse

_FLOAT32, _FLOAT16, _INT8, _INT16, _INT4 = 0, 1, 9, 7, 17  # TensorType in LiteRT's schema
_DEQUANTIZE = 6  # BuiltinOperator in LiteRT's schema


def recipe_of(content: bytes) -> Recipe | None:
    """Names the recipe that a file looks made by; None where its numbers are plain floats.

    It goes by the weights (constants of two dimensions or more) and by the activations of
    arithmetic. What none of the recipes writes is `as_given`.

    Raises:
        ModelError: The file is damaged.
    """
    model = parse(content)
    weights, activations = set[int](), set[int]()
    spread = touched = False
    for graph in model.subgraphs:
        touched |= any(_is_scaled(one) or one.type == _FLOAT16 for one in graph.tensors)
        fixed = {index for index, one in enumerate(graph.tensors) if _is_constant(model, one)}
        for index in fixed:
            tensor = graph.tensors[index]
            if _is_scaled(tensor) or tensor.type == _FLOAT16:
                weights.add(tensor.type)
        for operation in graph.operators or []:
            taken = [index for index in operation.inputs if index >= 0]
            code = model.operatorCodes[operation.opcodeIndex].builtinCode
            if code == _DEQUANTIZE:
                spread |= taken[0] in fixed
            elif not fixed.isdisjoint(taken):
                moving = [graph.tensors[index] for index in taken if index not in fixed]
                activations |= {one.type for one in moving if _is_scaled(one)}
    if not touched:
        return None
    looks = {
        (frozenset({_FLOAT16}), frozenset[int](), True): "float16",
        (frozenset({_INT8}), frozenset[int](), True): "weight_only_wi8_afp32",
        (frozenset({_INT8}), frozenset[int](), False): "dynamic_wi8_afp32",
        (frozenset({_INT4}), frozenset[int](), False): "dynamic_wi4_afp32",
        (frozenset({_INT4, _INT8}), frozenset[int](), False): "dynamic_wi4_afp32",
        (frozenset({_INT8}), frozenset({_INT8}), False): "static_wi8_ai8",
        (frozenset({_INT8}), frozenset({_INT16}), False): "static_wi8_ai16",
    }
    name = looks.get((frozenset(weights), frozenset(activations), spread))
    return AS_GIVEN if name is None else Recipe(name)


def _is_constant(model: Any, tensor: Any) -> bool:  # noqa: ANN401  the schema has no types
    shape = [] if tensor.shape is None else tensor.shape
    buffer = model.buffers[tensor.buffer]
    held = buffer.data is not None and len(buffer.data) > 0
    return len(shape) > 1 and (held or bool(getattr(buffer, "offset", 0)))


def _is_scaled(tensor: Any) -> bool:  # noqa: ANN401  see _is_constant
    details = tensor.quantization
    return details is not None and details.scale is not None and len(details.scale) > 0
