"""Finds the Python that has TensorFlow: TensorFlow is never imported in the engine's own process."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from coralforge.errors import missing_error
from coralforge.util.paths import typed

ROOT = Path(__file__).resolve().parents[3]
STAMP = "coralforge.stamp"


@dataclass(frozen=True)
class Environment:
    """A virtual environment that scripts/bootstrap makes, and how errors speak of it."""

    folder: str
    variable: str
    """With it, users name another Python instead."""
    locks: tuple[str, ...]
    """Files with the packages that it is made of, its own first."""
    reason: str
    absent: str
    """The sentence for when it is not there."""
    remedy: str

    def chosen(self, environ: Mapping[str, str]) -> Path | None:
        """The interpreter that the variable names; None where it names none.

        Raises:
            CoralforgeError: ``reason``, exit code 3: no program is there.
        """
        said = environ.get(self.variable)
        if not said:
            return None
        python = typed(said).absolute()
        if not (python.is_file() and os.access(python, os.X_OK)):
            brief = f"{self.variable} is {said}, which is no program"
            raise missing_error(brief, reason=self.reason, remedy=f"correct or unset {self.variable}")
        return python

    def made(self, root: Path) -> Path:
        """The interpreter of the environment in the checkout at ``root``.

        Raises:
            CoralforgeError: ``reason``, exit code 3: it is not there, or was not finished, or is of other locks.
        """
        python = root / self.folder / "bin" / "python"
        if not python.exists():
            raise missing_error(self.absent, reason=self.reason, remedy=self.remedy)
        if not self._fits(root):
            brief = f"{self.folder} was not made from the {' and '.join(self.locks)} of this checkout"
            raise missing_error(brief, reason=self.reason, remedy=self.remedy)
        return python

    def _fits(self, root: Path) -> bool:
        """Whether scripts/bootstrap finished it, from these locks."""
        try:
            stamp = (root / self.folder / STAMP).read_text(encoding="utf-8").split()
            return all(hashlib.sha256((root / name).read_bytes()).hexdigest() in stamp for name in self.locks)
        except OSError:
            return False


MODELS = Environment(
    ".venv-models",
    "CORALFORGE_MODELS_PYTHON",
    ("requirements-models.lock",),
    "tensorflow-missing",
    "TensorFlow, which quantizes models, is not installed",
    "run the task once by scripts/bootstrap --models instead of invoke "
    "(downloads 0.4 GB, takes 1.7 GB of disk and about a minute)",
)


def find_python(root: Path = ROOT, environ: Mapping[str, str] = os.environ) -> Path:
    """The interpreter for the worker: what the variable says, this one if it has TensorFlow, or .venv-models.

    Args:
        root: the folder of the checkout.

    Raises:
        CoralforgeError: reason ``tensorflow-missing``, exit code 3.
    """
    if chosen := MODELS.chosen(environ):
        return chosen
    if importlib.util.find_spec("tensorflow") is not None:  # looks, and does not import
        return Path(sys.executable)
    return MODELS.made(root)
