"""A model's main subgraph as frozen data: what partitioning, inspection and reports look at."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

from coralforge.tflite import schema
from coralforge.tflite.flatbuffer import Malformed

Scalar = int | float | bool
CUSTOM = "CUSTOM"
BYTES = {"INT8": 1, "UINT8": 1, "BOOL": 1, "INT16": 2, "UINT16": 2, "FLOAT16": 2, "BFLOAT16": 2}
BYTES |= {"INT32": 4, "UINT32": 4, "FLOAT32": 4, "INT64": 8, "UINT64": 8, "FLOAT64": 8}
BYTES |= {"COMPLEX64": 8, "COMPLEX128": 16}
_LARGEST = 1 << 31  # bytes of one tensor
_DIMENSIONS = 32  # four times what TensorFlow Lite's kernels take
_NAME = 1000  # characters; the converter joins the names of all that it fuses
_FEW = 1000  # values of axes, sizes and paddings


@dataclass(frozen=True)
class Tensor:
    """One tensor. One scale per tensor or channel.

    ``shape`` is what every runtime and compiler begins with: -1 where even that leaves a size open. Converters write
    1 for a batch that may be any, and -1 into a second list, ``shape_signature``, which matters only to who resizes
    the model: so it is not looked at here.
    """

    index: int
    name: str
    kind: str
    shape: tuple[int, ...]
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    variable: bool
    data: bytes | None = field(repr=False, compare=False)
    """The bytes of a constant, None otherwise."""

    @property
    def constant(self) -> bool:
        return self.data is not None

    @property
    def quantized(self) -> bool:
        """An 8-bit tensor with a scale."""
        return self.kind in ("INT8", "UINT8") and bool(self.scales)

    @property
    def floating(self) -> bool:
        return "FLOAT" in self.kind

    @property
    def static(self) -> bool:
        return min(self.shape, default=0) >= 0

    @property
    def size(self) -> int:
        """Bytes of its values, where all sizes are known; a value of a type that is not known has 4."""
        return math.prod(self.shape) * BYTES.get(self.kind, 4)

    def integers(self) -> tuple[int, ...] | None:
        """The values of a small INT32 or INT64 constant (axes, sizes, paddings); None for anything else."""
        letter = {"INT32": "i", "INT64": "q"}.get(self.kind)
        if self.data is None or letter is None or len(self.data) > _FEW * BYTES[self.kind]:
            return None
        return struct.unpack_from(f"<{len(self.data) // BYTES[self.kind]}{letter}", self.data)

    @cached_property
    def uniform(self) -> int | None:
        """The byte that a constant consists of, or None. Kept, since many operations may ask for one tensor."""
        data = self.data or b""
        return data[0] if data and data.count(data[:1]) == len(data) else None


@dataclass(frozen=True)
class Operation:
    """One operator. ``inputs`` are tensor indices, -1 for an input that is left out."""

    index: int
    name: str
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, Scalar] = field(default_factory=dict)
    custom_code: str = ""
    payload: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class Graph:
    """Subgraph 0. Operations are in the order in which they run."""

    tensors: tuple[Tensor, ...]
    operations: tuple[Operation, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    def users(self) -> Mapping[int, tuple[int, ...]]:
        """Which operations read each tensor."""
        users: dict[int, list[int]] = {}
        for operation in self.operations:
            for tensor in dict.fromkeys(operation.inputs):
                users.setdefault(tensor, []).append(operation.index)
        return {tensor: tuple(readers) for tensor, readers in users.items()}

    def producers(self) -> Mapping[int, int]:
        """Which operation makes each tensor."""
        return {tensor: operation.index for operation in self.operations for tensor in operation.outputs}


def main_graph(model: Any) -> Graph:
    """The frozen form of a ``ModelT``'s first subgraph, checked as far as anything here relies on it.

    Raises:
        Malformed: an index that does not exist, a constant of the wrong size, an operation before its inputs.
    """
    subgraphs = model.subgraphs or []
    if not subgraphs or subgraphs[0] is None:
        raise Malformed("it has no subgraph")
    native = subgraphs[0]
    buffers = [_data(buffer) for buffer in model.buffers or []]
    tensors = tuple(_tensor(i, tensor, buffers) for i, tensor in enumerate(native.tensors or []))
    codes = [_code(code) for code in model.operatorCodes or []]
    operations = tuple(_operation(i, operator, codes) for i, operator in enumerate(native.operators or []))
    graph = Graph(tensors, operations, _indices(native.inputs), _indices(native.outputs))
    _check(graph)
    _check_references(model, native, graph)
    return graph


def operator_names(model: Any) -> frozenset[str]:
    """The operators of all subgraphs of a ``ModelT``, by name; custom ones as ``CUSTOM:NAME``.

    Raises:
        Malformed: an operator names a code that does not exist.
    """
    codes = [_code(code) for code in model.operatorCodes or []]
    used = {operator.opcodeIndex for graph in model.subgraphs or [] if graph for operator in graph.operators or []}
    if any(index >= len(codes) for index in used):
        raise Malformed(f"an operator names operator code {max(used)} of {len(codes)}")
    chosen = [codes[index] for index in used]
    return frozenset(f"{CUSTOM}:{custom}" if name == CUSTOM else name for name, _, custom in chosen)


def text(raw: Any) -> str:
    """A name of the file, whatever its bytes are; characters that could act on a terminal are replaced.

    Names are cut, because each stands in the output as often as it is used.
    """
    decoded = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else str(raw or "")
    if len(decoded) > _NAME:
        decoded = decoded[: _NAME - 1] + "\u2026"
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in decoded)


def _data(buffer: Any) -> bytes:
    # An offset of 0 or 1 means "inside"; files above 2 GB keep their buffers behind the flatbuffer.
    if buffer.offset > 1:
        raise Malformed("its buffers lie outside of the flatbuffer, which is not supported")
    return bytes(buffer.data) if buffer.data is not None else b""


def _tensor(index: int, native: Any, buffers: Sequence[bytes]) -> Tensor:
    if not native.buffer < len(buffers):
        raise Malformed(f"tensor {index} names buffer {native.buffer} of {len(buffers)}")
    if native.shape is not None and len(native.shape) > _DIMENSIONS:
        raise Malformed(f"tensor {index} has {len(native.shape)} dimensions")
    kind = schema.names("TensorType").get(native.type, f"TYPE_{native.type}")
    shape, quantization = _indices(native.shape), native.quantization
    scales = tuple(float(s) for s in _values(quantization.scale)) if quantization is not None else ()
    points = _indices(quantization.zeroPoint) if quantization is not None else ()
    if scales:
        _check_quantization(index, shape, (len(scales), len(points)), int(quantization.quantizedDimension))
    data = buffers[native.buffer]
    tensor = Tensor(
        index, text(native.name), kind, shape, scales, points, bool(native.isVariable), bytes(data) if data else None
    )
    _check_size(tensor)
    return tensor


def _check_quantization(index: int, shape: tuple[int, ...], counts: tuple[int, int], dimension: int) -> None:
    """TensorFlow Lite asks this of scales before it allocates anything, and else refuses the whole model."""
    scales, points = counts
    if scales != points:
        raise Malformed(f"tensor {index} has {scales} scales, but {points} zero points")
    if dimension < 0 or (shape and dimension >= len(shape)):
        raise Malformed(
            f"tensor {index} is quantized along dimension {dimension}, of which it has {len(shape)}; "
            "TensorFlow Lite refuses to load it"
        )
    if scales > 1 and shape and scales != shape[dimension]:
        raise Malformed(
            f"tensor {index} has {scales} scales for the {shape[dimension]} channels of its dimension {dimension}; "
            "TensorFlow Lite refuses to load it"
        )


def _check_size(tensor: Tensor) -> None:
    size = BYTES.get(tensor.kind)
    if size is None or not tensor.static:
        return
    wanted = math.prod(tensor.shape) * size
    if wanted > _LARGEST:
        raise Malformed(f"tensor {tensor.index} ({tensor.name}) is larger than 2 GiB")
    if tensor.data is not None and len(tensor.data) != wanted:
        raise Malformed(
            f"tensor {tensor.index} ({tensor.name}) takes {wanted} bytes, but its constant has {len(tensor.data)}"
        )


def _code(native: Any) -> tuple[str, int, str]:
    # Before TensorFlow 2.4 the number stood in an 8-bit field, which later files fill with 127 for large numbers.
    number = max(native.builtinCode, native.deprecatedBuiltinCode)
    return schema.names("BuiltinOperator").get(number, f"BUILTIN_{number}"), native.version, text(native.customCode)


def _operation(index: int, native: Any, codes: Sequence[tuple[str, int, str]]) -> Operation:
    if not native.opcodeIndex < len(codes):
        raise Malformed(f"operator {index} names operator code {native.opcodeIndex} of {len(codes)}")
    if native.largeCustomOptionsOffset > 1:
        raise Malformed(f"operator {index} keeps its options outside of the flatbuffer, which is not supported")
    for union, tag in {
        "BuiltinOptions": native.builtinOptionsType,
        "BuiltinOptions2": native.builtinOptions2Type,
    }.items():
        if tag not in schema.names(union):
            raise Malformed(f"operator {index} has options of an unknown type {tag}")
    name, version, custom = codes[native.opcodeIndex]
    options = vars(native.builtinOptions) if native.builtinOptions is not None else {}
    return Operation(
        index,
        name,
        version,
        _indices(native.inputs),
        _indices(native.outputs),
        MappingProxyType({key: value for key, value in options.items() if isinstance(value, (int, float))}),
        custom if name == CUSTOM else "",
        bytes(_values(native.customOptions, bytes)) if name == CUSTOM else b"",
    )


def _values(vector: Any, empty: Any = tuple) -> Any:
    return empty() if vector is None else vector


def _indices(vector: Any) -> tuple[int, ...]:
    return tuple(int(value) for value in _values(vector))


def _check(graph: Graph) -> None:
    count = len(graph.tensors)
    ready = {tensor.index for tensor in graph.tensors if tensor.constant or tensor.variable}
    _check_range(graph.inputs, count, "the graph's inputs")
    _check_range(graph.outputs, count, "the graph's outputs")
    made = set(graph.inputs)
    empty: set[int] = set()  # read without being made: nothing is needed to make them
    for operation in graph.operations:
        where = f"operator {operation.index} ({operation.name})"
        _check_range([index for index in operation.inputs if index != -1], count, where)
        _check_range(operation.outputs, count, where)
        for index in operation.inputs:
            if index in ready or index in made or index == -1:
                continue
            if 0 not in graph.tensors[index].shape:
                raise Malformed(f"{where} reads tensor {index}, which nothing before it makes")
            empty.add(index)
        for index in operation.outputs:
            if index in made or index in ready or index in empty:
                raise Malformed(f"{where} writes tensor {index}, which is there already or was read before")
            made.add(index)
    if missing := [index for index in graph.outputs if index not in made and index not in ready]:
        raise Malformed(f"nothing makes tensor {missing[0]}, an output of the graph")


def _check_references(model: Any, native: Any, graph: Graph) -> None:
    """Checks of what is copied along when a model is rewritten: it has to point to something."""
    for entry in model.metadata or []:
        if not entry.buffer < len(model.buffers or []):
            raise Malformed(f"the metadata {text(entry.name)} names buffer {entry.buffer}, which does not exist")
    for operator in native.operators or []:
        _check_range([i for i in _indices(operator.intermediates) if i != -1], len(graph.tensors), "intermediates")
    for signature in model.signatureDefs or []:
        if signature.subgraphIndex >= len(model.subgraphs):
            raise Malformed(f"a signature names subgraph {signature.subgraphIndex}, which does not exist")
        if signature.subgraphIndex == 0:
            entries = [*(signature.inputs or []), *(signature.outputs or [])]
            _check_range([entry.tensorIndex for entry in entries], len(graph.tensors), "a signature")


def _check_range(indices: Sequence[int], count: int, where: str) -> None:
    if wrong := [index for index in indices if not 0 <= index < count]:
        raise Malformed(f"{where}: tensor {wrong[0]} does not exist; there are {count}")
