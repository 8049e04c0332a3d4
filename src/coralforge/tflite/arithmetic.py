"""In which numbers a model computes: what people call float, dynamic range, float16, int16x8 and full integer."""

from __future__ import annotations

from enum import Enum

from coralforge.tflite.graph import Graph, Operation, Tensor

NOT_AFTERWARDS = (
    "a .tflite is not quantized afterwards: quantize the model that it was made of "
    "(`invoke quantize --model M.keras --samples DIR`), or have the tool that exported it do so once more, for the "
    "Edge TPU or to full integer (int8)"
)
"""The way on from a TensorFlow Lite model that is not quantized."""

_ENDS = ("QUANTIZE", "DEQUANTIZE")


class Arithmetic(Enum):
    """The numbers of a model, for programs; ``words`` for people."""

    FULL_INTEGER = "full-integer"
    FLOAT_ENDS = "float-ends"
    MIXED = "mixed"
    INT16 = "int16x8"
    DYNAMIC_RANGE = "dynamic-range"
    FLOAT16 = "float16"
    FLOAT = "float"
    NONE = "none"

    @property
    def words(self) -> str:
        """The end of a sentence that begins "it computes"."""
        return _WORDS[self]

    @property
    def quantized(self) -> bool:
        """Whether something is computed in 8 bits, which is all that an Edge TPU does."""
        return self in (Arithmetic.FULL_INTEGER, Arithmetic.FLOAT_ENDS, Arithmetic.MIXED)


_WORDS = {
    Arithmetic.FULL_INTEGER: "in 8 bits throughout (full integer)",
    Arithmetic.FLOAT_ENDS: "in 8 bits, with floats as inputs or outputs",
    Arithmetic.MIXED: "partly in 8 bits, partly in floats",
    Arithmetic.INT16: "in 16 bits with weights of 8 bits (int16x8), which the Edge TPU does not",
    Arithmetic.DYNAMIC_RANGE: "in floats, with weights of 8 bits (dynamic range)",
    Arithmetic.FLOAT16: "in floats, with weights stored in 16 bits (float16)",
    Arithmetic.FLOAT: "in floats",
    Arithmetic.NONE: "neither in floats nor in 8 bits",
}


def arithmetic_of(graph: Graph) -> Arithmetic:
    """The numbers in which most of a model that is not compiled computes."""
    made = [graph.tensors[i] for operation in graph.operations for i in operation.outputs]
    if any(tensor.quantized for tensor in made):
        middle = [one for one in graph.operations if one.name not in _ENDS and _floats(graph, one)]
        ends = [graph.tensors[i] for i in (*graph.inputs, *graph.outputs)]
        if middle:
            return Arithmetic.MIXED
        return Arithmetic.FLOAT_ENDS if any(tensor.floating for tensor in ends) else Arithmetic.FULL_INTEGER
    if any(tensor.kind == "INT16" and tensor.scales for tensor in made):
        return Arithmetic.INT16
    if not any(tensor.floating for tensor in made):
        return Arithmetic.NONE
    constants = [tensor for tensor in graph.tensors if tensor.constant]
    if any(_weights(tensor) for tensor in constants):
        return Arithmetic.DYNAMIC_RANGE
    return Arithmetic.FLOAT16 if any(tensor.kind == "FLOAT16" for tensor in constants) else Arithmetic.FLOAT


def _floats(graph: Graph, operation: Operation) -> bool:
    return any(graph.tensors[index].floating for index in operation.outputs)


def _weights(tensor: Tensor) -> bool:
    return tensor.quantized and len(tensor.shape) > 1
