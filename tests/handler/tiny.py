"""Real .tflite files of one or two operations, written by hand: no converter, no TensorFlow."""

import hashlib
import json
import struct
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

with warnings.catch_warnings():
    # flatbuffers still imports the deprecated `imp` where numpy is looked for.
    warnings.simplefilter("ignore", DeprecationWarning)
    import flatbuffers  # type: ignore[import-untyped]
    from ai_edge_litert import schema_py_generated as schema

# numpy's name -> the schema's; those that the handler refuses as well.
TYPES = {
    name: getattr(schema.TensorType, name.upper())
    for name in (
        *("float16", "float32", "float64", "bool", "string", "complex64"),
        *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    )
}


@dataclass(frozen=True)
class Port:
    """A tensor of a tiny model: -1 for a free dimension."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    quantization: tuple[float, int] | None = None
    values: bytes | None = None  # of one that is in the file


@dataclass(frozen=True)
class Step:
    """One operation, on tensors by name."""

    operator: str
    inputs: tuple[str, ...]
    output: str


@dataclass(frozen=True)
class Graph:
    """One signature."""

    name: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    steps: tuple[Step, ...]
    constants: tuple[Port, ...] = ()

    def describe(self) -> dict[str, Any]:
        """Its entry in model.json."""
        return {
            "name": self.name,
            "inputs": [_entry(port) for port in self.inputs],
            "outputs": [_entry(port) for port in self.outputs],
        }


def write_model(
    folder: Path,
    inputs: tuple[Port, ...],
    outputs: tuple[Port, ...],
    steps: tuple[Step, ...],
    others: tuple[Graph, ...] = (),
    constants: tuple[Port, ...] = (),
    **extra: Any,
) -> Path:
    """Write model.tflite and model.json into a folder, and give the folder back."""
    folder.mkdir(parents=True, exist_ok=True)
    graph = Graph("serving_default", inputs, outputs, steps, constants)
    data = _flatbuffer((graph, *others))
    (folder / "model.tflite").write_bytes(data)
    document = {
        "schema": 1,
        "name": "tiny",
        "sha256": hashlib.sha256(data).hexdigest(),
        "recipe": "float32",
        "signature": graph.describe(),
        "other_signatures": [other.describe() for other in others],
        "labels": None,
        "picture": None,
        "provenance": {},
        **extra,
    }
    (folder / "model.json").write_text(json.dumps(document), encoding="utf-8")
    return folder


def write_three(folder: Path, **extra: Any) -> Path:
    """Three inputs, three outputs, every dimension free: log(a), a + b and ids + ids."""
    grid, row = (-1, -1), (-1,)
    return write_model(
        folder,
        inputs=(Port("a", "float32", grid), Port("b", "float32", grid), Port("ids", "int32", row)),
        outputs=(
            Port("log", "float32", grid),
            Port("sum", "float32", grid),
            Port("twice", "int32", row),
        ),
        steps=(
            Step("LOG", ("a",), "log"),
            Step("ADD", ("a", "b"), "sum"),
            Step("ADD", ("ids", "ids"), "twice"),
        ),
        **extra,
    )


def write_table(folder: Path, **extra: Any) -> Path:
    """Looks numbers of rows up in a table of four: 0, 1 and 2, 3 and 4, 5 and 6, 7."""
    return write_model(
        folder,
        inputs=(Port("ids", "int32", (-1,)),),
        outputs=(Port("rows", "float32", (-1, 2)),),
        steps=(Step("EMBEDDING_LOOKUP", ("ids", "table"), "rows"),),
        constants=(Port("table", "float32", (4, 2), values=struct.pack("<8f", *range(8))),),
        **extra,
    )


def _entry(port: Port) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": port.name, "dtype": port.dtype, "shape": list(port.shape)}
    if port.quantization is not None:
        scale, zero_point = port.quantization
        entry["quantization"] = {"scale": scale, "zero_point": zero_point}
    return entry


def _flatbuffer(graphs: tuple[Graph, ...]) -> bytes:
    model = schema.ModelT()
    model.version = 3
    model.buffers = [schema.BufferT()]
    model.operatorCodes = []
    model.subgraphs = [_subgraph(graph, model) for graph in graphs]
    model.signatureDefs = [_signature(graph, number) for number, graph in enumerate(graphs)]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _subgraph(graph: Graph, model: Any) -> Any:
    ports = _ports(graph)
    index = _index(graph)
    made = schema.SubGraphT()
    made.name = graph.name
    made.tensors = [_tensor(port, model) for port in ports]
    made.inputs = [index[port.name] for port in graph.inputs]
    made.outputs = [index[port.name] for port in graph.outputs]
    made.operators = []
    for step in graph.steps:
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, step.operator)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        quantized = any("int8" in port.dtype for port in ports)
        code.version = 2 if quantized and step.operator != "RESHAPE" else 1
        operator = schema.OperatorT()
        operator.opcodeIndex = len(model.operatorCodes)
        operator.inputs = [index[name] for name in step.inputs]
        operator.outputs = [index[step.output]]
        if step.operator == "ADD":
            operator.builtinOptionsType = schema.BuiltinOptions.AddOptions
            operator.builtinOptions = schema.AddOptionsT()
        if step.operator == "RESHAPE":
            operator.builtinOptionsType = schema.BuiltinOptions.ReshapeOptions
            operator.builtinOptions = schema.ReshapeOptionsT()
            shape = next(port.shape for port in ports if port.name == step.output)
            operator.builtinOptions.newShape = list(shape)
        model.operatorCodes.append(code)
        made.operators.append(operator)
    return made


def _signature(graph: Graph, number: int) -> Any:
    index = _index(graph)
    signature = schema.SignatureDefT()
    signature.signatureKey = graph.name
    signature.subgraphIndex = number
    signature.inputs = [_map(port.name, index) for port in graph.inputs]
    signature.outputs = [_map(port.name, index) for port in graph.outputs]
    return signature


def _index(graph: Graph) -> dict[str, int]:
    return {port.name: number for number, port in enumerate(_ports(graph))}


def _ports(graph: Graph) -> tuple[Port, ...]:
    return (*graph.inputs, *graph.outputs, *graph.constants)


def _tensor(port: Port, model: Any) -> Any:
    tensor = schema.TensorT()
    if port.values is not None:
        buffer = schema.BufferT()
        buffer.data = list(port.values)
        tensor.buffer = len(model.buffers)
        model.buffers.append(buffer)
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
