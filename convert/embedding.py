"""Embedding tables under recipes that leave activations in float.

Keras looks words up with GATHER, which LiteRT Quantizer rounds only together with activations, by
scales that need calibration. What comes out of a table is never wider than the table, though: its
own ends are the scale, no example is needed, and only the few rows looked up become floats again.
"""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from convert import signature

_GATHER = 36  # BuiltinOperator in LiteRT's schema
_BITS = 8
Ranges = dict[str, dict[str, Any]]


def add_rules(rules: Any, float_model: bytes) -> Ranges:  # noqa: ANN401  the quantizer has no types
    """Has every table that is looked up in stored as 8-bit integers, one scale for all of it.

    Args:
        rules: The quantizer's RecipeManager; later rules win over those added here.
        float_model: The file that they will be applied to.

    Returns:
        What the tables and the rows that come out of them range over, by the tensors' names.
    """
    from litert_quantizer import qtyping
    from litert_quantizer.utils import tfl_flatbuffer_utils as names

    ranges: Ranges = {}
    model = signature.parse(float_model)
    tensors = model.subgraphs[0].tensors
    for operation, values in _lookups(model):
        scope = names.get_op_scope(operation, tensors)
        rules.add_static_config(
            f"^{re.escape(scope)}$",
            qtyping.TFLOperationName.GATHER,
            activation_num_bits=_BITS,
            weight_num_bits=_BITS,
        )
        for index in (operation.inputs[0], operation.outputs[0]):
            name = names.get_tensor_name(tensors[index])
            ranges[name] = {"min": values.min(keepdims=True), "max": values.max(keepdims=True)}
    return ranges


def _lookups(model: Any) -> Iterator[tuple[Any, Any]]:  # noqa: ANN401  see add_rules
    """The operations that look up in a float table of the file, each with the table."""
    graph = model.subgraphs[0]
    for operation in graph.operators:
        if model.operatorCodes[operation.opcodeIndex].builtinCode == _GATHER:
            table = graph.tensors[operation.inputs[0]]
            if signature.is_weight(model, table):
                content = bytes(model.buffers[table.buffer].data)
                yield operation, np.frombuffer(content, "<f4").reshape(table.shape)
