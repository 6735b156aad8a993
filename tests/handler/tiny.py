"""Real .tflite files of one or two operations, written by hand: no converter, no TensorFlow."""

import hashlib
import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

with warnings.catch_warnings():
    # flatbuffers still imports the deprecated `imp` where numpy is looked for.
    warnings.simplefilter("ignore", DeprecationWarning)
    import flatbuffers  # type: ignore[import-untyped]
    from ai_edge_litert import schema_py_generated as schema

TYPES = {
    "float32": schema.TensorType.FLOAT32,
    "int32": schema.TensorType.INT32,
    "int8": schema.TensorType.INT8,
    "bool": schema.TensorType.BOOL,
}


@dataclass(frozen=True)
class Port:
    """A tensor of a tiny model: -1 for a free dimension."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    quantization: tuple[float, int] | None = None


@dataclass(frozen=True)
class Step:
    """One operation, on tensors by name."""

    operator: str
    inputs: tuple[str, ...]
    output: str


def write_model(
    folder: Path,
    inputs: tuple[Port, ...],
    outputs: tuple[Port, ...],
    steps: tuple[Step, ...],
    **extra: Any,
) -> Path:
    """Write model.tflite and model.json into a folder, and give the folder back."""
    folder.mkdir(parents=True, exist_ok=True)
    data = _flatbuffer(inputs, outputs, steps)
    (folder / "model.tflite").write_bytes(data)
    document = {
        "schema": 1,
        "name": "tiny",
        "sha256": hashlib.sha256(data).hexdigest(),
        "recipe": "float32",
        "signature": {
            "name": "serving_default",
            "inputs": [_entry(port) for port in inputs],
            "outputs": [_entry(port) for port in outputs],
        },
        "labels": None,
        "picture": None,
        "provenance": {},
        **extra,
    }
    (folder / "model.json").write_text(json.dumps(document), encoding="utf-8")
    return folder


def _entry(port: Port) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": port.name, "dtype": port.dtype, "shape": list(port.shape)}
    if port.quantization is not None:
        scale, zero_point = port.quantization
        entry["quantization"] = {"scale": scale, "zero_point": zero_point}
    return entry


def _flatbuffer(
    inputs: tuple[Port, ...], outputs: tuple[Port, ...], steps: tuple[Step, ...]
) -> bytes:
    ports = (*inputs, *outputs)
    index = {port.name: number for number, port in enumerate(ports)}
    model = schema.ModelT()
    model.version = 3
    model.buffers = [schema.BufferT()]
    graph = schema.SubGraphT()
    graph.tensors = [_tensor(port) for port in ports]
    graph.inputs = [index[port.name] for port in inputs]
    graph.outputs = [index[port.name] for port in outputs]
    graph.operators = []
    model.operatorCodes = []
    for number, step in enumerate(steps):
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, step.operator)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        code.version = 2 if any("int8" in port.dtype for port in ports) else 1
        model.operatorCodes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex = number
        operator.inputs = [index[name] for name in step.inputs]
        operator.outputs = [index[step.output]]
        if step.operator == "ADD":
            operator.builtinOptionsType = schema.BuiltinOptions.AddOptions
            operator.builtinOptions = schema.AddOptionsT()
        graph.operators.append(operator)
    model.subgraphs = [graph]
    signature = schema.SignatureDefT()
    signature.signatureKey = "serving_default"
    signature.inputs = [_map(port.name, index) for port in inputs]
    signature.outputs = [_map(port.name, index) for port in outputs]
    model.signatureDefs = [signature]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _tensor(port: Port) -> Any:
    tensor = schema.TensorT()
    tensor.name = port.name
    tensor.type = TYPES[port.dtype]
    tensor.shape = [max(size, 1) for size in port.shape]
    tensor.shapeSignature = list(port.shape)
    tensor.hasRank = True
    if port.quantization is not None:
        scheme = schema.QuantizationParametersT()
        scheme.scale = [port.quantization[0]]
        scheme.zeroPoint = [port.quantization[1]]
        tensor.quantization = scheme
    return tensor


def _map(name: str, index: dict[str, int]) -> Any:
    entry = schema.TensorMapT()
    entry.name = name
    entry.tensorIndex = index[name]
    return entry
