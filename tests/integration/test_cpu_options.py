"""cpu.xnnpack and cpu.ops as a user sets them in pipeline.yaml: x86_64 bundles, whose programs run here."""

from __future__ import annotations

import ctypes
import json
import os
import random
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coralforge.bundle.manifest import Manifest, read_manifest
from coralforge.config.arch import Arch
from coralforge.containers.docker import DockerRunner
from coralforge.tflite import schema
from coralforge.tflite.cut import Cut, cut
from coralforge.tflite.model import Model, read_model
from tests.conftest import libedgetpu_options
from tests.integration.conftest import Checkout, copy_project, make_bundle
from tests.performance.interpreter_worker import CInterpreter
from tests.support.unpacked import unpacked
from tests.support.wire_bench import DeviceBench, DeviceBenches, files

pytestmark = [
    pytest.mark.docker,
    # docker-py leaves the sockets of attached streams to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
SIMULATED = ("--variant", "simulated")
SUM_OF_ALL = 5_750_000  # bytes of libtensorflowlite.so and libtensorflowlite_c.so together, with all operators
ONE_STEP = 1
"""Of an operator's quantized outputs: the tolerance of TensorFlow Lite's own tests of the delegate."""


def checkout_with(folder: Path, cpu: str) -> Checkout:
    """A checkout whose pipeline.yaml has ``cpu: {...}``."""
    project = copy_project(folder / "coralforge")
    with (project.root / "pipeline.yaml").open("a") as stream:
        stream.write(f"\ncpu: {{{cpu}}}\n")
    return project


def ran(bundle: Path, program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "CORALFORGE_SIMULATED_DEVICES": "usb:1"}
    command = [str(bundle / "bin" / program), *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def classified(bundle: Path, *options: str) -> subprocess.CompletedProcess[str]:
    models = bundle / "share/models"
    return ran(bundle, "model", models / "model.tflite", models / "labels.txt", models / "image.bmp", 0, *options)


@pytest.fixture(scope="module")
def plain(cli: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle without options."""
    return unpacked(make_bundle(cli, tmp_path_factory.mktemp("plain"), Arch.X86_64, *SIMULATED))


@pytest.fixture(scope="module")
def with_xnnpack(xnnpack_source: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("xnnpack")
    project = checkout_with(folder, "xnnpack: on")
    return unpacked(make_bundle(project, folder, Arch.X86_64, *SIMULATED, *xnnpack_source))


@pytest.fixture(scope="module")
def with_selected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("selected")
    return unpacked(make_bundle(checkout_with(folder, "ops: selected"), folder, Arch.X86_64, *SIMULATED))


def without_source(project: Checkout) -> None:
    """XNNPACK's archive is one that nobody has."""
    release = project.root / "releases/2.14.1.yaml"
    commit = "b9d4073a6913891ce9cbd8965c8d506075d2a45a"
    text = release.read_text().replace(
        f"https://github.com/google/XNNPACK/archive/{commit}", "file:///nowhere/xnnpack"
    )
    release.write_text(re.sub(r"104d3ef9[0-9a-f]{56}", "a" * 64, text))


def test_auto_without_its_source_is_a_warning_and_the_same_libraries(plain: Path, tmp_path: Path) -> None:
    project = checkout_with(tmp_path, "xnnpack: auto")
    without_source(project)
    done = project.invoke("bundle", "--arch", "x86_64", *SIMULATED)
    assert done.status == 0, done.stderr
    assert "without XNNPACK" in done.stdout + done.stderr
    [archive] = (project.root / "dist").glob("*.tar.gz")
    manifest = read_manifest(unpacked(archive))
    assert not manifest.xnnpack
    assert libraries(manifest) == libraries(read_manifest(plain))


def libraries(manifest: Manifest) -> dict[str, Any]:
    return {name: file for name, file in manifest.files.items() if re.fullmatch(r"lib/(\w+/)?lib.*", name)}


def test_on_without_its_source_is_an_error_that_says_where_to_put_it(tmp_path: Path) -> None:
    project = checkout_with(tmp_path, "xnnpack: on")
    without_source(project)
    done = project.invoke("build", "--arch", "x86_64", *SIMULATED)
    assert done.status == 4
    assert "xnnpack" in done.stderr and "--mirror" in done.stderr


def test_a_bundle_without_xnnpack_says_so_in_one_line(plain: Path) -> None:
    done = classified(plain, "--cpu", "xnnpack")
    assert (done.returncode, done.stdout) == (5, "")
    assert done.stderr.startswith("model: error: there is no XNNPACK here")
    assert done.stderr.count("\n") == 1
    assert classified(plain, "--cpu", "fast").returncode == 2


def test_xnnpack_adds_a_library_and_changes_no_other(plain: Path, with_xnnpack: Path) -> None:
    before, after = read_manifest(plain), read_manifest(with_xnnpack)
    added = set(libraries(after)) - set(libraries(before))
    assert after.xnnpack
    assert added == {"lib/libtensorflowlite_xnnpack.so"}
    assert libraries(before).items() <= libraries(after).items()
    assert {"xnnpack", "fp16"} <= {source.name for source in after.sources}


def test_programs_run_with_it_where_they_are_told_to(with_xnnpack: Path) -> None:
    builtin, fast = classified(with_xnnpack), classified(with_xnnpack, "--cpu", "xnnpack", "--threads", "2")
    assert "XNNPACK" not in builtin.stdout
    assert "XNNPACK runs 29 operations" in fast.stdout, fast.stdout + fast.stderr
    assert fast.stderr == ""
    assert [re.findall(r"^top-1: (\d+) ", done.stdout, re.M) for done in (builtin, fast)] == [["283"], ["283"]]


def test_a_compiled_model_has_the_edge_tpu_first_and_xnnpack_for_the_rest(
    cli: Checkout, with_xnnpack: Path, testdata: Path, tmp_path: Path
) -> None:
    name = "deeplabv3_mnv2_dm05_pascal_quant.tflite"
    compiled = tmp_path / "compiled.tflite"
    made = cli.invoke("compile", "--target", "simulator", "--model", str(testdata / name), "--output", str(compiled))
    assert made.status == 0, made.stderr
    reports = []
    for kernels in ("builtin", "xnnpack"):
        done = ran(
            with_xnnpack, "benchmark", compiled, "--compare", testdata / name, "--cpu", kernels, "--runs", 1, "--json"
        )
        assert done.returncode == 0, done.stderr
        reports.append(json.loads(done.stdout))
    for report in reports:
        assert (report["ran_on"], report["delegated_operations"], report["operations"]) == ("simulated", 1, 9)
    assert [report["xnnpack_operations"] for report in reports] == [0, 7]
    assert [report["compared"]["differing"] for report in reports] == [0, 0]


def one_operator(model: Model, index: int, place: Path) -> bool:
    """Write one operator as a model of its own; false where it is none between quantized tensors."""
    operation, tensors, native = model.graph.operations[index], model.graph.tensors, model.native
    inputs = [i for i in operation.inputs if i >= 0 and not tensors[i].constant]
    if not {tensors[i].kind for i in (*inputs, *operation.outputs)} <= {"INT8", "UINT8"}:
        return False
    operator = native.subgraphs[0].operators[index]
    made = cut(Cut(native, [operator], native.operatorCodes, inputs, list(operation.outputs), whole=False))
    place.write_bytes(schema.pack(made))
    return True


def answer(library: str, model: Path, signed: bool) -> list[int]:
    """The output bytes of one inference on noise, each a number from 0 to 255."""
    interpreter = CInterpreter(library, 1, str(model))
    chance = random.Random(1)
    for data, size in interpreter._tensors("Input"):
        ctypes.memmove(data, chance.randbytes(size), size)
    interpreter.invoke()
    found = b"".join(interpreter.outputs())
    interpreter.api.TfLiteInterpreterDelete(interpreter.handle)
    return [value ^ 0x80 if signed else value for value in found]


@pytest.mark.parametrize(
    ("name", "operators"),
    [
        ("mobilenet_v2_1.0_224_quant", 66),
        ("mobilenet_v1_0.5_160_quant", 31),
        ("deeplabv3_mnv2_dm05_pascal_quant", 70),
        ("bright_128x128", 8),
    ],
)
def test_each_operator_is_within_tensorflow_lites_own_tolerance(
    with_xnnpack: Path, testdata: Path, tmp_path: Path, name: str, operators: int
) -> None:
    library = str(with_xnnpack / "lib/libtensorflowlite_c.so")
    model, place = read_model(testdata / f"{name}.tflite"), tmp_path / "one.tflite"
    compared = 0
    for operation in model.graph.operations:
        if not one_operator(model, operation.index, place):
            continue
        signed = model.graph.tensors[operation.outputs[0]].kind == "INT8"
        builtin = answer(library, place, signed)
        fast = answer(f"{library}+{with_xnnpack / 'lib/libtensorflowlite_xnnpack.so'}", place, signed)
        apart = max(abs(a - b) for a, b in zip(builtin, fast, strict=True))
        assert apart <= ONE_STEP, (operation.index, operation.name, apart)
        compared += 1
    assert compared >= operators - 3


@pytest.fixture(scope="module")
def bench(
    xnnpack_source: tuple[str, ...],
    libedgetpu_source: tuple[str, ...],
    testdata: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[DeviceBench]:
    scratch = tmp_path_factory.mktemp("device")
    scratch.chmod(0o755)
    project = checkout_with(scratch, "xnnpack: on")
    options = (*(libedgetpu_options() or ()), *xnnpack_source)
    runner = DockerRunner()
    benches = DeviceBenches(runner, scratch, testdata, lambda arch: make_bundle(project, scratch, arch, *options))
    yield benches.bench(Arch.X86_64)
    runner.client.close()


def test_the_real_libedgetpu_and_xnnpack_share_a_model(bench: DeviceBench) -> None:
    compiled, plain = files("deeplab")
    done = bench.run(
        f"exec /device/bin/with-device --model {compiled} {plain} -- "
        f"$RUN /bundle/bin/benchmark {compiled} --compare {plain} --cpu xnnpack --runs 2 --warmup 0"
    )
    assert done.status == 0, done.said
    assert re.search(r"EMULATED, not on an Edge TPU .*; 1 of 9 operations; XNNPACK runs [1-8] operations", done.said)
    assert "0 of 263169 values differ" in done.said


def test_selected_operators_make_small_libraries_that_run_the_bundles_models(with_selected: Path) -> None:
    manifest = read_manifest(with_selected)
    assert manifest.operators == ["AVERAGE_POOL_2D", "CONV_2D", "DEPTHWISE_CONV_2D", "RESHAPE", "SOFTMAX"]
    both = ("lib/libtensorflowlite.so", "lib/libtensorflowlite_c.so")
    assert sum((with_selected / name).stat().st_size for name in both) < SUM_OF_ALL / 2
    smoke = subprocess.run(
        [with_selected / "smoke.sh", "--report", with_selected.parent / "report.json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert smoke.returncode == 0, smoke.stdout + smoke.stderr


def test_a_model_that_needs_an_operator_which_is_not_there_is_refused_by_its_name(
    with_selected: Path, testdata: Path
) -> None:
    done = ran(with_selected, "benchmark", testdata / "mobilenet_v2_1.0_224_quant.tflite", "--runs", 1)
    assert done.returncode == 5
    assert "Didn't find op for builtin opcode 'ADD'" in done.stderr
