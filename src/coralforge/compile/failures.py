"""Errors for what goes wrong with Google's compiler: what it means, and what helps according to those who met it.

Where coralforge would have refused the model before the compiler did, the reason is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from coralforge.compile.local import Ended, Stop
from coralforge.compile.messages import Failure
from coralforge.compile.options import CompilerOptions
from coralforge.compile.output import CompilerRun
from coralforge.compile.program import Compiler, tail
from coralforge.edgetpu.operators import newest_versions
from coralforge.errors import CoralforgeError, ExitCode, build_error
from coralforge.tflite import schema

_OLDER = "convert it again with an older TensorFlow (2.8 for most), see docs/models.md"
_SMALLER = "make the input of the model smaller, or its largest layers"

# reason, brief, remedy; the brief follows the names of the models
_MODEL: dict[Failure, tuple[str, str, str]] = {
    Failure.OP_VERSION: (
        "model-op-version",
        "has operations in versions that the Edge TPU compiler cannot read: it rejects all of the model",
        _OLDER,
    ),
    Failure.OP_NUMBER: (
        "model-op-version",
        "has operations that came after the Edge TPU compiler: it rejects all of the model",
        _OLDER,
    ),
    Failure.CUSTOM_OP: (
        "model-custom-op",
        "has custom operators that the Edge TPU compiler does not know",
        "take them out of the model, and do what they do in the program that runs it",
    ),
    Failure.FLEX: (
        "model-custom-op",
        "has operators of TensorFlow (Flex), which the Edge TPU compiler does not know",
        "convert it with TFLITE_BUILTINS_INT8 as the only supported_ops",
    ),
    Failure.DYNAMIC: (
        "model-dynamic",
        "has tensors whose size is only known at run time",
        "convert it again with a fixed shape, the batch included",
    ),
    Failure.NOT_QUANTIZED: (
        "model-not-quantized",
        "is not quantized, says the Edge TPU compiler",
        "quantize to full integer with a representative data set (invoke quantize)",
    ),
    Failure.ACTIVATIONS: (
        "model-activations",
        "has activations that do not fit into the Edge TPU's memory",
        _SMALLER,
    ),
    Failure.INTERPRETER: (
        "model-rejected",
        "does not load in the TensorFlow Lite of the Edge TPU compiler",
        "see the compiler's own words above; most likely " + _OLDER,
    ),
    Failure.UNREADABLE: ("model-rejected", "cannot be read by the Edge TPU compiler", _OLDER),
    Failure.INVALID: (
        "model-rejected",
        "is invalid, says the Edge TPU compiler",
        "see the compiler's own words above",
    ),
}
_INTERNAL = (Failure.CRASH, Failure.INTERNAL, Failure.UNEXPLAINED)


@dataclass(frozen=True)
class Failed:
    """The last run of the compiler, and what was before it."""

    compiler: Compiler
    names: str
    """The models, for the message."""
    options: CompilerOptions
    run: CompilerRun
    ended: Ended
    notes: Sequence[str]
    """Earlier tries, one sentence each."""
    log: Path
    """All that it printed."""

    def said(self) -> list[str]:
        """Findings, one fact a line."""
        return [
            *self.notes,
            *(self.run.evidence or tail(self.ended.output)),
            f"compiler: {self.compiler.name}, exit status {self.ended.status}",
            f"all that it printed: {self.log}",
        ]

    def search(self) -> str:
        """The start of a remedy: --search-delegate, unless that is not to be had or was tried."""
        if self.options.search_delegate or "search_delegate" not in self.compiler.flags:
            return ""
        return "try --search-delegate, which leaves operations at the end to the CPU until the rest fits; or "


def failed(failure: Failed) -> CoralforgeError:
    """The error for a run that was no success."""
    run, ended, names = failure.run, failure.ended, failure.names
    said = failure.said()
    if ended.stopped is not None or run.failure is Failure.TIMEOUT:
        return _stopped(failure, ended.stopped or Stop.TIME)
    if run.failure in _MODEL:
        reason, brief, remedy = _MODEL[run.failure]
        facts = [_named(run.failure, fact) for fact in run.facts()]
        return CoralforgeError(
            f"{names} {brief}",
            reason=reason,
            code=ExitCode.USER,
            details="\n".join([*facts, *said]),
            remedy=failure.search() + _SMALLER if run.failure is Failure.ACTIVATIONS else remedy,
        )
    if run.failure in _INTERNAL or ended.status > 128:
        return build_error(
            f"the Edge TPU compiler failed on {names} by a fault of its own",
            reason="compiler-internal",
            details="\n".join(said),
            remedy=f"{failure.search()}change the model a little where you can: smaller layers, another input size, "
            "no scale of 0 or infinity; give fewer options",
        )
    contradiction = run.succeeded and ended.status
    what = f"ended with status {ended.status}, though it reports success" if contradiction else "does not say why"
    return build_error(
        f"the Edge TPU compiler did not compile {names}, and {what}",
        reason="compiler-failed",
        details="\n".join(said),
        remedy="see what it printed above; give fewer options, fewer --segments for example",
    )


def _stopped(failure: Failed, stop: Stop) -> CoralforgeError:
    names = failure.names
    texts: dict[Stop, tuple[str, str, str]] = {
        Stop.TIME: (
            "compiler-timeout",
            f"the Edge TPU compiler was not done with {names} after {failure.ended.seconds:.0f} s",
            f"give it more time with --timeout; large activations take it longest: {failure.search()}{_SMALLER}",
        ),
        Stop.OUTPUT: (
            "compiler-output",
            f"the program that is to compile {names} prints without end, and was stopped",
            "see whether it is Google's edgetpu_compiler; with --search-delegate give a larger --search-step",
        ),
        Stop.MEMORY: (
            "compiler-memory",
            f"the Edge TPU compiler was killed for memory on {names}",
            _SMALLER,
        ),
    }
    reason, brief, remedy = texts[stop]
    return build_error(brief, reason=reason, details="\n".join(failure.said()), remedy=remedy)


def _named(failure: Failure, fact: tuple[str, ...]) -> str:
    """The evidence in words."""
    words: dict[Failure, Callable[..., str]] = {
        Failure.OP_VERSION: _version,
        Failure.OP_NUMBER: lambda number: schema.names("BuiltinOperator").get(int(number), f"operator {number}"),
        Failure.CUSTOM_OP: lambda name: f"custom operator {name}",
    }
    return words[failure](*fact) if failure in words else ""


def _version(name: str, version: str) -> str:
    newest = newest_versions().get(name, 0)
    return f"{name} version {version}" + (f"; the compiler reads versions up to {newest}" if newest else "")
