"""Reads an ONNX file that may come from anywhere. Nothing outside the model's folder is opened."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from coralforge.errors import (
    CoralforgeError,
    first_line,
    model_invalid,
    model_missing,
    model_too_large,
    model_unreadable,
    user_error,
)

MAX_BYTES = 1 << 30  # of a model and its external data; a hundred times what an Edge TPU holds
_OWN = ("", "ai.onnx")
_QUANTIZED = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "ConvInteger", "MatMulInteger")
_EXPORT = "export it with its weights in one file: torch.onnx.export(..., external_data=False)"
_DETECTION = ("NonMaxSuppression",)


def read(path: Path) -> Any:
    """The model, with all its weights.

    Raises:
        CoralforgeError: exit code 2, reason ``model-missing``, ``model-unreadable``, ``model-too-large``,
            ``model-invalid``, ``model-external-data`` or ``model-quantized``.
    """
    import onnx

    try:
        if path.stat().st_size > MAX_BYTES:
            raise _too_large(path)
        model = onnx.load_model_from_string(path.read_bytes())
    except CoralforgeError:
        raise
    except FileNotFoundError as error:
        raise model_missing(path) from error
    except OSError as error:
        raise model_unreadable(path, error) from error
    except Exception as error:  # protobuf's own
        raise _invalid(path, f"its protocol buffer is damaged ({first_line(error)})") from error
    if not model.graph.node or not model.graph.output:
        raise _invalid(path, "it has no graph")
    if not all(isinstance(text, str) for text in _texts(model.graph)):
        raise _invalid(path, "it has names that are no text (UTF-8)")
    _load_external(path, model)
    _check_float(path, model)
    return model


def opset(model: Any) -> int:
    """The version of ONNX' own operators that the model is written in."""
    return max((one.version for one in model.opset_import if one.domain in _OWN), default=1)


def producer(model: Any) -> str:
    """Who wrote the file, for people."""
    text = f"{model.producer_name} {model.producer_version}".strip()[:60]
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def inputs(model: Any) -> list[Any]:
    """The inputs that are not weights."""
    weights = {one.name for one in model.graph.initializer}
    return [one for one in model.graph.input if one.name not in weights]


def check_known(path: str, model: Any) -> None:
    """Refuse operations that the converter does not have, before anything tries them.

    Raises:
        CoralforgeError: exit code 2, reason ``model-op-unsupported``.
    """
    nodes = list(model.graph.node)
    foreign = {f"{node.domain}.{node.op_type}" for node in nodes if node.domain not in _OWN}
    unknown = {node.op_type for node in nodes if node.domain in _OWN} - _converted()
    chosen = {node.op_type for node in nodes if node.op_type in _DETECTION}
    if foreign or unknown or chosen:
        raise user_error(
            f"{path} has operations that cannot be converted",
            reason="model-op-unsupported",
            details=", ".join(sorted(foreign | unknown | chosen)[:20]),
            remedy="end before them with --outputs NAME,... (names of tensors in the model), or export it without"
            + (" non-maximum suppression (nms=False): bin/detect has its own" if chosen else " them"),
        )


def check_straight(path: str, model: Any) -> None:
    """Refuse branches and loops that are left when constants are folded.

    Raises:
        CoralforgeError: exit code 2, reason ``model-control-flow``.
    """
    loops = sorted({node.op_type for node in model.graph.node if any(one.HasField("g") for one in node.attribute)})
    if loops:
        raise user_error(
            f"{path} has control flow: {', '.join(loops)}",
            reason="model-control-flow",
            remedy="export it for inputs of fixed size; or end before it with --outputs NAME,...",
        )


def _converted() -> set[str]:
    """The operations that onnx2tf has a module for; it is not imported for this."""
    package = find_spec("onnx2tf")
    assert package is not None
    assert package.origin is not None
    return {place.stem for place in (Path(package.origin).parent / "ops").glob("*.py")}


def _load_external(path: Path, model: Any) -> None:
    """Weights that stand in other files: only in the model's folder, and only whole ones."""
    from onnx import TensorProto
    from onnx.external_data_helper import load_external_data_for_model

    folder = path.parent.resolve()
    total = 0
    for tensor in _tensors(model):
        if tensor.data_location != TensorProto.EXTERNAL:
            continue
        location = {one.key: one.value for one in tensor.external_data}.get("location", "")
        place = (folder / location).resolve()
        if not location or not place.is_relative_to(folder):
            raise _invalid(path, f"its weights are at {location[:100]!r}, outside its folder")
        if not place.is_file():
            raise user_error(
                f"{path} has its weights in another file, {location[:100]!r}, which is not beside it",
                reason="model-external-data",
                remedy=f"put that file beside it; or {_EXPORT}",
            )
        total = max(total, place.stat().st_size)
    if total > MAX_BYTES:
        raise _too_large(path)
    try:
        load_external_data_for_model(model, str(folder))
    except Exception as error:
        raise _invalid(path, f"its weights in another file are damaged ({first_line(error)})") from error


def _texts(graph: Any) -> Iterator[Any]:
    """All names; protobuf gives bytes for what is no text."""
    for one in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        yield one.name
    for node in graph.node:
        yield from (node.op_type, node.domain, node.name, *node.input, *node.output)
        for field in node.attribute:
            yield field.name
            if field.HasField("g"):
                yield from _texts(field.g)


def _tensors(model: Any) -> Iterator[Any]:
    yield from model.graph.initializer
    for node in model.graph.node:
        for field in node.attribute:
            if field.HasField("t"):
                yield field.t
            yield from field.tensors


def _check_float(path: Path, model: Any) -> None:
    found = sorted({node.op_type for node in model.graph.node if _is_quantized(node.op_type)})
    if found:
        raise user_error(
            f"{path} is quantized already ({', '.join(found[:5])})",
            reason="model-quantized",
            remedy="give the float model that it was made of; the Edge TPU takes what TensorFlow Lite quantizes",
        )


def _is_quantized(name: str) -> bool:
    return name in _QUANTIZED or name.startswith("QLinear")


def _invalid(path: Path, what: str) -> CoralforgeError:
    return model_invalid(path, what, "ONNX model")


def _too_large(path: Path) -> CoralforgeError:
    return model_too_large(f"{path} has more than {MAX_BYTES >> 20} MiB; a model for an Edge TPU has less")
