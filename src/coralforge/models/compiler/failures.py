"""Errors for what goes wrong with Google's compiler: what it means, and what helps according to those who met it.

Where coralforge would have refused the model before the compiler did, the reason is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from coralforge.errors import CoralforgeError, ExitCode, build_error
from coralforge.models import schema
from coralforge.models.compiler.local import Ended, Stop
from coralforge.models.compiler.messages import Failure
from coralforge.models.compiler.output import CompilerRun
from coralforge.models.compiler.program import Compiler, tail
from coralforge.models.ops import newest_versions

_OLDER = "convert it again with an older TensorFlow (2.8 for most), see docs/models.md"
_SMALLER = "make the input of the model smaller, or its largest layers"
_SEARCH = "try --search-delegate, which leaves operations at the end to the CPU until the rest fits"

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
        f"{_SEARCH}; or {_SMALLER}",
    ),
    Failure.INTERPRETER: (
        "model-rejected",
        "does not load in the TensorFlow Lite of the Edge TPU compiler",
        "see the compiler's own words above; most likely " + _OLDER,
    ),
    Failure.UNREADABLE: ("model-rejected", "cannot be read by the Edge TPU compiler", _OLDER),
    Failure.INVALID: ("model-rejected", "is invalid, says the Edge TPU compiler", "see the compiler's own words above"),
}
_INTERNAL = (Failure.CRASH, Failure.INTERNAL, Failure.UNEXPLAINED)


def failed(compiler: Compiler, names: str, run: CompilerRun, ended: Ended, notes: Sequence[str]) -> CoralforgeError:
    """The error for a run that was no success.

    Args:
        names: the models, for the message.
        notes: what was tried before, one sentence each.
    """
    said = [*notes, *(run.evidence or tail(ended.output)), f"compiler: {compiler.name}, exit status {ended.status}"]
    if ended.stopped is not None:
        return _stopped(names, ended.stopped, ended.seconds, said)
    if run.failure is Failure.TIMEOUT:
        return _stopped(names, Stop.TIME, ended.seconds, said)
    if run.failure in _MODEL:
        reason, brief, remedy = _MODEL[run.failure]
        facts = [_named(run.failure, fact) for fact in run.facts()]
        details = "\n".join([*facts, *said])
        return CoralforgeError(
            f"{names} {brief}", reason=reason, code=ExitCode.USER, details=details, remedy=remedy
        )
    if run.failure in _INTERNAL or ended.status > 128:
        return build_error(
            f"the Edge TPU compiler failed on {names} by a fault of its own",
            reason="compiler-internal",
            details="\n".join(said),
            remedy="change the model a little where you can: fewer or smaller layers, another input size, no scales of "
            f"zero or infinity; fewer options; {_SEARCH}",
        )
    return build_error(
        f"the Edge TPU compiler did not compile {names}, and does not say why",
        reason="compiler-failed",
        details="\n".join(said),
        remedy="see what it printed above; run it by hand with the same model to see all of it",
    )


def _stopped(names: str, stop: Stop, seconds: float, said: Sequence[str]) -> CoralforgeError:
    texts: dict[Stop, tuple[str, str, str]] = {
        Stop.TIME: (
            "compiler-timeout",
            f"the Edge TPU compiler was not done with {names} after {seconds:.0f} s",
            f"give it more time with --timeout; large activations take it longest: {_SEARCH}; or {_SMALLER}",
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
    return build_error(brief, reason=reason, details="\n".join(said), remedy=remedy)


def _named(failure: Failure, fact: tuple[str, ...]) -> str:
    """What the evidence says, in words."""
    words: dict[Failure, Callable[..., str]] = {
        Failure.OP_VERSION: _version,
        Failure.OP_NUMBER: lambda number: schema.names("BuiltinOperator").get(int(number), f"operator {number}"),
        Failure.CUSTOM_OP: lambda name: f"custom operator {name}",
    }
    return words[failure](*fact) if failure in words else ""


def _version(name: str, version: str) -> str:
    newest = newest_versions().get(name, 0)
    return f"{name} version {version}" + (f"; the compiler reads versions up to {newest}" if newest else "")
