"""How often the float and the quantized model are right, on samples of which the class is known. Needs numpy only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from coralforge.errors import CoralforgeError, user_error
from coralforge.quantize.worker.labelled import Classes
from coralforge.quantize.worker.wire import one_line

TOP = 5
MOST_CLASSES = 1000  # that are listed


@dataclass
class Right:
    """How many samples of all that were seen one model was right about."""

    top1: int = 0
    top5: int = 0
    found: set[int] = field(default_factory=set)
    """The classes that it found."""


@dataclass
class Evaluation:
    """Collects samples, one after the other. Memory grows with the number of classes, not with that of samples.

    ``output`` names the scores, of which there are ``count``; one alone says whether it is class 1, above
    ``threshold``.
    """

    output: str
    count: int
    threshold: float
    seen: int = 0
    exact: Right = field(default_factory=Right)
    quantized: Right = field(default_factory=Right)
    lost: int = 0
    """About which only the float model was right."""
    gained: int = 0
    by_class: dict[int, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0, 0]))
    """Samples, and how many of them the float and the quantized model were right about."""

    def add(self, label: int, exact: Any, quantized: Any) -> None:
        """One sample: its class, and the scores of both models."""
        right = [_add(side, self._ranked(scores, label)) for side, scores in self._sides(exact, quantized)]
        self.seen += 1
        self.lost += right[0] and not right[1]
        self.gained += right[1] and not right[0]
        counts = self.by_class[label]
        for place, more in enumerate((1, *right)):
            counts[place] += more

    def _sides(self, exact: Any, quantized: Any) -> list[tuple[Right, Any]]:
        return [(self.exact, exact), (self.quantized, quantized)]

    def _ranked(self, scores: Any, label: int) -> tuple[int, int]:
        """The class with the best score, and how many others have a score as good as the right one's."""
        row = scores.ravel()
        if self.count == 2 and row.size == 1:
            best = int(row[0] > self.threshold)
            return best, int(best != label)
        return int(row.argmax()), int((row >= row[label]).sum()) - 1

    def summary(self, classes: Classes) -> dict[str, Any]:
        """The figures, as JSON values."""
        made: dict[str, Any] = {"output": self.output, "classes": self.count, "samples": self.seen}
        for name, side in (("float", self.exact), ("quantized", self.quantized)):
            made[name] = {"top1": side.top1 / self.seen, "classes_found": len(side.found)}
            if self.count > TOP:
                made[name]["top5"] = side.top5 / self.seen
        made |= {"lost": self.lost, "gained": self.gained, "labels_seen": len(self.by_class)}
        made["by_class"] = [self._class(number, classes) for number in sorted(self._shown())]
        return made

    def _shown(self) -> list[int]:
        """The classes to list: all, or those that lose most where they are many."""
        losses = {number: exact - quantized for number, (_, exact, quantized) in self.by_class.items()}
        return sorted(losses, key=lambda number: (-losses[number], number))[:MOST_CLASSES]

    def _class(self, number: int, classes: Classes) -> dict[str, Any]:
        count, exact, quantized = self.by_class[number]
        name = one_line(classes.name(number), 100)
        return {"class": number, "name": name, "samples": count, "float": exact, "quantized": quantized}


def _add(side: Right, ranked: tuple[int, int]) -> bool:
    best, before = ranked
    side.found.add(best)
    side.top1 += before == 0
    side.top5 += before < TOP
    return before == 0


def choose_output(sizes: Mapping[str, tuple[int, ...]], classes: Classes) -> tuple[str, int]:
    """The output that has the scores, the only one of 1 x classes or of 1 x 1, and the number of classes.

    Args:
        sizes: shapes of the outputs by name.

    Raises:
        CoralforgeError: reason ``labels-mismatch``, where there is none or more than one, or other classes.
    """
    fit = {name: shape[1] for name, shape in sizes.items() if len(shape) == 2 and shape[0] == 1}
    if len(fit) > 1 and classes.names:
        fit = {name: count for name, count in fit.items() if count == len(classes.names)} or fit
    if len(fit) != 1:
        shown = "; ".join(f"{name}: {'x'.join(map(str, shape))}" for name, shape in sizes.items())
        raise _mismatch(f"which output has the scores of the classes is not clear, of {shown}")
    [(name, count)] = fit.items()
    classes.require(max(count, 2))
    return name, max(count, 2)


def check_labels(labels: Sequence[int], count: int, origin: str) -> None:
    """Refuse classes that the model has no score for (reason ``labels-mismatch``)."""
    wrong = [label for label in labels if not 0 <= label < count]
    if wrong:
        raise _mismatch(f"{origin} has samples of class {wrong[0]}, and the model gives {count} scores")


def _mismatch(brief: str) -> CoralforgeError:
    return user_error(
        brief, reason="labels-mismatch", remedy="--evaluate is for models that give one score for each class"
    )
