"""The models that the C++ tests of the simulated libedgetpu run: whole ones in pairs, and broken ones.

``NAME.tflite`` with ``NAME_edgetpu-sim.tflite`` compiled of it, and ``NAME.input`` where noise will not do;
``broken/NAME.tflite`` with what the library must say of it in ``broken/NAME.txt``.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from coralforge.compile.simulator import compile_for_simulator
from coralforge.edgetpu.payload import CUSTOM_CODE, Payload, read_payload, write_payload
from coralforge.tflite import schema
from coralforge.tflite.model import parse_model
from tests.support.model_maker import Maker, X, classifier, mixed

REAL = (
    "mobilenet_v1_0.25_128_quant",
    "mobilenet_v2_1.0_224_quant",
    "deeplabv3_mnv2_dm05_pascal_quant",
    "keras_lstm_mnist_ptq",
)
FOR_HARDWARE = ("mobilenet_v1_0.25_128_quant", "deeplabv3_mnv2_dm05_pascal_quant", "keras_lstm_mnist_ptq")
PICTURE = [1, 4, 4, 3]


@dataclass(frozen=True)
class Broken:
    """A compiled model, and the sentence (or a part of it) that it is refused with."""

    name: str
    model: bytes
    sentence: str


def write_models(folder: Path, testdata: Path) -> Path:
    """Write all models into ``folder``, which is made."""
    (folder / "broken").mkdir(parents=True)
    plain = {"classifier": classifier(), "mixed": mixed(), "sum": total()}
    plain |= {name: (testdata / f"{name}.tflite").read_bytes() for name in REAL}
    for name, data in plain.items():
        (folder / f"{name}.tflite").write_bytes(data)
        (folder / f"{name}_edgetpu-sim.tflite").write_bytes(compile_for_simulator(parse_model(X, data)).data)
    (folder / "dynamic.tflite").write_bytes(dynamic())
    (folder / "deeplabv3_mnv2_dm05_pascal_quant.input").write_bytes(picture(testdata / "cat.bmp", 513))
    for name in FOR_HARDWARE:
        shutil.copy(testdata / f"{name}_edgetpu.tflite", folder / "broken" / f"hardware_{name}.tflite")
        (folder / "broken" / f"hardware_{name}.txt").write_text("This model is compiled for Edge TPU hardware")
    for broken in broken_models():
        (folder / "broken" / f"{broken.name}.tflite").write_bytes(broken.model)
        (folder / "broken" / f"{broken.name}.txt").write_text(broken.sentence)
    return folder


def write_seeds(folder: Path) -> Path:
    """Where the fuzzer starts: a payload, the sub-model in it, and what is broken."""
    folder.mkdir(parents=True)
    seeds = [
        payload_of(compile_for_simulator(parse_model(X, data)).data) for data in (classifier(), mixed(), total())
    ]
    seeds += [read_payload(seed).model for seed in seeds]
    seeds += [payload_of(broken.model) for broken in broken_models()]
    for number, seed in enumerate(seeds):
        (folder / f"seed-{number}").write_bytes(seed)
    return folder


def picture(bmp: Path, size: int) -> bytes:
    """A 24-bit BMP, turned into ``size`` x ``size`` pixels of red, green and blue."""
    data = bmp.read_bytes()
    start, width, height = (int.from_bytes(data[at : at + 4], "little") for at in (10, 18, 22))
    rows = np.frombuffer(data, np.uint8, -(-width * 3 // 4) * 4 * height, start).reshape(height, -1)
    pixels = rows[::-1, : width * 3].reshape(height, width, 3)[:, :, ::-1]
    made = pixels[np.arange(size) * height // size][:, np.arange(size) * width // size]
    return bytes(made.tobytes())


def payload_of(model: bytes) -> bytes:
    """The payload of a compiled model's one custom operator."""
    operations = parse_model(X, model).graph.operations
    [payload] = [operation.payload for operation in operations if operation.custom_code == CUSTOM_CODE]
    return payload or b""


def total() -> bytes:
    """The sum of two pictures."""
    make = Maker()
    return make.pack(*add(make))


def add(make: Maker, kind: str = "INT8", shape: Sequence[int] = PICTURE) -> tuple[list[int], list[int]]:
    first, second = make.tensor("first", shape, kind), make.tensor("second", shape, kind)
    made = make.tensor("sum", shape, kind)
    make.operator("ADD", [first, second], [made], 2, ("AddOptions", {}))
    return [first, second], [made]


def dynamic() -> bytes:
    """The compiled classifier behind a TILE on the CPU, whose multiples are an input of the model."""
    make = Maker()
    image, multiples = make.tensor("image", [1, 8, 8, 3]), make.tensor("multiples", [4], "INT32", scales=())
    tiled, scores = make.tensor("tiled", [1, 8, 8, 3]), make.tensor("scores", [1, 5])
    make.operator("TILE", [image, multiples], [tiled], 2)
    custom(make, [tiled], [scores], payload_of(compile_for_simulator(parse_model(X, classifier())).data))
    return make.pack([image, multiples], [scores])


def custom(make: Maker, inputs: Sequence[int], outputs: Sequence[int], payload: bytes) -> None:
    make.operator("CUSTOM", inputs, outputs, custom=CUSTOM_CODE.encode())
    make.graph.operators[-1].customOptions = schema.numbers(payload) if payload else None


def wrapped(payload: bytes, kind: str = "INT8", shape: Sequence[int] = PICTURE, left_out: bool = False) -> bytes:
    """A payload in a model of two pictures that become one."""
    make = Maker()
    first, second = make.tensor("first", shape, kind), make.tensor("second", shape, kind)
    made = make.tensor("sum", shape, kind)
    custom(make, [first, -1 if left_out else second], [made], payload)
    return make.pack([first] if left_out else [first, second], [made])


def program(change: Callable[[Maker], None] = lambda make: None, **tensors: Any) -> bytes:
    """The payload of the sum, with something ``change``d in its sub-model."""
    make = Maker()
    make.graph.inputs, make.graph.outputs = add(make, **tensors)
    change(make)
    return write_payload(Payload(schema.pack(make.native)))


def broken_models() -> list[Broken]:
    """Everything that a payload may be and must not."""
    return [*_not_ours(), *_other_tensors(), *_not_runnable(), *_not_allowed()]


def _not_ours() -> list[Broken]:
    whole = program()
    sub_model = read_payload(whole).model
    cut = write_payload(Payload(sub_model[: len(sub_model) // 2]))
    renamed = write_payload(Payload(sub_model.replace(b"TFL3", b"TFL2", 1)))
    return [
        Broken("other_version", wrapped(b"CFSIM2" + whole[6:]), "another version of the SIMULATED libedgetpu"),
        Broken("no_payload", wrapped(b""), "it is cut off"),
        Broken("short_payload", wrapped(whole[:31]), "it is cut off"),
        Broken("unknown_payload", wrapped(b"something else"), "it is cut off"),
        Broken("unknown_long_payload", wrapped(bytes(range(200))), "holds no program that the SIMULATED"),
        Broken("cut_payload", wrapped(whole[:-20]), "which is not what its header says"),
        Broken("cut_sub_model", wrapped(cut), "The program for the SIMULATED Edge TPU is damaged"),
        Broken("no_sub_model", wrapped(renamed), "it holds no TensorFlow Lite model"),
    ]


def _other_tensors() -> list[Broken]:
    def fewer_inputs(make: Maker) -> None:
        make.graph.inputs = make.graph.inputs[:1]
        make.graph.operators[0].inputs = [0, 0]

    def more_outputs(make: Maker) -> None:
        make.graph.outputs = [2, make.conv(2, "more", 4, 3)]

    def constant_output(make: Maker) -> None:
        make.graph.outputs = [make.weights("constant", PICTURE)]

    def left_out(make: Maker) -> None:
        make.graph.inputs = [0, -1]

    def strings(make: Maker) -> None:
        make.graph.inputs = [0, make.tensor("text", PICTURE, "STRING", scales=())]

    inputs = "have different inputs"
    return [
        Broken("fewer_inputs", wrapped(program(fewer_inputs)), f"{inputs}: 2 and 1."),
        Broken("more_outputs", wrapped(program(more_outputs)), "have different outputs: 1 and 2."),
        Broken("other_types", wrapped(program(kind="UINT8")), f"{inputs} (number 0): types INT8 and UINT8."),
        Broken("other_sizes", wrapped(program(shape=[1, 4, 4, 4])), f"{inputs} (number 0): 48 and 64 bytes."),
        Broken("constant_output", wrapped(program(constant_output)), "has inputs or outputs that are constant"),
        Broken("input_left_out", wrapped(program(), left_out=True), f"{inputs} (number 1): one is left out."),
        Broken("inner_input_left_out", wrapped(program(left_out)), "SIMULATED"),
        Broken("strings", wrapped(program(strings)), "SIMULATED"),
    ]


def _not_runnable() -> list[Broken]:
    def too_new(make: Maker) -> None:
        make.native.operatorCodes[0].version = 99

    def impossible(make: Maker) -> None:
        make.graph.tensors[1].shape = [1, 4, 4, 5]

    def not_listed(make: Maker) -> None:
        make.graph.operators[0].opcodeIndex = 7

    def nothing(make: Maker) -> None:
        make.graph.operators = []

    return [
        Broken("too_new", wrapped(program(too_new)), "cannot be built: Didn't find op for builtin opcode 'ADD'"),
        Broken("impossible", wrapped(program(impossible)), "SIMULATED Edge TPU cannot be prepared: "),
        Broken("not_listed", wrapped(program(not_listed)), "The program for the SIMULATED Edge TPU"),
        Broken("size_unknown", _size_unknown(), "whose size is only known while it runs"),
        Broken("nothing", wrapped(program(nothing)), "The program for the SIMULATED Edge TPU has no operations."),
    ]


def _size_unknown() -> bytes:
    """On the simulated Edge TPU a RESHAPE whose shape is an input."""

    def reshape(make: Maker) -> tuple[list[int], list[int]]:
        picture, shape = make.tensor("picture", PICTURE), make.tensor("shape", [4], "INT32", scales=())
        return [picture, shape], [make.tensor("reshaped", PICTURE)]

    inner, outer = Maker(), Maker()
    inputs, outputs = reshape(inner)
    inner.operator("RESHAPE", inputs, outputs)
    custom(outer, *reshape(outer), write_payload(Payload(inner.pack(inputs, outputs))))
    return outer.pack(inputs, outputs)


def _not_allowed() -> list[Broken]:
    def two_graphs(make: Maker) -> None:
        make.native.subgraphs.append(make.graph)

    def replaced(name: str, code: bytes = b"") -> Callable[[Maker], None]:
        def change(make: Maker) -> None:
            make.graph.operators = []
            make.operator(name, [0, 1], [2], custom=code)

        return change

    broken = [Broken("two_graphs", wrapped(program(two_graphs)), "has more than one graph")]
    for name in ("WHILE", "IF", "CALL_ONCE"):
        broken.append(
            Broken(name.lower(), wrapped(program(replaced(name))), f"has the operation {name}, which it must")
        )
    for code in (CUSTOM_CODE, "TFLite_Detection_PostProcess"):
        model = wrapped(program(replaced("CUSTOM", code.encode())))
        broken.append(Broken(f"custom_{code.replace('-', '_')}", model, "has the operation CUSTOM, which it must"))
    return broken
