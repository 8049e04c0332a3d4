"""Which layers lose most: their values in the quantized model beside those of the same layers in floats.

Our own walk, and not TensorFlow's QuantizationDebugger: that one calibrates once more, and looks at another model
than the one that was made. Here both models are run on the same samples, and tensors are paired by their names, which
the converter leaves as they are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from coralforge.quantize.worker.convert import open_interpreter, quantize
from coralforge.quantize.worker.samples import Feed
from coralforge.quantize.worker.spread import Grid, Histogram, thinned
from coralforge.quantize.worker.wire import one_line

MOST_SAMPLES = 10
WORST = 10
_BETWEEN = ("QUANTIZE", "DEQUANTIZE")
_WEIGHTS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")


@dataclass
class Layer:
    """One operation of the quantized model, whose output is a tensor of the float model too."""

    index: int
    operation: str
    name: str
    inputs: tuple[int, ...]
    weights: tuple[int, int] | None
    """Tensors of the quantized and of the float model, where both are known."""
    output: int
    """Tensor of the quantized model."""
    twin: int
    """The same tensor of the float model."""
    grid: Grid
    zero_point: int
    histograms: tuple[Histogram, Histogram] = field(init=False)
    """Of the float and of the quantized values."""
    values: int = 0
    square_errors: float = 0.0
    total: float = 0.0
    square_total: float = 0.0
    outside: int = 0
    saturated: int = 0
    weights_lost: float = 0.0
    """The share of its weights that are 0 in 8 bits only."""

    def __post_init__(self) -> None:
        self.histograms = self.grid.histogram(), self.grid.histogram()

    def add(self, exact: Any, stored: Any) -> None:
        """One sample: the float values, and the whole numbers of the quantized tensor."""
        import numpy as np

        exact = thinned(exact).astype(np.float64)
        real = (thinned(stored).astype(np.float64) - self.zero_point) * self.grid.step
        self.values += exact.size
        self.square_errors += float(((exact - real) ** 2).sum())
        self.total += float(exact.sum())
        self.square_total += float((exact**2).sum())
        self.outside += int(self.grid.outside(exact).sum())
        self.saturated += self.grid.stuck(exact, real)
        for histogram, values in zip(self.histograms, (exact, real), strict=True):
            histogram.add(values)

    @property
    def deviation(self) -> float:
        """Standard deviation of the float values."""
        mean = self.total / max(self.values, 1)
        return math.sqrt(max(self.square_total / max(self.values, 1) - mean**2, 0.0))

    @property
    def error(self) -> float:
        """The error (root of the mean square) beside how much the values vary, but no less than a step."""
        return math.sqrt(self.square_errors / max(self.values, 1)) / max(self.deviation, self.grid.step)

    def summary(self, added: float) -> dict[str, Any]:
        """The figures, as JSON values."""
        exact, quantized = (histogram.summary() for histogram in self.histograms)
        return {
            "index": self.index,
            "operation": self.operation,
            "name": one_line(self.name, 200),
            "error": self.error,
            "added": added,
            "deviation": self.deviation,
            "outside": self.outside / max(self.values, 1),
            "weights_lost": self.weights_lost,
            "saturated": max(self.saturated, 0) / max(self.values, 1),
            "grid": [self.grid.low, self.grid.high, self.grid.step],
            "float": exact,
            "quantized": quantized,
        }


def walk(quantized: bytes, exact: bytes, feeds: Iterable[Feed]) -> dict[str, Any]:
    """Run both models on samples.

    Returns:
        As JSON values: ``samples``, how many operations there are (``operations``) and were ``compared``, and the
        ``worst`` of them, those first that add most to the error of what they read.
    """
    models = tuple(open_interpreter(data, keep_all=True) for data in (exact, quantized))
    operations = models[1]._get_ops_details()
    layers = _paired(models[0], models[1], operations)
    count = 0
    for feed in feeds:
        for model in models:
            _run(model, feed)
        for layer in layers:
            layer.add(models[0].get_tensor(layer.twin), models[1].get_tensor(layer.output))
        count += 1
    for layer in layers:
        layer.weights_lost = _weights_lost(models[0], models[1], layer)
    errors = {layer.output: layer.error for layer in layers}
    added = {layer.output: _added(layer, errors) for layer in layers}
    worst = sorted(layers, key=lambda layer: (-added[layer.output], layer.index))[:WORST]
    return {
        "samples": count,
        "operations": len(operations),
        "compared": len(layers),
        "worst": [layer.summary(added[layer.output]) for layer in worst],
    }


def _paired(exact: Any, quantized: Any, operations: list[Any]) -> list[Layer]:
    twins = {one["name"]: one for one in exact.get_tensor_details()}
    mine = {one["index"]: one for one in quantized.get_tensor_details()}
    pairs = {
        index: twins[one["name"]]["index"]
        for index, one in mine.items()
        if one["name"] in twins and list(one["shape"]) == list(twins[one["name"]]["shape"])
    }
    for one in operations:  # the layer before an output of another type has its name with a number behind it
        first, last = int(one["inputs"][0]) if len(one["inputs"]) else -1, int(one["outputs"][0])
        if one["op_name"] in _BETWEEN and last in pairs and first in mine:
            pairs.setdefault(first, pairs[last])
    return [
        Layer(
            int(one["index"]),
            str(one["op_name"]),
            str(mine[output]["name"]),
            tuple(map(int, one["inputs"])),
            (int(one["inputs"][1]), pairs[int(one["inputs"][1])]) if _has_weights(one, pairs) else None,
            output,
            pairs[output],
            grid,
            int(mine[output]["quantization"][1]),
        )
        for one in operations
        if one["op_name"] not in _BETWEEN
        for output in map(int, one["outputs"])
        if output in pairs and (grid := Grid.of(mine[output])) is not None
    ]


def _has_weights(operation: Any, pairs: Mapping[int, int]) -> bool:
    return operation["op_name"] in _WEIGHTS and int(operation["inputs"][1]) in pairs


def _weights_lost(exact: Any, quantized: Any, layer: Layer) -> float:
    if layer.weights is None:
        return 0.0
    mine, twin = quantized.get_tensor(layer.weights[0]), exact.get_tensor(layer.weights[1])
    return float(((mine == 0) & (twin != 0)).mean()) if mine.size else 0.0


def _run(model: Any, feed: Feed) -> None:
    model.reset_all_variables()
    [signature] = model.get_signature_list()
    runner = model.get_signature_runner(signature)
    runner(**{name: quantize(feed[name], details) for name, details in runner.get_input_details().items()})


def _added(layer: Layer, errors: Mapping[int, float]) -> float:
    """How much of the error is none of what the layer reads."""
    before = max((errors.get(index, 0.0) for index in layer.inputs), default=0.0)
    return math.sqrt(max(layer.error**2 - before**2, 0.0))
