"""Who gets how much of the chip's memory, where several models are compiled together to share one Edge TPU.

The compiler fixes it, in the order in which it is given the models; what finds no room is streamed from the host for
each inference. Before it runs this can be estimated, afterwards it stands in its files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from coralforge.compile.simulator_report import size
from coralforge.edgetpu.estimate import CACHE, USB2, USB3, estimate
from coralforge.edgetpu.package import Package
from coralforge.edgetpu.partition import partition
from coralforge.tflite.graph import text
from coralforge.tflite.model import Model

_SHORT = 40  # characters of a name


@dataclass(frozen=True)
class Share:
    """The parameters of one model, in bytes: in the chip's memory, and sent for each inference."""

    name: str
    cached: int
    streamed: int
    tokens: frozenset[int] = frozenset()
    """Models of one token share the memory, of another they take it from each other. Empty for an estimate."""


@dataclass(frozen=True)
class CachingPlan:
    """The shares of all models, in the order in which the compiler got them."""

    shares: tuple[Share, ...]
    estimated: bool

    @property
    def cached(self) -> int:
        """Bytes in the chip's memory."""
        return sum(share.cached for share in self.shares)

    @property
    def together(self) -> bool:
        """Whether all can be in the chip's memory at once."""
        return len(frozenset().union(*(share.tokens for share in self.shares))) <= 1

    @property
    def data(self) -> list[dict[str, Any]]:
        """As JSON values."""
        return [
            {
                "name": share.name,
                "cached_bytes": share.cached,
                "streamed_bytes": share.streamed,
                "tokens": [f"{token:016x}" for token in sorted(share.tokens)],
            }
            for share in self.shares
        ]


def estimated_plan(models: Sequence[Model]) -> CachingPlan:
    """The plan that is to be expected: the first takes what it needs, the next of what is left, and so on.

    A model of which nothing can be said takes none.
    """
    left, shares = CACHE, []
    for model in models:
        found = estimate(model.graph, partition(model.graph))
        needed = found.parameters if found is not None else 0
        cached = min(needed, left)
        left -= cached
        shares.append(Share(model.path.name, cached, needed - cached))
    return CachingPlan(tuple(shares), estimated=True)


def real_plan(compiled: Sequence[tuple[str, Sequence[Package]]]) -> CachingPlan:
    """The plan that stands in compiled files: the name of each model, and its packages."""
    return CachingPlan(tuple(_share(name, packages) for name, packages in compiled), estimated=False)


def _share(name: str, packages: Sequence[Package]) -> Share:
    executables = [one for package in packages for one in package.executables]
    return Share(
        name,
        sum(one.cached_bytes for one in packages),
        sum(one.streamed_bytes for one in packages),
        frozenset(one.parameter_caching_token for one in executables if one.parameter_caching_token),
    )


def plan_text(plan: CachingPlan) -> str:
    """The plan for the terminal."""
    title = "expected (estimated: the compiler decides)" if plan.estimated else "as compiled"
    lines = [f"Parameters on one Edge TPU, {title}, in the order of the models:"]
    lines += [f"  {number}. {_line(share)}" for number, share in enumerate(plan.shares, 1)]
    lines.append(f"  together {size(plan.cached)} of about {size(CACHE)} on the chip")
    if plan.estimated:
        return "\n".join(lines) + "\n"
    if not plan.together:
        lines.append("  warning: their tokens differ: each takes the memory from the others, as if compiled apart")
    elif plan.cached:
        lines.append(
            "  compiled apart, each change of model would load its parameters anew: together "
            f"{_milliseconds(plan.cached / USB3)} on USB 3, {_milliseconds(plan.cached / USB2)} on USB 2"
        )
    if any(share.streamed for share in plan.shares):
        lines.append("  the first comes first: begin with the model that runs most often (--model A --model B ...)")
    return "\n".join(lines) + "\n"


def _line(share: Share) -> str:
    name = text(share.name)
    if not share.cached + share.streamed:
        return f"{name[:_SHORT]}: none"
    said = f"{name if len(name) <= _SHORT else name[: _SHORT - 3] + '...'}: {size(share.cached)} on the chip"
    if not share.streamed:
        return f"{said}, all of it"
    times = f"{_milliseconds(share.streamed / USB3)} on USB 3, {_milliseconds(share.streamed / USB2)} on USB 2"
    return f"{said}, {size(share.streamed)} streamed for each inference ({times})"


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:.1f} ms"
