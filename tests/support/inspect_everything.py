"""Takes bytes through all that `invoke inspect` does; for the tests that feed it damaged ones."""

from __future__ import annotations

import io
import json
from pathlib import Path

from coralforge.compile.simulator import compile_for_simulator
from coralforge.errors import CoralforgeError, ExitCode
from coralforge.inspect.document import json_text
from coralforge.inspect.inspection import Inspection
from coralforge.inspect.inspector import inspect_model
from coralforge.inspect.page import html
from coralforge.inspect.text import plain_text, report_of, show
from coralforge.tflite.carried import with_statement
from coralforge.tflite.labels import labels_of
from coralforge.tflite.metadata import read_metadata
from coralforge.tflite.model import Model, parse_model, read_model
from tests.support.compiled_maker import as_hardware
from tests.support.model_maker import classifier

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
        assert error.reason in ("model-format", "model-weights-only", "model-invalid", "model-package")
        assert str(path) in error.brief
        assert (error.brief + error.remedy).isprintable()
        assert len(error.brief + error.remedy) < 2000
        return None
    assert plain_text(report_of(inspection)).startswith(path.name)
    assert json.loads(json_text(inspection))["format"] == 1
    return inspection


def carry_everything(data: bytes) -> bool:
    """Compile a model for the simulator, and take what it says of itself to one that says nothing; False: refused.

    What comes out says the same, or that it is damaged.
    """
    try:
        plain = parse_model(X, data)
        simulated = parse_model(X, compile_for_simulator(plain).data)
    except CoralforgeError as error:
        assert error.code is ExitCode.USER
        return False
    silent = as_hardware(classifier())
    kept = parse_model(X, with_statement(parse_model(X, silent), silent, plain))
    for model in (simulated, kept):
        found, before = read_metadata(model), read_metadata(plain)
        assert (found is None) == (before is None)
        assert found is None or before is None or found.name == before.name
        labels_of(model, found)
    return True


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
