"""Makes small .tflite models, operator by operator, and runs them; for the tests of coralforge.models."""

from __future__ import annotations

import random
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from coralforge.edgetpu.payload import CUSTOM_CODE, read_payload
from coralforge.tflite import schema
from coralforge.tflite.cut import Cut, cut
from coralforge.tflite.graph import Graph
from coralforge.tflite.model import Model, parse_model

Arrays = dict[int, Any]
X = Path("x.tflite")


class Maker:
    """One subgraph in the making. Numbers that operators take and give are tensor indices."""

    def __init__(self) -> None:
        self.native = schema.new("Model", version=3, description=b"made by a test", operatorCodes=[])
        self.native.buffers = [schema.new("Buffer")]
        self.graph = schema.new("SubGraph", name=b"main", tensors=[], operators=[])
        self.native.subgraphs = [self.graph]

    def tensor(
        self,
        name: str,
        shape: Sequence[int],
        kind: str = "INT8",
        data: bytes | None = None,
        scales: Sequence[float] = (0.05,),
        signature: Sequence[int] | None = None,
    ) -> int:
        number = 0
        if data is not None:
            self.native.buffers.append(schema.new("Buffer", data=schema.numbers(data)))
            number = len(self.native.buffers) - 1
        types = {value: key for key, value in schema.names("TensorType").items()}
        made = schema.new("Tensor", name=name.encode(), shape=list(shape), type=types[kind], buffer=number)
        made.shapeSignature = list(signature) if signature is not None else None
        if scales:
            points = [0] * len(scales)
            made.quantization = schema.new("QuantizationParameters", scale=list(scales), zeroPoint=points)
        self.graph.tensors.append(made)
        return len(self.graph.tensors) - 1

    def weights(self, name: str, shape: Sequence[int], kind: str = "INT8", scales: Sequence[float] = (0.01,)) -> int:
        size = int(np.prod(shape)) * (4 if kind == "INT32" else 1)
        low = random.Random(name).randbytes(size) if kind != "INT32" else bytes(size)
        return self.tensor(name, shape, kind, low, scales)

    def integers(self, name: str, *values: int) -> int:
        return self.tensor(name, [len(values)], "INT32", struct.pack(f"<{len(values)}i", *values), scales=())

    def operator(
        self,
        name: str,
        inputs: Sequence[int],
        outputs: Sequence[int],
        version: int = 1,
        options: tuple[str, Mapping[str, Any]] | None = None,
        custom: bytes = b"",
    ) -> None:
        numbers = {value: key for key, value in schema.names("BuiltinOperator").items()}
        code = schema.new("OperatorCode", builtinCode=numbers[name], version=version)
        code.deprecatedBuiltinCode, code.customCode = min(numbers[name], 127), custom or None
        self.native.operatorCodes.append(code)
        made = schema.new("Operator", opcodeIndex=len(self.native.operatorCodes) - 1)
        made.inputs, made.outputs = list(inputs), list(outputs)
        if options is not None:
            made.builtinOptionsType = getattr(schema.schema().BuiltinOptions, options[0])
            made.builtinOptions = schema.new(options[0], **options[1])
        self.graph.operators.append(made)

    def conv(self, source: int, name: str, size: int, channels: int, version: int = 3) -> int:
        """A 1x1 convolution on a ``size`` x ``size`` picture; the filter has 3 input channels."""
        deep = self.graph.tensors[source].shape[-1]
        weights = self.weights(f"{name}/w", [channels, 1, 1, deep])
        bias = self.weights(f"{name}/b", [channels], "INT32", [0.0005])
        made = self.tensor(name, [1, size, size, channels])
        options = {"strideW": 1, "strideH": 1}
        self.operator("CONV_2D", [source, weights, bias], [made], version, ("Conv2DOptions", options))
        return made

    def pack(self, inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        self.graph.inputs, self.graph.outputs = list(inputs), list(outputs)
        return schema.pack(self.native)

    def model(self, inputs: Sequence[int], outputs: Sequence[int]) -> Model:
        return parse_model(X, self.pack(inputs, outputs))


def classifier() -> bytes:
    """All of it fits on the TPU: convolution, pool, reshape, dense, softmax. Has metadata and a signature."""
    make = Maker()
    image = make.tensor("image", [1, 8, 8, 3])
    conv = make.conv(image, "conv", 8, 4)
    pooled = make.tensor("pooled", [1, 1, 1, 4])
    pool = {"strideW": 8, "strideH": 8, "filterWidth": 8, "filterHeight": 8, "padding": 1}
    make.operator("AVERAGE_POOL_2D", [conv], [pooled], 2, ("Pool2DOptions", pool))
    flat = make.tensor("flat", [1, 4])
    make.operator("RESHAPE", [pooled, make.integers("flat/shape", 1, 4)], [flat])
    logits = make.tensor("logits", [1, 5])
    dense = [flat, make.weights("dense/w", [5, 4]), make.weights("dense/b", [5], "INT32", [0.0005])]
    make.operator("FULLY_CONNECTED", dense, [logits], 4, ("FullyConnectedOptions", {}))
    scores = make.tensor("scores", [1, 5], scales=[1 / 256])
    make.graph.tensors[scores].quantization.zeroPoint = [-128]
    make.operator("SOFTMAX", [logits], [scores], 2, ("SoftmaxOptions", {"beta": 1.0}))
    make.tensor("unused", [7], data=b"7 bytes")
    make.native.buffers.append(schema.new("Buffer", data=schema.numbers(b"1.5.0")))
    make.native.metadata = [schema.new("Metadata", name=b"min_runtime_version", buffer=len(make.native.buffers) - 1)]
    entries = [[schema.new("TensorMap", name=b"io", tensorIndex=index)] for index in (image, scores)]
    make.native.signatureDefs = [
        schema.new("SignatureDef", signatureKey=b"serving_default", inputs=entries[0], outputs=entries[1])
    ]
    return make.pack([image], [scores])


def float_ends() -> Model:
    """QUANTIZE, RELU and DEQUANTIZE: input and output are floats, only the middle is quantized."""
    make = Maker()
    ends = [make.tensor(name, [1, 4], "FLOAT32", scales=()) for name in ("in", "out")]
    middle = [make.tensor(name, [1, 4]) for name in ("a", "b")]
    make.operator("QUANTIZE", [ends[0]], [middle[0]])
    make.operator("RELU", [middle[0]], [middle[1]])
    make.operator("DEQUANTIZE", [middle[1]], [ends[1]])
    return make.model(ends[:1], ends[1:])


def floats() -> bytes:
    """A dense layer in floats."""
    make = Maker()
    ends = [make.tensor(name, [1, 4], "FLOAT32", scales=()) for name in ("in", "out")]
    weights = make.tensor("w", [4, 4], "FLOAT32", bytes(64), scales=())
    make.operator("FULLY_CONNECTED", [ends[0], weights], [ends[1]], 1, ("FullyConnectedOptions", {}))
    return make.pack(ends[:1], ends[1:])


def mixed() -> bytes:
    """CPU, TPU, CPU: the Edge TPU has no LEAKY_RELU. Two inputs, three outputs, of which the last is made first."""
    make = Maker()
    first, second = make.tensor("first", [1, 4, 4, 3]), make.tensor("second", [1, 4, 4, 3])
    leaky = make.tensor("leaky", [1, 4, 4, 3])
    options = ("LeakyReluOptions", {"alpha": 0.25})
    make.operator("LEAKY_RELU", [first], [leaky], 2, options)
    a = make.conv(leaky, "a", 4, 3)
    total = make.tensor("sum", [1, 4, 4, 3])
    make.operator("ADD", [a, second], [total], 2, ("AddOptions", {}))
    late = make.tensor("late", [1, 4, 4, 3])
    make.operator("LEAKY_RELU", [total], [late], 2, options)
    last = make.conv(late, "last", 4, 2)
    side = make.conv(second, "side", 4, 2)
    return make.pack([first, second], [last, side, a])


def run(data: bytes, inputs: Sequence[Any]) -> list[Any]:
    """The outputs of a model that has builtin operators only."""
    interpreter = Interpreter(
        model_content=data, experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    interpreter.allocate_tensors()
    for detail, array in zip(interpreter.get_input_details(), inputs, strict=True):
        interpreter.set_tensor(detail["index"], array)
    interpreter.invoke()
    return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]


def run_compiled(data: bytes, inputs: Sequence[Any]) -> list[Any]:
    """The outputs of a model compiled for the simulator: each operator alone, the custom one by its payload."""
    model = parse_model(X, data)
    native, graph = model.native, model.graph
    values: Arrays = dict(zip(graph.inputs, inputs, strict=True))
    for operation, operator in zip(graph.operations, native.subgraphs[0].operators, strict=True):
        needed = [i for i in dict.fromkeys(operation.inputs) if i != -1 and not graph.tensors[i].constant]
        if operation.custom_code == CUSTOM_CODE:
            made = run(read_payload(operation.payload).model, [values[index] for index in operation.inputs])
        else:
            one = cut(Cut(native, [operator], native.operatorCodes, needed, operation.outputs, whole=False))
            made = run(schema.pack(one), [values[index] for index in needed])
        values.update(zip(operation.outputs, made, strict=True))
    return [values[index] for index in graph.outputs]


def random_inputs(graph: Graph, seed: int) -> list[Any]:
    """Noise for every input."""
    noise = np.random.default_rng(seed)
    made = []
    for index in graph.inputs:
        info = np.iinfo(graph.tensors[index].kind.lower())
        made.append(noise.integers(info.min, info.max, graph.tensors[index].shape, info.dtype, endpoint=True))
    return made
