"""An inspection as one HTML page that stands for itself: no script, nothing that is loaded, all names escaped."""

from __future__ import annotations

from collections.abc import Sequence

from coralforge import __version__
from coralforge.compile.simulator_report import size
from coralforge.edgetpu.operators import newest_versions
from coralforge.inspect import words
from coralforge.inspect.inspection import Form, Inspection, Located, Place, Program
from coralforge.inspect.picture import HIGH, WIDE, draw
from coralforge.inspect.text import EDGES, OPERATORS, REFUSALS, Table, report_of
from coralforge.tflite.graph import CUSTOM, Tensor, text
from coralforge.util.page import render

_MOST = 2_000  # operations with details
_TENSORS = 40  # of one operation
_KINDS = {
    Form.PLAIN: "not compiled: a PREDICTION",
    Form.COMPILED: "compiled for the Edge TPU",
    Form.SIMULATED: "SIMULATED: compiled for the simulated Edge TPU",
}
_BADGES = {Form.PLAIN: "plain", Form.COMPILED: "tpu", Form.SIMULATED: "simulated"}


def html(inspection: Inspection) -> str:
    """The page: the same for the same models."""
    return render(
        "inspect",
        "page.html.j2",
        **_summary(inspection),
        version=__version__,
        inspection=inspection,
        columns=draw(inspection),
        wide=WIDE,
        high=HIGH,
        operations=inspection.operations[:_MOST],
        hidden=max(0, len(inspection.operations) - _MOST),
        places=words.PLACES,
        by_name={name: place for place, name in words.PLACES.items()},
        shown_places=[place for place in Place if any(one.place is place for one in inspection.operations)],
        options=_options,
        tensors=lambda one: _tensors(inspection, one),
        newest=_newest,
        executables=_executables,
        reason=words.reason,
        shape=words.shape,
        quantization=words.quantization,
        short=words.short,
        size=size,
    )


def _summary(inspection: Inspection) -> dict[str, object]:
    """The top of the page, and the tables that the text has too."""
    report = report_of(inspection)
    return {
        "headline": report.headline,
        "notes": report.notes,
        "facts": report.facts[1:],  # the share is shown larger
        "tables": [table for table in report.tables if table.title not in (REFUSALS, OPERATORS)],
        "operators": next((table for table in report.tables if table.title == OPERATORS), None),
        "edges_title": EDGES,
        "file": text(inspection.path.name),
        "kind": _KINDS[inspection.form],
        "badge_class": _BADGES[inspection.form],
        "chip_class": "simulated" if inspection.form is Form.SIMULATED else "tpu",
        "fraction": inspection.fraction,
        "share": "?" if inspection.fraction is None else words.percent(inspection.fraction),
        "share_of": _share_of(inspection),
    }


def _share_of(inspection: Inspection) -> str:
    left = len(inspection.on_cpu)
    if inspection.refusals:
        return "of the operations: the compiler would refuse the model as it is"
    if inspection.total is None:
        return f"{words.counted(left)} left on the CPU"
    verb, chip = "would run" if inspection.predicted else "run", words.chip(inspection)
    rest = f", {left} on the CPU" if left else ""
    said = f"{inspection.mapped} of {words.counted(inspection.total)} {verb} on the {chip}{rest}"
    return said + words.open_range(inspection)


def _options(one: Located) -> Sequence[tuple[str, str]]:
    return [(name, str(value)) for name, value in sorted(one.operation.options.items())]


def _tensors(inspection: Inspection, one: Located) -> Sequence[tuple[str, Tensor]]:
    tensors = inspection.graph.tensors
    inputs = [("in", tensors[index]) for index in one.operation.inputs[:_TENSORS] if index != -1]
    return inputs + [("out", tensors[index]) for index in one.operation.outputs[:_TENSORS]]


def _newest(one: Located) -> int | None:
    return None if one.operation.name == CUSTOM else newest_versions().get(one.operation.name, 0)


def _executables(program: Program) -> Table:
    rows = [
        (
            one.kind,
            one.chip,
            size(one.parameter_bytes),
            size(one.instruction_bytes),
            size(one.scratch_bytes),
            str(one.batch_size),
            str(one.parameter_caching_token),
        )
        for one in (program.package.executables if program.package else ())
    ]
    columns = ("Executable", "Chip", "Parameters", "Instructions", "Scratch", "Batch", "Caching token")
    return Table("Executables", columns, rows)
