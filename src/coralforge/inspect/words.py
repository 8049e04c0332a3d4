"""An inspection in words: the sentences and short facts that the text and the page share."""

from __future__ import annotations

from collections.abc import Sequence

from coralforge.compile.simulator_report import size
from coralforge.edgetpu.estimate import USB2, USB3, Estimate
from coralforge.edgetpu.evidence import Certainty, Limit
from coralforge.edgetpu.operators import LIMITS
from coralforge.edgetpu.payload import CUSTOM_CODE
from coralforge.inspect.inspection import Advice, Form, Inspection, Located, Place
from coralforge.inspect.stated import stated
from coralforge.tflite.graph import Tensor, text

PLACES = {Place.TPU: "Edge TPU", Place.CPU: "CPU", Place.SIMULATED: "SIMULATED"}
_LONGEST = 60  # characters of a name
_SENTENCE = 400  # of a reason, which may have names in it
_SEEN = 0.05e-3  # seconds; less is nothing

Facts = Sequence[tuple[str, str]]


def headline(inspection: Inspection) -> str:
    """One line with the name of the model and what it is compiled for."""
    name = text(inspection.path.name)
    if inspection.form is Form.SIMULATED:
        return f"{name}: SIMULATED: compiled for the simulated Edge TPU, no hardware runs it"
    if inspection.form is Form.COMPILED:
        return f"{name}: compiled for the Edge TPU"
    return f"{name}: not compiled; what follows is a PREDICTION"


def facts(inspection: Inspection) -> Facts:
    """Names and values of what concerns the model as a whole."""
    rows = [("Mapped, predicted" if inspection.predicted else "Mapped", mapped(inspection))]
    if inspection.plain is not None:
        rows.append(("Compiled from", text(inspection.plain.name)))
    rows += _compiled(inspection)
    if inspection.form is Form.PLAIN or (inspection.form is Form.SIMULATED and inspection.parameters):
        rows.append(("Parameters", f"{size(inspection.parameters)} on the {chip(inspection)}"))
    if inspection.estimate is not None:
        rows += _estimated(inspection.estimate)
    rows.append(("File size", f"{size(inspection.size)} ({inspection.size} bytes)"))
    return [*rows, *stated(inspection.statement, inspection.predicted)]


def mapped(inspection: Inspection) -> str:
    """How much runs where."""
    left = len(inspection.on_cpu)
    if inspection.refusals:
        return "0 %: the compiler would refuse the model as it is"
    if inspection.total is None or inspection.mapped is None or inspection.fraction is None:
        known = "100 %, all operations" if not left else f"unknown; {counted(left)} left on the CPU"
        return f"{known} ({len(inspection.programs)} {CUSTOM_CODE})"
    part = f"{inspection.mapped} of {counted(inspection.total)} on the {chip(inspection)}"
    return f"{percent(inspection.fraction)}: {part}{open_range(inspection)}"


def open_range(inspection: Inspection) -> str:
    """The range that a prediction leaves open; empty where it leaves nothing open."""
    if inspection.span is None or inspection.span[0] == inspection.span[1]:
        return ""
    low, high = inspection.span
    return f" (not sure: {inspection.least} to {inspection.most}, {percent(low)} to {percent(high)})"


def sources(rule: str) -> str:
    """Where a limit is known from, in a few words; empty for what any operation has to keep to."""
    limit = LIMITS.get(rule)
    if isinstance(limit, Limit):
        return str(limit.known)
    if limit is None:
        return ""
    left = f"; left, {limit.left_by}" if limit.left_by is not None else ""
    return f"mapped, {limit.mapped_by}{left}"


def percent(fraction: float) -> str:
    """A fraction as a percentage; 100 only for all of it."""
    return "100 %" if fraction == 1 else f"{min(fraction * 100, 99.9):.1f} %"


def notes(inspection: Inspection) -> Sequence[str]:
    """Sentences that the rest cannot be read without: what is uncertain, and what cannot be known."""
    found = []
    if inspection.form is Form.PLAIN:
        found.append(
            "A prediction: the Edge TPU compiler may decide otherwise (docs/models.md says how often it did)."
        )
        if inspection.estimate is not None:
            found.append(_estimate_note(inspection, inspection.estimate))
    elif inspection.form is Form.SIMULATED:
        found.append("SIMULATED: nothing here says how the Edge TPU compiler would decide, or how fast it would be.")
    elif inspection.on_cpu:
        found.append(
            "The reasons are those of the rules known here; the compiler's own are in the .log beside its output."
        )
    if any(one.seconds for one in inspection.advice):
        found.append(
            "What a change wins is for USB 3 and the Dev Board's CPU (a desktop's takes about a fifth), and rough: "
            "good to tell what to do first."
        )
    if not inspection.complete:
        found.append(
            "Which operations are on the Edge TPU, and so the mapped fraction, cannot be known from the compiled "
            "model alone: give the model that it was compiled from with --plain."
        )
    if surprises := sum(bool(one.remark) for one in inspection.operations):
        found.append(
            f"The compiler decided other than the rules known here for {surprises} operation(s), see remarks."
        )
    if inspection.subgraphs > 1:
        found.append(f"The model has {inspection.subgraphs} subgraphs; only the first was looked at.")
    return found


def shape(tensor: Tensor) -> str:
    """Sizes, with ? for what is known at run time only."""
    return "x".join("?" if side < 0 else str(side) for side in tensor.shape) or "scalar"


def quantization(tensor: Tensor) -> str:
    """Scale and zero point, or how many there are."""
    if not tensor.scales:
        return "not quantized"
    if len(tensor.scales) > 1:
        return f"per channel, {len(tensor.scales)} scales"
    return f"scale {tensor.scales[0]:.6g}, zero point {tensor.zero_points[0] if tensor.zero_points else 0}"


def short(name: str, longest: int = _LONGEST) -> str:
    """A name cut in its middle, since converters join the names of all that they fuse."""
    half = (longest - 3) // 2
    return name if len(name) <= longest else f"{name[:half]}...{name[-(longest - 3 - half) :]}"


def reason(one: Located, why: str | None = None) -> str:
    """Why an operation is where it is; empty where there is nothing to say. ``why``: instead of its own."""
    status = "" if one.place is not Place.CPU else one.status.value
    why = one.decision.why if why is None else why
    doubt = "" if one.decision.certainty is Certainty.SURE else one.decision.certainty.value
    parts = (doubt, status, short(why, _SENTENCE), one.remark)
    return "; ".join(part for part in parts if part)


def numbers(indices: Sequence[int]) -> str:
    """Operation numbers in ranges, the first few of them."""
    ranges: list[list[int]] = []
    for index in indices:
        if ranges and index == ranges[-1][1] + 1:
            ranges[-1][1] = index
        else:
            ranges.append([index, index])
    return ", ".join(some([str(a) if a == b else f"{a}-{b}" for a, b in ranges]))


def some(listed: Sequence[str], most: int = 5) -> Sequence[str]:
    """The first few, and how many more there are."""
    return listed if len(listed) <= most else [*listed[: most - 1], f"{len(listed) - most + 1} more"]


def gain(advice: Advice) -> str:
    """How much time an advice would win, about, and how many operations it would put onto the Edge TPU."""
    mapped = [counted(advice.wins) if advice.wins else "none by itself"] if advice.operations else []
    if advice.seconds is None:
        return ", ".join(["time not known", *mapped])
    time = f"about {milliseconds(advice.seconds)}" if advice.seconds >= _SEEN else "no time"
    return ", ".join([time, *mapped])


def counted(operations: int) -> str:
    """A number of operations."""
    return f"{operations} operation{'' if operations == 1 else 's'}"


def _compiled(inspection: Inspection) -> Facts:
    if inspection.form is Form.SIMULATED:
        makers = list(dict.fromkeys(text(one.note) for one in inspection.programs))
        return [("Compiled by", short("; ".join(some(makers)), 200))]
    packages = inspection.packages
    if not packages:
        return []
    compilers = list(dict.fromkeys(package.compiler_version or "not stated" for package in packages))
    cached, streamed = sum(p.cached_bytes for p in packages), sum(p.streamed_bytes for p in packages)
    return [
        ("Runtime", f"version {inspection.min_runtime_version} or newer"),
        ("Compiler", short(", ".join(some(compilers)))),
        ("Parameters", f"{_amount(cached)} on the chip, {_amount(streamed)} streamed for each inference"),
    ]


def _estimated(found: Estimate) -> Facts:
    fits = f"{size(found.streamed)} of them streamed for each inference" if found.streamed else "none streamed"
    return [
        ("Chip, estimated", f"{size(found.parameters)} of parameters, {fits}; "
         f"activations {size(found.activations)} at most at once"),
        ("Time, estimated", f"{milliseconds(found.usb3)} on USB 3, {milliseconds(found.usb2)} on USB 2"),
    ]  # fmt: skip


def _estimate_note(inspection: Inspection, found: Estimate) -> str:
    rest = ", and the part on the CPU is not in it" if inspection.on_cpu else ""
    told = f"Times are estimates, mostly within a fifth, and at times off by half or more{rest} (docs/inspect.md)."
    if not found.streamed:
        return told
    usb3, usb2 = milliseconds(found.streamed / USB3), milliseconds(found.streamed / USB2)
    return (
        f"{told} Parameters that do not fit on the chip take {usb3} on USB 3 and {usb2} on USB 2 for each inference."
    )


def milliseconds(seconds: float) -> str:
    """A time in ms, to two digits or so."""
    value = seconds * 1e3
    return f"{value:.1f} ms" if value < 10 else f"{value:,.0f} ms"


def _amount(count: int) -> str:
    return size(count) if count else "none"


def chip(inspection: Inspection) -> str:
    """The name of the device that operations run on, if not on the CPU."""
    return "SIMULATED Edge TPU" if inspection.form is Form.SIMULATED else "Edge TPU"
