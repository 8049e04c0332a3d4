"""Warnings on a model that Google's compiler takes: what it would do is not what the user wants. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from coralforge.edgetpu.evidence import Bound, Source
from coralforge.edgetpu.limits import RESIZE_SIDE
from coralforge.edgetpu.partition import Partition, Side
from coralforge.edgetpu.requirements import per_channel
from coralforge.tflite.graph import Graph, Operation, Tensor

_STEPS = 8  # of an 8-bit score; with fewer of them there is hardly more than "yes" and "no"
# These hold all of what they read and make; convolutions and what works element by element take parts of it.
_WHOLE_TENSORS = {"CONCATENATION", "PACK", "RESHAPE", "SPLIT", "STRIDED_SLICE", "TILE", "TRANSPOSE"}
_WHOLE_TENSORS |= {"RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"}
# These change the form of what they read, or its scale, but not what it means.
_CARRIES = {
    "QUANTIZE",
    "DEQUANTIZE",
    "RESHAPE",
    "TRANSPOSE",
    "SQUEEZE",
    "EXPAND_DIMS",
    "STRIDED_SLICE",
    "SLICE",
    "PAD",
}
_OUTPUTS = 64  # that are looked at; each may lead through the whole graph
_JOIN = "CONCATENATION"
_RANGE = 255  # steps of 8 bits
_FEW_CHANNELS = 4


@dataclass(frozen=True)
class Warning:
    """Something that may go wrong, and in which operations. ``name`` is stable, for programs."""

    name: str
    text: str
    operations: tuple[int, ...]


def _held(graph: Graph, operation: Operation) -> float:
    """Bytes of all that an operation reads and makes, constants aside."""
    indices = {index for index in (*operation.inputs, *operation.outputs) if index != -1}
    return sum(graph.tensors[index].size for index in indices if not graph.tensors[index].constant)


def _wide(graph: Graph, operation: Operation) -> float:
    """The width of the widest picture of few channels that an operation reads."""
    shapes = [graph.tensors[index].shape for index in operation.inputs if index != -1]
    return max((s[2] for s in shapes if len(s) == 4 and s[3] <= _FEW_CHANNELS), default=0)


HELD = Bound(
    "activations",
    "bytes read and made",
    _held,
    mapped=655_360,
    mapped_by=Source("report", "google-coral/edgetpu#31, 64x64x32 to 128x128x32"),
    left=1_641_600,
    left_by=Source("report", "google-coral/edgetpu#309, a concatenation to 60x152x90"),
)
WIDTH = Bound(
    "picture-width",
    "pixels wide",
    _wide,
    mapped=1_281,
    mapped_by=Source("pair", "google-coral/test_data, posenet_mobilenet_v1_075_721_1281_16_quant_decoder"),
    left=2_000,
    left_by=Source("report", "pictures of 3 channels over about 2,000 pixels wide"),
)


def warnings(graph: Graph, decisions: Partition) -> tuple[Warning, ...]:
    """All that applies, in the order of how much it harms."""
    inside = decisions.on(Side.TPU)
    found = (
        _mixed(graph),
        _dense(graph, inside),
        _large(graph, decisions),
        _pictures(graph, decisions),
        _floats(graph),
    )
    return tuple(one for one in found if one is not None)


def _dense(graph: Graph, inside: Sequence[Operation]) -> Warning | None:
    mapped = {operation.index for operation in inside}
    wrong = tuple(one.index for one in per_channel(graph) if one.index in mapped)
    if not wrong:
        return None
    text = (
        "Dense layers are quantized per channel. The Edge TPU computes them as they are meant, but TensorFlow Lite "
        "up to 2.16 computes them wrongly on the CPU, so the simulator refuses the model, and it gives other results "
        "on a computer without an Edge TPU. To be safe, convert with "
        "converter._experimental_disable_per_channel_quantization_for_dense_layers = True."
    )
    return Warning("per-channel-dense", text, wrong)


def _floats(graph: Graph) -> Warning | None:
    ends = tuple(
        operation.index
        for operation in graph.operations
        if operation.name in ("QUANTIZE", "DEQUANTIZE")
        and any(graph.tensors[index].floating for index in (*operation.inputs, *operation.outputs) if index != -1)
    )
    if not ends or not any(graph.tensors[index].floating for index in (*graph.inputs, *graph.outputs)):
        return None
    text = (
        "Inputs or outputs are floats: converting them stays on the CPU, and takes time at each inference. Set "
        "inference_input_type and inference_output_type of the converter to tf.uint8 or tf.int8 to be rid of it."
    )
    return Warning("float-ends", text, ends)


def _large(graph: Graph, decisions: Partition) -> Warning | None:
    """Operators that hold whole tensors, wherever they are thought to run: the compiler may fail because of them."""
    whole = [one for one in _computed(graph, decisions) if one.name in _WHOLE_TENSORS]
    indices = tuple(one.index for one in whole if _too_large(graph, one))
    if not indices:
        return None
    most = max(_held(graph, graph.operations[index]) for index in indices)
    text = (
        f"Activations may be too large for the chip: one operation reads and makes {most / (1 << 20):.1f} MiB. "
        'Such operations stay on the CPU, or the compiler fails ("large activation tensors"). Make the input '
        "smaller, or end the model before them."
    )
    return Warning("large-activations", text, indices)


def _too_large(graph: Graph, operation: Operation) -> bool:
    resized = operation.name.startswith("RESIZE") and _beyond(RESIZE_SIDE, graph, operation)
    return resized or _beyond(HELD, graph, operation)


def _beyond(bound: Bound, graph: Graph, operation: Operation) -> bool:
    return bound.left is not None and bound.size(graph, operation) >= bound.left


def _computed(graph: Graph, decisions: Partition) -> list[Operation]:
    """Operations that could be on the Edge TPU as far as their types go, with fixed sizes."""
    return [
        one.operation
        for one in decisions.decisions
        if one.rule != "eight-bits" and one.operation.custom_code == "" and _static(graph, one.operation)
    ]


def _pictures(graph: Graph, decisions: Partition) -> Warning | None:
    wide = [one for one in _computed(graph, decisions) if _wide(graph, one) > WIDTH.mapped]
    if not wide:
        return None
    width = max(_wide(graph, one) for one in wide)
    text = (
        f"A picture of few channels is {width:,.0f} pixels wide. The compiler was seen to take {WIDTH.mapped:,.0f}, "
        f"and to fail from about {WIDTH.left:,.0f} on. Use "
        "smaller pictures, or cut them into parts."
    )
    return Warning("picture-width", text, tuple(one.index for one in wide))


def _mixed(graph: Graph) -> Warning | None:
    """Outputs that put boxes and scores into one 8-bit tensor."""
    producers = graph.producers()
    joined: dict[int, None] = {}
    for index in tuple(dict.fromkeys(graph.outputs))[:_OUTPUTS]:
        out, parts = graph.tensors[index], _parts(graph, producers, index)
        ranges = [tensor.scales[0] * _RANGE for tensor in parts.tensors if tensor.quantized]
        if out.quantized and len(ranges) > 1 and min(ranges) < out.scales[0] * _STEPS:
            joined |= dict.fromkeys(parts.joined)
    if not joined:
        return None
    text = (
        "An output joins values of very different size in one 8-bit tensor, for example boxes (0 to 640) and scores "
        "(0 to 1): one scale cannot hold both, and the scores become 0 or 1. Cut the model before the concatenation, "
        "and take its parts as outputs of their own."
    )
    return Warning("mixed-scales", text, tuple(joined))


@dataclass(frozen=True)
class _Parts:
    """The tensors that an output is put together from, and the concatenations that do it."""

    tensors: tuple[Tensor, ...]
    joined: tuple[int, ...]


def _parts(graph: Graph, producers: Mapping[int, int], output: int) -> _Parts:
    tensors: list[Tensor] = []
    joined: list[int] = []
    seen, todo = {output}, [output]
    while todo:
        index = todo.pop()
        operation = graph.operations[producers[index]] if index in producers else None
        if operation is None or operation.name not in (*_CARRIES, _JOIN):
            tensors.append(graph.tensors[index])
            continue
        joined += [operation.index] if operation.name == _JOIN else []
        read = operation.inputs if operation.name == _JOIN else operation.inputs[:1]
        new = [one for one in dict.fromkeys(read) if one != -1 and one not in seen]
        seen.update(new)
        todo += new
    return _Parts(tuple(tensors), tuple(sorted(joined)))


def _static(graph: Graph, operation: Operation) -> bool:
    return all(graph.tensors[index].static for index in (*operation.inputs, *operation.outputs) if index != -1)
