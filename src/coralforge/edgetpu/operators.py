"""The operators that the Edge TPU takes, their highest versions, and their limits.

Three sources: the table "Supported operations" of coral.ai's documentation (an older copy, runtime version 14); the
operator versions that the last Edge TPU compiler can read (data/op_versions.json); and pairs of plain and compiled
models, for what the documentation leaves open. The last are marked "measured"; docs/models.md says how sure they are.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from importlib.resources import files

from coralforge.tflite.graph import Graph, Operation, Tensor

Limit = Callable[[Graph, Operation], str | None]
"""Why an operation is left on the CPU, in words, or None."""

SOFTMAX_SIZE = 16_000
RESIZE_FACTOR = 8  # measured: 15.5 and 33 are left on the CPU
RESIZE_SIDE = 255  # reports of users: 128 is mapped, 256 and 512 are not


class Status(Enum):
    """Statuses of an operation, in the words of Google's compiler."""

    MAPPED = "Mapped to Edge TPU"
    SECOND_SUBGRAPH = "More than one subgraph is not supported"
    UNSPECIFIED = "Operation is otherwise supported, but not mapped due to some unspecified limitation"
    UNSUPPORTED = "Operation not supported"
    VERSION = "Operation version not supported"
    DATA_TYPE = "Operation is working on an unsupported data type"
    RANK = "Tensor has unsupported rank (up to 3 innermost dimensions mapped)"
    NOT_CONSTANT = "Filter, bias, or other param is not constant at compile-time"


@dataclass(frozen=True)
class Rule:
    """One operator.

    ``needs`` inputs have to be there; ``constants`` are inputs that have to be constants where they are there;
    ``limits`` are asked in order, and may rely on both and on the shapes being static.
    """

    needs: int = 1
    constants: tuple[int, ...] = ()
    limits: tuple[Limit, ...] = ()


@cache
def newest_versions() -> Mapping[str, int]:
    """The highest version of each operator that the Edge TPU compiler reads; 0 for one it does not know at all."""
    raw = files("coralforge.edgetpu").joinpath("data/op_versions.json").read_text(encoding="utf-8")
    versions: dict[str, int] = json.loads(raw)["versions"]
    return versions


def unfused(_graph: Graph, operation: Operation) -> str | None:
    return "it has a fused activation" if operation.options.get("fusedActivationFunction") else None


def same_dilation(_graph: Graph, operation: Operation) -> str | None:
    x, y = operation.options.get("dilationWFactor", 1), operation.options.get("dilationHFactor", 1)
    return None if x == y else f"its dilation differs: {x} in x, {y} in y"


def zero_padding(graph: Graph, operation: Operation) -> str | None:
    """A constant that is concatenated has to be padding: one of two inputs, and all zero."""
    constants = [tensor for tensor in _inputs(graph, operation) if tensor.constant]
    zeros = all(tensor.uniform == (tensor.zero_points or (0,))[0] % 256 for tensor in constants)
    if constants and (len(operation.inputs) != 2 or not zeros):
        return "a constant input has to be one of two, and all zero"
    return None


def default_weights(_graph: Graph, operation: Operation) -> str | None:
    return "its weights are in a special format" if operation.options.get("weightsFormat") else None


def flat_output(graph: Graph, operation: Operation) -> str | None:
    shape = graph.tensors[operation.outputs[0]].shape
    return None if math.prod(shape[:-1]) == 1 else f"its output {_shown(shape)} is not one-dimensional"


def softmax_size(graph: Graph, operation: Operation) -> str | None:
    size = math.prod(graph.tensors[operation.outputs[0]].shape)
    return None if size <= SOFTMAX_SIZE else f"it has {size} elements, of at most {SOFTMAX_SIZE}"


def flat_alpha(graph: Graph, operation: Operation) -> str | None:
    shape = graph.tensors[operation.inputs[1]].shape
    return None if math.prod(shape[:-1]) == 1 else f"its alpha {_shown(shape)} is not one-dimensional"


def not_in_batch(graph: Graph, operation: Operation) -> str | None:
    """For reductions: no batch dimension; a reduction over channels takes a multiple of 4 of them."""
    shape, axes = _reduction(graph, operation)
    if len(shape) > 3 and 0 in axes:
        return "it reduces the batch dimension"
    if len(shape) - 1 in axes and shape[-1] % 4:
        return f"it reduces {shape[-1]} channels, which is not a multiple of 4"
    return None


def plain_slice(graph: Graph, operation: Operation) -> str | None:
    strides = graph.tensors[operation.inputs[3]].integers() or ()
    masks = [operation.options.get("ellipsisMask", 0), operation.options.get("newAxisMask", 0)]
    return "its strides are not all 1" if set(strides) != {1} else "it has axis masks" if any(masks) else None


def leading_ones(graph: Graph, operation: Operation) -> str | None:
    before = _without_leading_ones(graph.tensors[operation.inputs[0]].shape)
    after = _without_leading_ones(graph.tensors[operation.outputs[0]].shape)
    return None if before == after else "it removes a dimension that is not leading"


def moderate_resize(graph: Graph, operation: Operation) -> str | None:
    """Measured: the compiler leaves what would be too imprecise or too large; where it draws the line is unknown."""
    before, after = (graph.tensors[index].shape for index in (operation.inputs[0], operation.outputs[0]))
    factor = max((new / max(old, 1) for old, new in zip(before[1:3], after[1:3], strict=False)), default=1.0)
    if factor > RESIZE_FACTOR:
        return f"it enlarges {factor:.3g} times (more than {RESIZE_FACTOR} is thought not to be mapped)"
    if before != after and max(after[1:3], default=0) > RESIZE_SIDE:
        return f"its output {_shown(after)} has a side above {RESIZE_SIDE} (thought not to be mapped)"
    return None


_UNARY, _BINARY = Rule(), Rule(2)
_CONVOLUTION = Rule(2, (1, 2), (same_dilation,))
_POOL = Rule(limits=(unfused,))
_REDUCTION = Rule(2, (1,), (not_in_batch,))
_RESIZE = Rule(2, (1,), (moderate_resize,))

# "Not in the batch dimension" of packs, pads and splits needs no rule: they would have tensors of unsupported rank.
RULES: Mapping[str, Rule] = {
    "ADD": _BINARY,
    "AVERAGE_POOL_2D": _POOL,
    "CONCATENATION": Rule(limits=(unfused, zero_padding)),
    "CONV_2D": _CONVOLUTION,
    "DEPTHWISE_CONV_2D": _CONVOLUTION,
    "EXPAND_DIMS": Rule(2, (1,)),
    "FULLY_CONNECTED": Rule(2, (1, 2), (default_weights, flat_output)),
    "L2_NORMALIZATION": _UNARY,
    "LOGISTIC": _UNARY,
    "MAXIMUM": _BINARY,
    "MAX_POOL_2D": _POOL,
    "MEAN": _REDUCTION,
    "MINIMUM": _BINARY,
    "MUL": _BINARY,
    "PACK": _UNARY,
    "PAD": Rule(2, (1,)),
    "PRELU": Rule(2, (1,), (flat_alpha,)),
    "QUANTIZE": _UNARY,
    "REDUCE_MAX": _REDUCTION,
    "REDUCE_MIN": _REDUCTION,
    "RELU": _UNARY,
    "RELU6": _UNARY,
    "RELU_N1_TO_1": _UNARY,
    "RESHAPE": Rule(1, (1,)),
    "RESIZE_BILINEAR": _RESIZE,
    "RESIZE_NEAREST_NEIGHBOR": _RESIZE,
    "RSQRT": _UNARY,
    "SLICE": Rule(3, (1, 2)),
    "SOFTMAX": Rule(limits=(flat_output, softmax_size)),
    "SPACE_TO_DEPTH": _UNARY,
    "SPLIT": Rule(2, (0,)),
    "SQUARED_DIFFERENCE": _BINARY,
    "SQUEEZE": Rule(limits=(leading_ones,)),
    "STRIDED_SLICE": Rule(4, (1, 2, 3), (plain_slice,)),
    "SUB": _BINARY,
    "SUM": _REDUCTION,
    "TANH": _UNARY,
    "TILE": Rule(2, (1,)),  # measured; the documentation does not list it
    "TRANSPOSE": Rule(2, (1,)),
    "TRANSPOSE_CONV": Rule(3, (0, 1, 3)),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": Rule(1, tuple(range(1, 18))),
}


def _reduction(graph: Graph, operation: Operation) -> tuple[tuple[int, ...], set[int]]:
    shape = graph.tensors[operation.inputs[0]].shape
    axes = graph.tensors[operation.inputs[1]].integers() or ()
    return shape, {axis % len(shape) for axis in axes if shape}


def _inputs(graph: Graph, operation: Operation) -> list[Tensor]:
    return [graph.tensors[index] for index in operation.inputs if index != -1]


def _without_leading_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    start = next((index for index, size in enumerate(shape) if size != 1), len(shape))
    return shape[start:]


def _shown(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "scalar"
