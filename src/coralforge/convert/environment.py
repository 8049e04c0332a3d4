"""Finds the Python that has onnx2tf, which is never imported in the engine's own process."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from coralforge.quantize.environment import MODELS, ROOT, Environment

CONVERT = Environment(
    ".venv-convert",
    "CORALFORGE_CONVERT_PYTHON",
    ("requirements-convert.lock", *MODELS.locks),
    "converter-missing",
    "onnx2tf, which converts ONNX models, is not installed",
    "run the task once by scripts/bootstrap --convert instead of invoke "
    "(on top of TensorFlow it downloads 40 MB and takes 0.2 GB of disk)",
)


def find_python(root: Path = ROOT, environ: Mapping[str, str] = os.environ) -> Path:
    """The interpreter that the variable names, or of .venv-convert.

    Args:
        root: the folder of the checkout.

    Raises:
        CoralforgeError: reason ``converter-missing``, exit code 3.
    """
    return CONVERT.chosen(environ) or CONVERT.made(root)
