"""Takes bytes through all that `invoke inspect` does; for the tests that feed it damaged ones."""

from __future__ import annotations

import io
import json
from pathlib import Path

from coralforge.errors import CoralforgeError, ExitCode
from coralforge.inspect.document import json_text
from coralforge.inspect.inspection import Inspection
from coralforge.inspect.inspector import inspect_model
from coralforge.inspect.page import html
from coralforge.inspect.text import plain_text, report_of, show
from coralforge.tflite.model import Model, parse_model, read_model

X = Path("x.tflite")


class Terminal(io.StringIO):
    """A stand-in for a terminal."""

    def isatty(self) -> bool:
        return True


def inspect_file(path: Path, data: bytes) -> Inspection | None:
    """The inspection of a file of any kind with these bytes; None where it was refused, with one clear error."""
    path.write_bytes(data)
    try:
        inspection = inspect_model(read_model(path))
    except CoralforgeError as error:
        assert error.code is ExitCode.USER
        assert error.reason in ("model-format", "model-invalid", "model-package")
        assert str(path) in error.brief
        assert (error.brief + error.remedy).isprintable()
        assert len(error.brief + error.remedy) < 2000
        return None
    assert plain_text(report_of(inspection)).startswith(path.name)
    assert json.loads(json_text(inspection))["format"] == 1
    return inspection


def inspect_everything(data: bytes, plain: Model | None = None, terminal: bool = False) -> Inspection | None:
    """The inspection, after it was shown in each form; None where the bytes were refused, with one clear error."""
    try:
        inspection = inspect_model(parse_model(X, data), plain)
    except CoralforgeError as error:
        assert error.code is ExitCode.USER
        assert error.reason in ("model-invalid", "model-package", "model-pair")
        assert str(X) in str(error)
        return None
    assert plain_text(report_of(inspection)).startswith(str(X))
    assert json.loads(json_text(inspection))["format"] == 1
    assert html(inspection).endswith("</html>")
    if terminal:
        show(inspection, Terminal())
    return inspection
