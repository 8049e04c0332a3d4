"""Puts the inputs and outputs of a converted model into the order of the model that it was made from.

TensorFlow's converter sorts them by rules of its own, while programs find them by position.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from coralforge.models import schema
from coralforge.models.graph import text
from coralforge.models.tflite import Model


def in_order(model: Model, inputs: Sequence[str], outputs: Sequence[str]) -> bytes:
    """The model's bytes, with its inputs and outputs in the order of these names of its one signature."""
    native = copy.copy(model.native)
    [signature] = native.signatureDefs
    graph = copy.copy(native.subgraphs[0])
    graph.inputs = _indices(signature.inputs, inputs)
    graph.outputs = _indices(signature.outputs, outputs)
    native.subgraphs = [graph]
    return schema.pack(native)


def _indices(entries: Sequence[Any], names: Sequence[str]) -> list[int]:
    known = {text(entry.name): int(entry.tensorIndex) for entry in entries}
    return [known[name] for name in names]
