"""Writes operations in the older version that computes the same, where TensorFlow's converter chose a newer one.

The converter gives an operation the version in which its form first appeared, and the Edge TPU compiler, built with
TensorFlow Lite 2.5.3, rejects a whole model for one version above its own. One such form says nothing new:
TRANSPOSE_CONV 4 has a fused activation. With an 8-bit output whose lowest value stands for 0, saturation cuts off at
0 anyway, and likewise at 6; without the activation it is version 3 (2 without a bias).

Tried: on the reference kernels, outputs of the changed model in TensorFlow Lite 2.5.3 are those of the unchanged one
in 2.21, byte for byte. (TILE 3 only looks like another case: 2.5.3 cannot compute TILE of 8-bit tensors.)
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from coralforge.tflite.graph import Graph, Operation
from coralforge.tflite.model import Model

_NONE, _RELU, _RELU6 = 0, 1, 3  # ActivationFunctionType


@dataclass(frozen=True)
class Older:
    """Operators and operator codes for :class:`coralforge.tflite.cut.Cut`, and what was changed, for people."""

    operators: list[Any]
    codes: list[Any]
    changes: tuple[str, ...]


def with_older_versions(model: Model) -> Older:
    """The operators of a quantized model in the oldest versions that are the same. The model stays as it is."""
    operators, codes = list(model.native.subgraphs[0].operators), list(model.native.operatorCodes)
    places: dict[int, int] = {}  # version to its operator code
    changes: list[str] = []
    for operation in model.graph.operations:
        version = _same_without_activation(model.graph, operation)
        if version is None:
            continue
        operator = copy.copy(operators[operation.index])
        if version not in places:
            places[version] = len(codes)
            codes.append(copy.copy(codes[operator.opcodeIndex]))
            codes[-1].version = version
        operator.opcodeIndex = places[version]
        operator.builtinOptions = copy.copy(operator.builtinOptions)
        operator.builtinOptions.fusedActivationFunction = _NONE
        operators[operation.index] = operator
        changes.append(f"{operation.name} {operation.index}: version {operation.version} to {version}")
    return Older(operators, codes, tuple(changes))


def _same_without_activation(graph: Graph, operation: Operation) -> int | None:
    """The version that the operation has without its fused activation; None when it needs that, or has none."""
    if (operation.name, operation.version) != ("TRANSPOSE_CONV", 4):
        return None
    output = graph.tensors[operation.outputs[0]]
    if output.kind != "INT8" or len(output.scales) != 1 or output.zero_points != (-128,) or output.scales[0] <= 0:
        return None
    activation = operation.options.get("fusedActivationFunction", _NONE)
    if activation == _RELU or (activation == _RELU6 and round(6 / output.scales[0]) >= 255):
        return 3 if len(operation.inputs) > 3 and operation.inputs[3] != -1 else 2
    return None
