"""TensorFlow Lite's schema as Python: the object API that LiteRT's wheel ships, without loading its runtime."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from coralforge.errors import missing_error

_MODULE = "schema_py_generated"
_ALIGNMENT = 16


@cache
def schema() -> ModuleType:
    """The generated module (classes such as ``ModelT``). Loaded late: it costs some 0.1 s with numpy.

    Raises:
        CoralforgeError: reason ``litert-missing``.
    """
    package = importlib.util.find_spec("ai_edge_litert")  # finds it, and does not run its __init__
    places = package.submodule_search_locations if package is not None else None
    path = Path(places[0]) / f"{_MODULE}.py" if places else None
    spec = importlib.util.spec_from_file_location(_MODULE, path) if path is not None and path.is_file() else None
    if spec is None or spec.loader is None:
        raise missing_error(
            "the Python package ai-edge-litert, which reads .tflite files, is not installed",
            reason="litert-missing",
            remedy="run scripts/bootstrap, which installs requirements.lock",
        )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def names(enumeration: str) -> dict[int, str]:
    """Number to name of one of the schema's enumerations, for example ``TensorType``."""
    return {number: name for name, number in vars(getattr(schema(), enumeration)).items() if name[:1] != "_"}


def new(kind: str, **fields: Any) -> Any:
    """An object of the object API: ``new("Tensor", name=b"x")``."""
    made = getattr(schema(), f"{kind}T")()
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def unpack(data: bytes) -> Any:
    """The ``ModelT`` of bytes that ``flatbuffer.walk`` has let through; vectors of numbers are views of ``data``."""
    return schema().ModelT.InitFromPackedBuf(data, 0)


def pack(model: Any) -> bytes:
    """The bytes of a ``ModelT``: the same for the same model, byte vectors aligned to 16 as the schema demands."""
    builder = _builder()
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def numbers(data: bytes) -> Any:
    """A byte vector in the form that :func:`pack` takes fast."""
    import numpy

    return numpy.frombuffer(data, dtype=numpy.uint8)


def _builder() -> Any:
    import flatbuffers

    class Aligned(flatbuffers.Builder):  # type: ignore[misc]
        """Python's generated code ignores `force_align: 16` of the schema's Buffer.data, so it is done here."""

        def CreateNumpyVector(self, array: Any) -> Any:
            if array.dtype.itemsize == 1:
                self.Prep(_ALIGNMENT, array.size)
            return super().CreateNumpyVector(array)

    return Aligned(1 << 16)
