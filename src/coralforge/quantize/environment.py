"""Finds the Python that has TensorFlow: TensorFlow is never imported in the engine's own process."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from coralforge.errors import CoralforgeError, missing_error
from coralforge.util.paths import typed

ROOT = Path(__file__).resolve().parents[3]
VARIABLE = "CORALFORGE_MODELS_PYTHON"
FOLDER = ".venv-models"
LOCK = "requirements-models.lock"
STAMP = "coralforge.stamp"
_SIZE = "downloads 0.4 GB, takes 1.7 GB of disk and about a minute"


def find_python(root: Path = ROOT, environ: Mapping[str, str] = os.environ) -> Path:
    """The interpreter for the worker: what the variable says, this one if it has TensorFlow, or .venv-models.

    Args:
        root: the folder of the checkout.

    Raises:
        CoralforgeError: reason ``tensorflow-missing``, exit code 3.
    """
    if said := environ.get(VARIABLE):
        chosen = typed(said).absolute()
        if not (chosen.is_file() and os.access(chosen, os.X_OK)):
            raise _missing(f"{VARIABLE} is {said}, which is no program", f"correct or unset {VARIABLE}")
        return chosen
    if importlib.util.find_spec("tensorflow") is not None:  # looks, and does not import
        return Path(sys.executable)
    python = root / FOLDER / "bin" / "python"
    if not python.exists():
        raise _missing("TensorFlow, which quantizes models, is not installed", _remedy())
    if not _fits(root):
        raise _missing(f"{FOLDER} was not made from the {LOCK} that is here", _remedy())
    return python


def _fits(root: Path) -> bool:
    """Whether scripts/bootstrap finished .venv-models, from this lock."""
    try:
        stamp = (root / FOLDER / STAMP).read_text(encoding="utf-8")
        return stamp.split()[:1] == [hashlib.sha256((root / LOCK).read_bytes()).hexdigest()]
    except OSError:
        return False


def _remedy() -> str:
    return f"run the task once by scripts/bootstrap --models instead of invoke ({_SIZE})"


def _missing(brief: str, remedy: str) -> CoralforgeError:
    return missing_error(brief, reason="tensorflow-missing", remedy=remedy)
