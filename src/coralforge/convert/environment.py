"""Finds the Python that has onnx2tf, which is never imported in the engine's own process."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from coralforge.errors import CoralforgeError, missing_error
from coralforge.quantize.environment import LOCK as BASE_LOCK
from coralforge.quantize.environment import ROOT, STAMP
from coralforge.util.paths import typed

VARIABLE = "CORALFORGE_CONVERT_PYTHON"
FOLDER = ".venv-convert"
LOCK = "requirements-convert.lock"
_REMEDY = (
    "run the task once by scripts/bootstrap --convert instead of invoke (on top of TensorFlow it downloads 40 MB and "
    "takes 0.2 GB of disk)"
)


def find_python(root: Path = ROOT, environ: Mapping[str, str] = os.environ) -> Path:
    """The interpreter that the variable names, or of .venv-convert, made from the locks that are here.

    Raises:
        CoralforgeError: reason ``converter-missing``, exit code 3.
    """
    if said := environ.get(VARIABLE):
        chosen = typed(said).absolute()
        if not (chosen.is_file() and os.access(chosen, os.X_OK)):
            raise _missing(f"{VARIABLE} is {said}, which is no program")
        return chosen
    python = root / FOLDER / "bin" / "python"
    if not python.exists():
        raise _missing("onnx2tf, which converts ONNX models, is not installed")
    if not _fits(root):
        raise _missing(f"{FOLDER} was not made from the {LOCK} and {BASE_LOCK} that are here")
    return python


def _fits(root: Path) -> bool:
    try:
        stamp = (root / FOLDER / STAMP).read_text(encoding="utf-8").split()
        return all(hashlib.sha256((root / name).read_bytes()).hexdigest() in stamp for name in (LOCK, BASE_LOCK))
    except OSError:
        return False


def _missing(brief: str) -> CoralforgeError:
    return missing_error(brief, reason="converter-missing", remedy=_REMEDY)
