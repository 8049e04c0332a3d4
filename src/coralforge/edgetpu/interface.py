"""Compares inputs and outputs of a plain model with those of what a compiler made of it."""

from __future__ import annotations

from dataclasses import dataclass

from coralforge.edgetpu.payload import CUSTOM_CODE
from coralforge.tflite.graph import CUSTOM, Graph, Operation

_SHOWN = 4  # scales

# Builtin operators whose results are as large as what they find.
_AS_FOUND = {"NON_MAX_SUPPRESSION_V4", "NON_MAX_SUPPRESSION_V5", "RANGE", "UNIQUE", "WHERE"}


@dataclass(frozen=True)
class Edge:
    """All of an input or output but its name: ``UINT8 1x224x224x3, scale 0.0078125, zero point 128``.

    ``open``: its shape is set when the model runs, so that what a file says of it means nothing. That is so of what
    custom operators make (TFLite_Detection_PostProcess), and where a size is -1.
    """

    kind: str
    shape: str
    scales: str
    open: bool

    def fits(self, other: Edge) -> bool:
        """Whether the two can be the same."""
        alike = (self.kind, self.scales) == (other.kind, other.scales)
        return alike and (self.open or other.open or self.shape == other.shape)

    @property
    def key(self) -> str:
        """Equal for those that fit, as long as both are open or both are not."""
        return f"{self.kind} {'of any shape' if self.open else self.shape}{self.scales}"

    def __str__(self) -> str:
        return f"{self.kind} {self.shape}{self.scales}"


def edges(graph: Graph, indices: tuple[int, ...]) -> list[Edge]:
    """The inputs or outputs of a graph, in their order."""
    producers = graph.producers()
    makers = [graph.operations[producers[index]] if index in producers else None for index in indices]
    return [_edge(graph, index, maker) for index, maker in zip(indices, makers, strict=True)]


def _edge(graph: Graph, index: int, maker: Operation | None) -> Edge:
    tensor = graph.tensors[index]
    scales = ", ".join(f"{scale:.9g}" for scale in tensor.scales[:_SHOWN])
    points = ", ".join(map(str, tensor.zero_points[:_SHOWN]))
    return Edge(
        tensor.kind,
        "x".join(map(str, tensor.shape)) or "scalar",
        f", scale {scales}, zero point {points or 0}" if tensor.scales else "",
        not tensor.static or (maker is not None and _set_at_run_time(maker)),
    )


def _set_at_run_time(maker: Operation) -> bool:
    return (maker.name == CUSTOM and maker.custom_code != CUSTOM_CODE) or maker.name in _AS_FOUND
