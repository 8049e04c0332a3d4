"""The report on a compilation, in the form of Google's compiler, so that the same programs read it; SIMULATED."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from coralforge import __version__
from coralforge.edgetpu.partition import Partition, Side
from coralforge.tflite.graph import Operation

if TYPE_CHECKING:
    from coralforge.compile.simulator import SimulatorModel

HEADER = f"SIMULATED Edge TPU compiler, coralforge {__version__}: the output runs on the simulated libedgetpu only"
_PARTLY = (
    "Model successfully compiled but not all operations are supported by the Edge TPU. A percentage of the model "
    "will instead run on the CPU, which is slower. If possible, consider updating your model to use only operations "
    "supported by the Edge TPU. For details, visit g.co/coral/model-reqs."
)
_SHOWN = 20  # reasons in full


def report(
    source: Path, source_size: int, output: Path, log: Path, compiled: SimulatorModel, milliseconds: int
) -> str:
    """The text for the terminal; sizes of files are in bytes."""
    total, mapped = len(compiled.partition.decisions), compiled.partition.mapped
    lines = [
        HEADER,
        "",
        f"Model compiled successfully in {milliseconds} ms.",
        "",
        f"Input model: {source}",
        f"Input size: {size(source_size)}",
        f"Output model: {output}",
        f"Output size: {size(len(compiled.data))}",
        f"Model parameters on the Edge TPU: {size(compiled.parameters)} (on-chip memory is not simulated)",
        "Number of Edge TPU subgraphs: 1",
        f"Total number of operations: {total}",
        f"Operation log: {log}",
        "",
    ]
    if mapped < total:
        lines += [_PARTLY]
        lines += [f"Number of operations that will run on Edge TPU: {mapped}"]
        lines += [f"Number of operations that will run on CPU: {total - mapped}", ""]
    return "\n".join([*lines, *table(compiled.partition), "", "Compilation succeeded! (SIMULATED)"]) + "\n"


def log_text(source: Path, output: Path, compiled: SimulatorModel) -> str:
    """The text of the .log file: the same for the same model."""
    names = [f"Input: {source.name}", f"Output: {output.name}"]
    left = reasons(compiled.partition)
    return "\n".join([HEADER, *names, "", *table(compiled.partition), *([""] if left else []), *left]) + "\n"


def table(partition: Partition) -> list[str]:
    """A row for each operator and status, in the columns of Google's compiler."""
    rows = Counter((decision.operation.name, decision.status.value) for decision in partition.decisions)
    return [
        f"{'Operator':<31}{'Count':<11}Status",
        "",
        *(f"{name:<30} {count:<10} {status}" for (name, status), count in sorted(rows.items())),
    ]


def reasons(partition: Partition) -> list[str]:
    """Why operations stay on the CPU, one line each, without those that only follow another."""
    left = [decision for decision in partition.decisions if decision.side is not Side.TPU and decision.why]
    shown = [f"{d.operation.index} {_called(d.operation)}: {d.why}" for d in left[:_SHOWN]]
    more = [f"and {len(left) - _SHOWN} more"] if len(left) > _SHOWN else []
    return ["Why operations will run on CPU (number, operator):", *shown, *more] if left else []


def size(count: int) -> str:
    """Bytes in the compiler's units."""
    for unit, power in (("MiB", 20), ("KiB", 10)):
        if count >= 1 << power:
            return f"{count / (1 << power):.2f}{unit}"
    return f"{count}.00B"


def _called(operation: Operation) -> str:
    return operation.custom_code or operation.name
