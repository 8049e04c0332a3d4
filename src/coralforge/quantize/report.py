"""The report on a quantized model, as JSON beside it; ``text.py`` shows it, and ``page.py``."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coralforge import __version__
from coralforge.edgetpu.partition import partition
from coralforge.edgetpu.warnings import warnings
from coralforge.quantize.judgement import Verdict, find_warnings, judge
from coralforge.tflite.graph import Graph

FORMAT = 1


@dataclass(frozen=True)
class QuantizeReport:
    """The outcome of one quantization. ``data`` is the JSON report (docs/quantize.md describes its fields)."""

    model: Path
    output: Path
    place: Path
    """Of the JSON report."""
    data: dict[str, Any] = field(repr=False)

    @property
    def random(self) -> bool:
        """Whether it was calibrated with random samples, so that nothing is known of its accuracy."""
        return bool(self.data["samples"]["random"])

    @property
    def agreement(self) -> float | None:
        """Top-1 agreement with the float model, 0 to 1, the worst of all outputs that look like classifications."""
        found = [one["accuracy"]["top1"]["agreement"] for one in self.data["outputs"] if "top1" in one["accuracy"]]
        return min(found, default=None)

    @property
    def verdict(self) -> Verdict:
        """Whether it can be relied on."""
        return Verdict(self.data["verdict"])

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences that the user should know before relying on the model."""
        return tuple(self.data["warnings"])

    def json(self) -> bytes:
        """The text of the JSON report."""
        return (json.dumps(self.data, indent=2, allow_nan=False) + "\n").encode()


def make_report(
    model: Path, output: Path, place: Path, facts: dict[str, Any], seconds: float, graph: Graph
) -> QuantizeReport:
    """Put together what the engine and the worker know; ``facts`` has the engine's ``model`` and ``output`` too."""
    data = {
        "format": FORMAT,
        "made_by": f"coralforge {__version__}",
        **facts,
        "operations": operations(graph),
        "seconds": round(seconds, 1),
    }
    data["warnings"] = [*find_warnings(data), *(one.text for one in warnings(graph, partition(graph)))]
    data["verdict"] = judge(data).value
    return QuantizeReport(model, output, place, data)


def operations(graph: Graph) -> list[dict[str, Any]]:
    """Each operation with its version and how often it occurs."""
    counts = Counter((operation.name, operation.version) for operation in graph.operations)
    return [{"name": name, "version": version, "count": count} for (name, version), count in sorted(counts.items())]
