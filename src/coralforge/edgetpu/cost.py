"""Estimates of a whole inference: the part on the chip, and the operations that are left to the CPU. Pure.

The part on the CPU is rougher than that on the chip: docs/inspect.md says how far off it is. It is good enough to
say which of several changes wins most.
"""

from __future__ import annotations

import math

from coralforge.edgetpu.estimate import estimate, multiplications
from coralforge.edgetpu.partition import Partition, Side
from coralforge.tflite.graph import Graph, Operation

# The Dev Board's CPU (4 x Cortex-A53), fitted to coral.ai's table: multiplications on MobileNet v1 and v2, Inception,
# ResNet, VGG; values on DeepLab V3, whose last operations stay on the CPU. A desktop takes about a fifth.
MULTIPLICATION, VALUE = 1 / 3.5e9, 16e-9  # seconds


def inference_seconds(graph: Graph, decisions: Partition) -> float | None:
    """Seconds of an inference, on USB 3 and with the Dev Board's CPU; None if a size is not known."""
    left = decisions.on(Side.PRE, Side.POST)
    read = {index for one in graph.operations for index in (*one.inputs, *one.outputs) if index != -1}
    if any(not graph.tensors[index].static for index in read):
        return None
    chip = estimate(graph, decisions)
    return (chip.usb3 if chip is not None else 0.0) + sum(cpu_seconds(graph, one) for one in left)


def cpu_seconds(graph: Graph, operation: Operation) -> float:
    """Seconds of one operation on the Dev Board's CPU: by what it multiplies, or else the values it goes through."""
    if multiplied := multiplications(graph, operation):
        return multiplied * MULTIPLICATION
    sizes = [
        math.prod(graph.tensors[index].shape)
        for index in (*operation.inputs, *operation.outputs)
        if index != -1 and not graph.tensors[index].constant
    ]
    return max(sizes, default=0) * VALUE
