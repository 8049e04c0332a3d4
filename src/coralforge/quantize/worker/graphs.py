"""Looks into TensorFlow graphs: which operations they hold, and whether they scale their input themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from coralforge.errors import model_invalid, user_error

# Operations that reach out of the model: files, and Python code. (Restoring weights is done by loading alone.)
OUTSIDE = {
    *("ReadFile", "WriteFile", "MatchingFiles", "WholeFileReader", "WholeFileReaderV2"),
    *("PyFunc", "PyFuncStateless", "EagerPyFunc", "PrintV2", "RpcCall"),
    *("Save", "SaveV2", "SaveSlices", "Restore", "RestoreV2", "RestoreSlice", "MergeV2Checkpoints"),
    *("LoadDataset", "SaveDatasetV2", "Copy", "CopyHost", "DebugIdentity", "DebugIdentityV2"),
}
_BY_LOADING = {"Save", "SaveV2", "Restore", "RestoreV2", "MergeV2Checkpoints", "PrintV2"}
_LOOPS = {"While", "StatelessWhile", "If", "StatelessIf"}
_PASSING = {"Identity", "Cast", "StopGradient", "Transpose", "Reshape", "ExpandDims", "Pad", "PadV2"}
_AFFINE = {"Mul", "Add", "AddV2", "BiasAdd", "Sub", "RealDiv"}
_MAX_WALK = 16
_FUSED = "api_implements"  # an LSTM of Keras 2, which the converter makes one operation of


def check_loading(path: Path, trust: bool) -> None:
    """Refuse a SavedModel that would reach out of itself, before any of it runs.

    Raises:
        CoralforgeError: reason ``model-code`` or ``model-invalid``; exit code 2.
    """
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    if not (path / "saved_model.pb").is_file():
        return  # the text form: TensorFlow's loader decides
    model = saved_model_pb2.SavedModel()
    try:
        model.ParseFromString((path / "saved_model.pb").read_bytes())
    except DecodeError as error:
        raise model_invalid(path, "its saved_model.pb is damaged") from error
    names = {
        node.op
        for meta in model.meta_graphs
        for nodes in (meta.graph_def.node, *(function.node_def for function in meta.graph_def.library.function))
        for node in nodes
    }
    _refuse(str(path), names & (OUTSIDE - _BY_LOADING), trust)


def check_graph(model: str, graph: Any, trust: bool) -> None:
    """Refuse a computation (a ``GraphDef``) that reaches out of the model, or that loops.

    Raises:
        CoralforgeError: reason ``model-code`` or ``model-control-flow``; exit code 2.
    """
    functions = {function.signature.name: function for function in graph.library.function}
    _refuse(model, _reached(graph.node, functions, everything=True) & OUTSIDE, trust)
    if loops := sorted(_reached(graph.node, functions, everything=False) & _LOOPS):
        raise user_error(
            f"{model} has loops or branches, which the Edge TPU compiler does not take",
            reason="model-control-flow",
            details=f"operations: {', '.join(loops)}",
            remedy="recurrent layers of Keras 3: set unroll=True and save again; replace tf.while_loop and tf.cond",
        )


def _reached(nodes: Iterable[Any], functions: dict[str, Any], everything: bool) -> set[str]:
    """Names of all operations, also those in functions that are called; fused functions only for ``everything``."""
    names: set[str] = set()
    waiting, seen = [nodes], set[str]()
    while waiting:
        for node in waiting.pop():
            names.add(node.op)
            called = [node.op, *(attribute.func.name for attribute in node.attr.values())]
            called += [function.name for attribute in node.attr.values() for function in attribute.list.func]
            for name in set(called) & set(functions) - seen:
                seen.add(name)
                if everything or _FUSED not in functions[name].attr:
                    waiting.append(functions[name].node_def)
    return names


def _refuse(model: str, names: set[str], trust: bool) -> None:
    if names and not trust:
        raise user_error(
            f"{model} has operations that reach out of the model, which would run when it is used",
            reason="model-code",
            details=", ".join(sorted(names)),
            remedy="if you know who made it, add --trust",
        )


def scales_pixels(frozen: Any) -> bool:
    """Whether a frozen function of one input begins with a scaling that only makes sense for pixels, 0 to 255.

    That is what Keras' Rescaling and Normalization layers leave in a graph: additions of and multiplications with
    constants. A scaling for 0..1 (such as ``2 * x - 1``) is not taken for one.
    """
    import numpy as np

    users: dict[str, list[Any]] = {}
    for operation in frozen.graph.get_operations():
        for tensor in operation.inputs:
            users.setdefault(tensor.name, []).append(operation)
    tensor, slope, shift = frozen.inputs[0], np.ones(1), np.zeros(1)
    for _ in range(_MAX_WALK):
        readers = users.get(tensor.name, [])
        if len(readers) != 1 or readers[0].type not in _PASSING | _AFFINE:
            break
        if readers[0].type in _AFFINE:
            step = _step(readers[0], tensor, slope, shift)
            if step is None:
                break
            slope, shift = step
        tensor = readers[0].outputs[0]
    steep, far = float(np.abs(slope).max()), float(np.abs(shift).max())
    return 0 < steep <= 0.1 or (steep <= 1 and far >= 20)


def _step(operation: Any, tensor: Any, slope: Any, shift: Any) -> tuple[Any, Any] | None:
    """The scaling after one more operation; None when its other operand is no small constant."""
    import numpy as np

    first, second = operation.inputs[0], operation.inputs[1]
    other, swapped = (second, False) if first.name == tensor.name else (first, True)
    found = _constant(other)
    if found is None:
        return None
    value = np.asarray(found, np.float64).reshape(-1)
    if not 0 < value.size <= 4 or (swapped and operation.type in ("Sub", "RealDiv")):
        return None
    if operation.type == "Mul":
        return slope * value, shift * value
    if operation.type == "RealDiv":
        return slope / value, shift / value
    return slope, shift - value if operation.type == "Sub" else shift + value


def _constant(tensor: Any, depth: int = 8) -> Any:
    """The value of a tensor that is made of constants in the ways that Keras' layers do it; None for others."""
    import numpy as np
    import tensorflow as tf

    operation = tensor.op
    if operation.type == "Const":
        return tf.make_ndarray(operation.get_attr("value"))
    known: dict[str, Callable[..., Any]]
    known = {"Identity": np.asarray, "Cast": np.asarray, "Sqrt": np.sqrt, "Maximum": np.maximum, "Reshape": _unshaped}
    if operation.type not in known or depth == 0:
        return None
    values = [_constant(one, depth - 1) for one in operation.inputs]
    return None if any(value is None for value in values) else known[operation.type](*values)


def _unshaped(value: Any, _shape: Any) -> Any:
    return value
