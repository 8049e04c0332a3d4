"""Gives a converted model the order of the model that it was made from, and versions that the compiler reads.

TensorFlow's converter sorts inputs and outputs by rules of its own, while programs find them by position.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from coralforge.quantize.older import with_older_versions
from coralforge.tflite import schema
from coralforge.tflite.cut import Cut, cut
from coralforge.tflite.graph import text
from coralforge.tflite.model import Model


def tidied(model: Model, inputs: Sequence[str], outputs: Sequence[str]) -> tuple[bytes, tuple[str, ...]]:
    """The model's bytes, with its inputs and outputs in the order of these names of its one signature.

    Also what was changed about versions of operations, for people; empty for most models.
    """
    [signature] = model.native.signatureDefs
    older = with_older_versions(model)
    wanted = Cut(
        model.native,
        older.operators,
        older.codes,
        _indices(signature.inputs, inputs),
        _indices(signature.outputs, outputs),
        whole=True,
    )
    return schema.pack(cut(wanted)), older.changes


def _indices(entries: Sequence[Any], names: Sequence[str]) -> list[int]:
    known = {text(entry.name): int(entry.tensorIndex) for entry in entries}
    return [known[name] for name in names]
