"""Makes compiled models for tests: what Google's compiler or ours would write. The packages are doubles."""

from __future__ import annotations

from pathlib import Path

from coralforge.compile.simulator import compile_for_simulator
from coralforge.edgetpu.payload import CUSTOM_CODE
from coralforge.inspect.programs import compiled_operations
from coralforge.tflite import schema
from coralforge.tflite.model import Model, parse_model
from tests.support.model_maker import Maker
from tests.support.package_maker import Program, custom_options, package

COMPILED = Path("x_edgetpu.tflite")
PLAIN = Path("x.tflite")


def two_executables(runtime: int = 13) -> bytes:
    """A package that keeps 1000 bytes of parameters on the chip and streams 24."""
    running = Program(kind=2, parameters=24, inputs=["image"], outputs=["scores"], token=7)
    return package([running.packed(), Program(kind=1, parameters=1000, token=7).packed()], runtime)


def compiled(options: bytes) -> bytes:
    """CPU after TPU: an `edgetpu-custom-op` with these custom options, then a LEAKY_RELU."""
    make = Maker()
    image, scores, last = make.tensor("image", [1, 4]), make.tensor("scores", [1, 4]), make.tensor("last", [1, 4])
    make.operator("CUSTOM", [image], [scores], custom=CUSTOM_CODE.encode())
    make.graph.operators[0].customOptions = schema.numbers(options)
    make.operator("LEAKY_RELU", [scores], [last], 2, ("LeakyReluOptions", {"alpha": 0.25}))
    return make.pack([image], [last])


def as_hardware(plain: bytes, runtime: int = 13) -> bytes:
    """The plain model as Google's compiler would leave it: what we compile for the simulator, with a package."""
    native = schema.unpack(compile_for_simulator(parse_model(PLAIN, plain)).data)
    model = parse_model(COMPILED, schema.pack(native))
    for operation in compiled_operations(model.graph):
        options = schema.numbers(custom_options(two_executables(runtime)))
        native.subgraphs[0].operators[operation.index].customOptions = options
    return schema.pack(native)


def pair(plain: bytes, simulated: bool = False) -> tuple[Model, Model]:
    """A compiled model and its plain form."""
    source = parse_model(PLAIN, plain)
    data = compile_for_simulator(source).data if simulated else as_hardware(plain)
    return parse_model(COMPILED, data), source
