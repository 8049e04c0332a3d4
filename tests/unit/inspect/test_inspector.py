"""What an inspection says of plain, compiled and simulated models, alone and with their plain form."""

from __future__ import annotations

from pathlib import Path

import pytest

from coralforge.edgetpu.operators import Status
from coralforge.edgetpu.payload import CUSTOM_CODE, Payload, write_payload
from coralforge.errors import CoralforgeError, ExitCode
from coralforge.inspect.inspection import Form, Inspection, Place
from coralforge.inspect.inspector import inspect_model
from coralforge.tflite import schema
from coralforge.tflite.model import parse_model, read_model
from tests.support.compiled_maker import COMPILED, PLAIN, as_hardware, compiled, pair, two_executables
from tests.support.model_maker import Maker, classifier, mixed
from tests.support.package_maker import custom_options

DEEPLAB = "deeplabv3_mnv2_dm05_pascal_quant"


def places(inspection: Inspection) -> list[str]:
    return [one.place.value for one in inspection.operations]


def test_a_plain_model_is_predicted() -> None:
    found = inspect_model(parse_model(PLAIN, mixed()))
    assert (found.form, found.predicted, found.refusals, found.min_runtime_version) == (Form.PLAIN, True, (), None)
    assert places(found) == ["cpu", "tpu", "tpu", "cpu", "cpu", "tpu"]
    assert (found.mapped, found.total, found.fraction) == (3, 6, 0.5)
    assert found.parameters > 0


def test_a_model_that_would_be_refused_is_mapped_to_nothing_and_says_why() -> None:
    make = Maker()
    source = make.tensor("x", [-1, 4, 4, 3])
    weights = make.weights("w", [2, 3], scales=[0.1, 0.2])
    made = make.tensor("y", [1, 2])
    make.operator("FULLY_CONNECTED", [source, weights], [made], 40)
    found = inspect_model(make.model([source], [made]))
    assert [one.reason for one in found.refusals] == ["model-op-version", "model-dynamic", "model-per-channel"]
    assert found.fraction == 0.0


def test_a_compiled_model_alone() -> None:
    found = inspect_model(parse_model(COMPILED, as_hardware(mixed())))
    assert (found.form, found.predicted, found.complete) == (Form.COMPILED, False, False)
    assert (found.mapped, found.total, found.fraction) == (None, None, None)
    assert [one.called for one in found.on_cpu] == ["LEAKY_RELU", "LEAKY_RELU", "CONV_2D"]
    assert found.min_runtime_version == 13


def test_a_compiled_model_that_leaves_nothing_on_the_cpu_is_mapped_whatever_its_plain_form_was() -> None:
    assert inspect_model(parse_model(COMPILED, as_hardware(classifier()))).fraction == 1.0


def test_a_compiled_model_with_its_plain_form() -> None:
    found = inspect_model(*pair(mixed()))
    assert (found.form, found.plain, found.complete) == (Form.COMPILED, PLAIN, True)
    assert places(found) == ["cpu", "tpu", "tpu", "cpu", "cpu", "tpu"]
    assert (found.mapped, found.total, found.fraction) == (3, 6, 0.5)
    assert found.operations[4].status is Status.SECOND_SUBGRAPH


def test_a_model_for_the_simulator_says_so_and_needs_no_plain_form() -> None:
    model, plain = pair(mixed(), simulated=True)
    alone = inspect_model(model)
    assert (alone.form, alone.complete, alone.min_runtime_version) == (Form.SIMULATED, True, None)
    assert [one.operation.name for one in alone.operations if one.place is Place.SIMULATED] == [
        "CONV_2D",
        "ADD",
        "CONV_2D",
    ]
    assert "SIMULATED" in alone.programs[0].note
    paired = inspect_model(model, plain)
    assert (alone.fraction, paired.fraction) == (0.5, 0.5)
    assert (alone.parameters, alone.advice[0].wins) == (paired.parameters, paired.advice[0].wins)


def test_reasons_follow_what_the_compiler_did_and_not_the_prediction() -> None:
    """A compiler that left the last of three convolutions, and the operation after it, for reasons of its own."""
    make = Maker()
    image = make.tensor("image", [1, 4, 4, 3])
    a = make.conv(image, "a", 4, 3)
    b, c = make.conv(a, "b", 4, 3), make.tensor("c", [1, 4, 4, 3])
    make.operator("TANH", [b], [c])
    plain = make.model([image], [c])
    native = schema.unpack(schema.pack(make.native))
    number = len(native.operatorCodes)
    native.operatorCodes.append(schema.new("OperatorCode", builtinCode=32, customCode=CUSTOM_CODE.encode()))
    native.subgraphs[0].operators[0].opcodeIndex = number
    native.subgraphs[0].operators[0].customOptions = schema.numbers(custom_options(two_executables()))
    found = inspect_model(parse_model(COMPILED, schema.pack(native)), plain)
    assert places(found) == ["tpu", "cpu", "cpu"]
    assert [one.status for one in found.on_cpu] == [Status.UNSPECIFIED, Status.SECOND_SUBGRAPH]
    assert "no rule that is known here" in found.operations[1].decision.why
    assert [bool(one.remark) for one in found.operations] == [False, True, False]
    assert found.advice[0].operations == (1,)
    assert found.advice[0].wins == 2


def test_what_the_compiler_mapped_against_the_rules_is_remarked() -> None:
    make = Maker()
    source, made = make.tensor("x", [1, 4]), make.tensor("y", [1, 4])
    make.operator("LEAKY_RELU", [source], [made], 2, ("LeakyReluOptions", {"alpha": 0.25}))
    plain = make.model([source], [made])
    make.native.operatorCodes[0] = schema.new("OperatorCode", builtinCode=32, customCode=CUSTOM_CODE.encode())
    make.graph.operators[0].customOptions = schema.numbers(custom_options(two_executables()))
    make.graph.operators[0].builtinOptionsType, make.graph.operators[0].builtinOptions = 0, None
    found = inspect_model(parse_model(COMPILED, schema.pack(make.native)), plain)
    assert found.fraction == 1.0
    assert "would leave it on the CPU" in found.operations[0].remark


@pytest.mark.parametrize(
    ("name", "runtime", "mapped", "total", "left"),
    [
        ("mobilenet_v1_0.25_128_quant", 12, 31, 31, []),
        ("keras_lstm_mnist_ptq", 12, 6, 6, []),
        (DEEPLAB, 12, 64, 72, list(range(64, 72))),
        ("looming_128x128_3x3", 14, 9, 9, []),
    ],
)
def test_what_the_real_compiler_made(
    testdata: Path, name: str, runtime: int, mapped: int, total: int, left: list[int]
) -> None:
    model = read_model(testdata / f"{name}_edgetpu.tflite")
    plain = read_model(testdata / f"{name}.tflite")
    found = inspect_model(model, plain)
    assert (found.mapped, found.total, found.min_runtime_version) == (mapped, total, runtime)
    assert [one.operation.index for one in found.on_cpu] == left
    assert not any(one.remark for one in found.operations)
    kept = len(model.graph.operations) - len(found.programs)
    assert found.fraction == (total - kept) / total


def test_what_the_compiled_file_shows_counts_whatever_the_rules_say(testdata: Path) -> None:
    model, plain = (read_model(testdata / f"bright_128x128{end}.tflite") for end in ("_edgetpu", ""))
    found = inspect_model(model, plain)
    assert (found.mapped, found.total, list(found.on_cpu)) == (6, 6, [])


def damaged(options: bytes) -> CoralforgeError:
    with pytest.raises(CoralforgeError, match=str(COMPILED)) as raised:
        inspect_model(parse_model(COMPILED, compiled(options)))
    assert (raised.value.code, raised.value.reason) == (ExitCode.USER, "model-package")
    return raised.value


def test_damaged_packages_and_payloads_are_refused() -> None:
    simulated = write_payload(Payload(classifier()))
    assert "not a flexbuffer map" in damaged(b"").brief
    assert "identifier DWN1" in damaged(custom_options(b"12345678")).brief
    assert "checksum" in damaged(simulated[:-1] + b"\0").brief
    assert "not a valid TensorFlow Lite model" in damaged(write_payload(Payload(b"12345678"))).brief
    assert "other inputs or outputs" in damaged(write_payload(Payload(mixed()))).brief
    assert "not an ordinary model" in damaged(write_payload(Payload(compiled(b"")))).brief


def test_hardware_and_simulator_in_one_file_are_refused() -> None:
    make = Maker()
    a, b, c = (make.tensor(name, [1, 4]) for name in "abc")
    for source, made, options in ((a, b, custom_options(two_executables())), (b, c, write_payload(Payload(mixed())))):
        make.operator("CUSTOM", [source], [made], custom=CUSTOM_CODE.encode())
        make.graph.operators[-1].customOptions = schema.numbers(options)
    with pytest.raises(CoralforgeError, match="one for hardware and one for the simulator") as raised:
        inspect_model(make.model([a], [c]))
    assert raised.value.reason == "model-package"


def not_a_pair(model: bytes, plain: bytes) -> str:
    with pytest.raises(CoralforgeError) as raised:
        inspect_model(parse_model(COMPILED, model), parse_model(PLAIN, plain))
    assert (raised.value.code, raised.value.reason) == (ExitCode.USER, "model-pair")
    return str(raised.value)


def without(plain: bytes, operator: int) -> bytes:
    native = schema.unpack(plain)
    del native.subgraphs[0].operators[operator]
    return schema.pack(native)


def test_another_plain_model_is_refused() -> None:
    assert "input 0: first INT8" in not_a_pair(as_hardware(mixed()), classifier())
    assert "is not compiled" in not_a_pair(mixed(), mixed())
    assert "is compiled itself" in not_a_pair(as_hardware(mixed()), as_hardware(mixed()))


def test_a_plain_model_with_other_operations_is_refused() -> None:
    native = schema.unpack(mixed())
    native.subgraphs[0].tensors[2].name = b"other"
    assert "0 LEAKY_RELU is in the compiled model only" in not_a_pair(as_hardware(mixed()), schema.pack(native))
    assert "every operation of the plain model is still" in not_a_pair(
        compiled(custom_options(two_executables())), _leaky_only()
    )


def test_a_payload_with_other_operations_is_refused() -> None:
    model, _ = pair(mixed(), simulated=True)
    native = schema.unpack(mixed())
    code = next(code for code in native.operatorCodes if code.builtinCode == 0)  # ADD
    code.builtinCode = code.deprecatedBuiltinCode = 41  # SUB
    added = native.subgraphs[0].operators[2]
    added.builtinOptionsType, added.builtinOptions = 0, None
    with pytest.raises(CoralforgeError, match="payload holds other operations"):
        inspect_model(model, parse_model(PLAIN, schema.pack(native)))


def _leaky_only() -> bytes:
    make = Maker()
    image, last = make.tensor("image", [1, 4]), make.tensor("last", [1, 4])
    scores = make.tensor("scores", [1, 4])
    make.graph.tensors[scores].isVariable = True
    make.operator("LEAKY_RELU", [scores], [last], 2, ("LeakyReluOptions", {"alpha": 0.25}))
    return make.pack([image], [last])


def test_operations_in_the_middle_cannot_be_left_on_the_cpu() -> None:
    make = Maker()
    image = make.tensor("image", [1, 4, 4, 3])
    a, b, c = (make.tensor(name, [1, 4, 4, 3]) for name in "abc")
    make.operator("TANH", [image], [a])
    make.operator("LEAKY_RELU", [a], [b], 2, ("LeakyReluOptions", {"alpha": 0.25}))
    make.operator("TANH", [b], [c])
    plain = make.pack([image], [c])
    other = Maker()
    image = other.tensor("image", [1, 4, 4, 3])
    a, b, c = (other.tensor(name, [1, 4, 4, 3]) for name in "abc")
    other.graph.tensors[a].isVariable = True
    other.operator("LEAKY_RELU", [a], [b], 2, ("LeakyReluOptions", {"alpha": 0.25}))
    other.operator("CUSTOM", [image, b], [c], custom=CUSTOM_CODE.encode())
    other.graph.operators[-1].customOptions = schema.numbers(custom_options(two_executables()))
    assert "after the CPU has gone on" in not_a_pair(other.pack([image], [c]), plain)


def test_operations_that_cannot_be_told_apart_are_not_guessed() -> None:
    make = Maker()
    image = make.tensor("image", [1, 4])
    before = image
    for _ in range(3):
        made = make.tensor("same", [1, 4])
        make.operator("LEAKY_RELU" if before != image else "TANH", [before], [made])
        before = made
    plain = make.pack([image], [before])
    native = schema.unpack(as_hardware(plain))
    assert inspect_model(parse_model(COMPILED, as_hardware(plain)), parse_model(PLAIN, plain)).mapped == 1
    last = native.subgraphs[0].operators.pop()
    native.subgraphs[0].operators[-1].outputs = last.outputs
    assert "look alike" in not_a_pair(schema.pack(native), plain)
