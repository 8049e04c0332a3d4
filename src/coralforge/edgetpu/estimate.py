"""Estimates before a compile: memory on the chip, what is streamed for each inference, and the time on USB. Pure.

Fitted to the packages of 106 public compiled models and to coral.ai's table of times; docs/inspect.md says how far
off it is. The part on the CPU is not in it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from coralforge.edgetpu.partition import Partition, Side
from coralforge.tflite.graph import Graph, Operation

# The same as in device/src/core/stats.cc; docs/device.md says what they are fitted on.
USB3, USB2 = 430e6, 38e6  # bytes a second
PCI = 350e6  # from the 102 ms of the Dev Board for Inception v4
HOST = 0.3e-3  # seconds of the driver and the host for each inference
DENSE, DEPTHWISE = 1 / 1000e9, 1 / 17.5e9  # seconds for a multiplication and addition
CACHE = 6_900_000  # bytes of parameters that stay on the chip, of its 8 MiB; logs have 6.0 to 8.0 MiB
_INSTRUCTIONS = 1_600, 110e-6  # bytes for an operation, and for a multiplication

_CELLS, _DEEP = 16, 4  # outputs are padded to a multiple of 16, inputs of 4
_FACTOR = 8  # bytes of bias and factor for each output
_CONVOLUTIONS = {"CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"}


@dataclass(frozen=True)
class Estimate:
    """Sizes are in bytes, times in seconds, all of the part on the Edge TPU."""

    parameters: int
    """As the chip stores them, with padding."""
    streamed: int
    """Parameters that do not fit on the chip, and are sent for each inference."""
    activations: int
    """The most that is alive at once, without padding."""
    transfers: int
    """Inputs, outputs and instructions of an inference."""
    multiplications: int
    depthwise: int
    """Those of the multiplications that are in depthwise convolutions, which the chip is slow at."""

    @property
    def usb3(self) -> float:
        """Seconds of an inference on USB 3."""
        return self.seconds(USB3)

    @property
    def usb2(self) -> float:
        """Seconds of an inference on USB 2."""
        return self.seconds(USB2)

    def seconds(self, rate: float) -> float:
        """Seconds of an inference at ``rate`` bytes a second.

        The chip computes while parameters arrive, but not before its input has.
        """
        computing = (self.multiplications - self.depthwise) * DENSE + self.depthwise * DEPTHWISE
        return HOST + self.transfers / rate + max(self.streamed / rate, computing)


def estimate(graph: Graph, decisions: Partition) -> Estimate | None:
    """The estimate for a plain model; None if nothing of it is on the Edge TPU, or a size is not known."""
    inside = decisions.on(Side.TPU)
    read = {index for one in inside for index in (*one.inputs, *one.outputs) if index != -1}
    if not inside or any(not graph.tensors[index].static for index in read):
        return None
    multiplied = sum(multiplications(graph, one) for one in inside)
    stored = _stored(graph, inside)
    per_operation, per_multiplication = _INSTRUCTIONS
    instructions = len(inside) * per_operation + round(multiplied * per_multiplication)
    return Estimate(
        parameters=stored,
        streamed=max(0, stored - CACHE),
        activations=_alive(graph, inside),
        transfers=_border(graph, decisions) + instructions,
        multiplications=multiplied,
        depthwise=sum(multiplications(graph, one) for one in inside if one.name == "DEPTHWISE_CONV_2D"),
    )


def multiplications(graph: Graph, operation: Operation) -> int:
    """Multiplications and additions of a convolution or dense layer; 0 for other operations."""
    if len(operation.inputs) < 2 or operation.inputs[1] == -1:
        return 0
    made = math.prod(graph.tensors[operation.outputs[0]].shape)
    weights = graph.tensors[operation.inputs[1]].shape
    if operation.name == "FULLY_CONNECTED":
        return made * math.prod(weights[-1:])
    if operation.name not in _CONVOLUTIONS or len(weights) != 4:
        return 0
    if operation.name == "TRANSPOSE_CONV":
        return math.prod(graph.tensors[operation.inputs[2]].shape) * math.prod(weights[:3])
    return made * math.prod(weights[1:] if operation.name == "CONV_2D" else weights[1:3])


def _stored(graph: Graph, inside: Sequence[Operation]) -> int:
    """Weights as the chip has them, each counted once; other constants as they are."""
    sizes: dict[int, int] = {}
    for operation in inside:
        for position, index in enumerate(operation.inputs):
            tensor = graph.tensors[index] if index != -1 else None
            if tensor is None or tensor.data is None or index in sizes:
                continue
            sizes[index] = len(tensor.data) if tensor.quantized else 0
            if position == 1 and operation.name in (*_CONVOLUTIONS, "FULLY_CONNECTED"):
                sizes[index] = _weights(operation.name, tensor.shape)
    return sum(sizes.values())


def _weights(name: str, shape: tuple[int, ...]) -> int:
    if name == "DEPTHWISE_CONV_2D" and len(shape) == 4:
        outputs = _up(shape[3], _CELLS)
        return _up(shape[1] * shape[2], _DEEP) * outputs * _DEEP + _FACTOR * outputs
    outputs = _up(math.prod(shape[:1]), _CELLS)
    return outputs * math.prod(shape[1:-1]) * _up(math.prod(shape[-1:]), _DEEP) + _FACTOR * outputs


def _up(size: int, multiple: int) -> int:
    return -(-size // multiple) * multiple


def _alive(graph: Graph, inside: Sequence[Operation]) -> int:
    """The most bytes that are made and still needed at once, in the order of the operations."""
    last = {index: place for place, one in enumerate(inside) for index in (*one.inputs, *one.outputs) if index != -1}
    alive: set[int] = set()
    now = most = 0
    for place, one in enumerate(inside):
        touched = {index for index in (*one.inputs, *one.outputs) if index != -1}
        new = {index for index in touched - alive if not graph.tensors[index].constant}
        alive |= new
        now += sum(graph.tensors[index].size for index in new)
        most = max(most, now)
        gone = {index for index in touched & alive if last[index] == place}
        alive -= gone
        now -= sum(graph.tensors[index].size for index in gone)
    return most


def _border(graph: Graph, decisions: Partition) -> int:
    """Bytes that go to the chip and come from it."""
    inside = decisions.on(Side.TPU)
    made = {index for one in inside for index in one.outputs}
    read = {index for one in inside for index in one.inputs if index != -1}
    outside = set(graph.outputs).union(*(one.inputs for one in decisions.on(Side.PRE, Side.POST)))
    entering = {index for index in read - made if not graph.tensors[index].constant}
    return sum(graph.tensors[index].size for index in entering | (made & outside))
