"""Gives an ONNX model fixed sizes, a batch of 1 and single precision, and lets it end where it is asked to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from coralforge.convert.worker.read import check_known, check_straight, inputs
from coralforge.convert.worker.request import ConvertRequest
from coralforge.errors import CoralforgeError, lines_of, user_error

CHANNELS = (1, 3, 4)
"""Channels that pictures have."""
_SHOWN = 12  # names in an error


def fixed(model: Any, request: ConvertRequest) -> Any:
    """A copy with all sizes known, constants folded, and nothing that its outputs do not need.

    Raises:
        CoralforgeError: exit code 2, reason ``model-dynamic``, ``model-invalid``, ``model-output-unknown``,
            ``model-op-unsupported`` or ``model-control-flow``.
    """
    import onnx

    made = onnx.ModelProto()
    made.CopyFrom(model)
    try:
        _single_precision(made)
    except (ValueError, TypeError) as error:  # weights that are not as many as their shape says
        raise _unfitting(request.model, error) from error
    taken = inputs(made)
    for one in taken:
        _fix(one, len(taken) == 1, request)
    del made.graph.input[:]
    made.graph.input.extend(taken)
    if request.outputs:
        end_at(made, request.outputs, request.model)
    check_known(request.model, made)
    simple = simplified(request.model, _forgotten(made))
    check_straight(request.model, simple)
    for one in simple.graph.output:
        if 0 in (sizes := shape_of(one)) or not one.type.tensor_type.HasField("shape"):
            raise user_error(
                f"{request.model}: the size of its output {one.name} depends on what the model computes: "
                + "x".join(str(size or "?") for size in sizes),
                reason="model-dynamic",
                remedy="end before it with --outputs NAME,...; export detectors without non-maximum suppression",
            )
    return simple


def simplified(path: str, model: Any) -> Any:
    """Constants folded, shapes known, what leads nowhere gone.

    Raises:
        CoralforgeError: exit code 2, reason ``model-invalid``.
    """
    import onnx
    import onnxsim

    try:
        inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
        simple, _ = onnxsim.simplify(inferred)
        return onnx.shape_inference.infer_shapes(simple, strict_mode=True, data_prop=True)
    except MemoryError:
        raise
    except Exception as error:  # of each library's own
        raise _unfitting(path, error) from error


def end_at(model: Any, names: Sequence[str], path: str) -> None:
    """Make these tensors the outputs of the model, and drop what is behind them."""
    import onnx

    made = {name: node for node in model.graph.node for name in node.output if name}
    unknown = [name for name in names if name not in made]
    if unknown:
        last = [node.output[0] for node in model.graph.node[-_SHOWN:]]
        raise user_error(
            f"{path} has no tensor {unknown[0]!r} that --outputs could name",
            reason="model-output-unknown",
            details="the last ones are " + ", ".join(reversed(last)),
            remedy="Netron shows a model's tensors with their names",
        )
    kinds = {one.name: one for one in (*model.graph.output, *model.graph.value_info)}
    outputs = [
        kinds.get(name) or onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names
    ]
    kept = _needed(model, set(names))
    del model.graph.output[:]
    model.graph.output.extend(outputs)
    del model.graph.node[:]
    model.graph.node.extend(kept)


def shape_of(value: Any) -> tuple[int, ...]:
    """The sizes of an input or output; 0 for what is open."""
    return tuple(int(one.dim_value) for one in value.type.tensor_type.shape.dim)


def _unfitting(path: str, error: BaseException) -> CoralforgeError:
    return user_error(
        f"{path} is not a valid ONNX model: its operations and shapes do not fit together",
        reason="model-invalid",
        details="\n".join(lines_of(error, 4)),
        remedy="export it again, with another opset version (13 to 17)",
    )


def _needed(model: Any, names: set[str]) -> list[Any]:
    kept = []
    for node in reversed(model.graph.node):
        if names.intersection(node.output):
            names.update(node.input)
            names.update(name for field in node.attribute if field.HasField("g") for name in _reads(field.g))
            kept.append(node)
    return kept[::-1]


def _reads(graph: Any) -> Iterator[str]:
    """Names of tensors that a branch or a loop takes from around it, among others."""
    for node in graph.node:
        yield from node.input
        for field in node.attribute:
            if field.HasField("g"):
                yield from _reads(field.g)
    yield from (one.name for one in graph.output)


def _fix(value: Any, alone: bool, request: ConvertRequest) -> None:
    """Write the sizes of one input, in the file's order, into it."""
    kind = value.type.tensor_type
    batch, *sizes = shape_of(value) or (0,)
    if not kind.HasField("shape") or not sizes:
        raise user_error(
            f"{request.model}: its input {value.name} has no batch, or no shape at all",
            reason="model-dynamic",
            remedy="export it with an input whose first size is the batch",
        )
    wanted = _wanted(sizes, request.shape if alone else ())
    if batch > 1 or wanted is None or 0 in wanted:
        raise _open(value.name, batch, sizes, alone, request)
    for dimension, size in zip(kind.shape.dim, (1, *wanted), strict=True):
        dimension.dim_value = size  # of a union: a name for it is gone


def _wanted(sizes: Sequence[int], said: Sequence[int]) -> Sequence[int] | None:
    """The sizes with those that were said, which may be in the order of pictures, too; None if they do not fit."""
    if not said:
        return sizes
    orders = [list(said), [said[-1], *said[:-1]]]
    return next((one for one in orders if len(one) == len(sizes) and _fits(sizes, one)), None)


def _fits(sizes: Sequence[int], wanted: Sequence[int]) -> bool:
    return all(old in (0, new) for old, new in zip(sizes, wanted, strict=True))


def _open(name: str, batch: int, sizes: Sequence[int], alone: bool, request: ConvertRequest) -> CoralforgeError:
    shown = "x".join(str(size or "?") for size in sizes)
    example = "x".join(str(size or 224) for size in sizes)
    remedy = f"give its sizes in this order, for example --input-shape {example}"
    if batch > 1:
        remedy = "export it with an open batch, or one of 1"
    elif not alone:
        remedy = "export it with fixed sizes"
    return user_error(
        f"{request.model}: the input {name} is {shown} with a batch of {batch or '?'}; "
        + (
            "--input-shape differs"
            if request.shape and alone and batch < 2
            else "the Edge TPU needs known sizes and a batch of 1"
        ),
        reason="model-dynamic",
        remedy=remedy,
    )


def _forgotten(model: Any) -> Any:
    """Without the shapes that were inferred for open sizes: they would stay."""
    del model.graph.value_info[:]
    for number, one in enumerate(model.graph.output):
        for index, dimension in enumerate(one.type.tensor_type.shape.dim):
            dimension.dim_param = f"open_{number}_{index}"
    return model


def _single_precision(model: Any) -> None:
    """Half and double precision become float32, which is what is quantized."""
    import onnx

    floats = {onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16}
    graph = model.graph
    for value in (*graph.input, *graph.output, *graph.value_info):
        if value.type.tensor_type.elem_type in floats:
            value.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    for tensor in graph.initializer:
        _widen(tensor, floats)
    for node in graph.node:
        for field in node.attribute:
            if field.HasField("t"):
                _widen(field.t, floats)
            if node.op_type == "Cast" and field.name == "to" and field.i in floats:
                field.i = onnx.TensorProto.FLOAT


def _widen(tensor: Any, floats: set[int]) -> None:
    import numpy as np
    from onnx import numpy_helper

    if tensor.data_type in floats:
        values = numpy_helper.to_array(tensor).astype(np.float32)
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
