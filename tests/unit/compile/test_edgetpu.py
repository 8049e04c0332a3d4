"""The course of a hardware compile: check, run, judge; what is written, and what is not."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from coralforge.commands.models import CompileRequest, compile_model
from coralforge.compile import show
from coralforge.compile.edgetpu import Compilation, compile_for_edgetpu
from coralforge.compile.hardware import compile_for_hardware
from coralforge.compile.local import Ended, Stop
from coralforge.compile.options import CompilerOptions
from coralforge.compile.places import Places, places_for
from coralforge.compile.result import Compiled
from coralforge.compile.simulator import compile_for_simulator
from coralforge.edgetpu.payload import CUSTOM_CODE
from coralforge.errors import CoralforgeError, ExitCode
from coralforge.events import Note, Recorder
from coralforge.tflite import schema
from coralforge.tflite.metadata import read_metadata
from coralforge.tflite.model import Model, parse_model, read_model, write_files
from tests.support import compiler_logs as logs
from tests.support.compiled_maker import as_hardware
from tests.support.metadata_maker import AXIS_LABELS, about, described, metadata, zipped
from tests.support.model_maker import Maker, X, classifier, mixed
from tests.support.model_project import settings_with

HELP = f"{logs.VERSION_16}\nUsage:\nedgetpu_compiler [options] model...\n"
MAPPED = "Mapped to Edge TPU"
Rows = Sequence[tuple[str, int, str]]


def success(stems: Sequence[str], rows: Rows = (("CONV_2D", 5, MAPPED),), on_tpu: int | None = None) -> str:
    """What version 16 prints when all went well."""
    text = f"{logs.VERSION_16}{logs.TIMER}\nModels compiled successfully in 5 ms.\n"
    for stem in stems:
        text += f"\nInput model: in/{stem}.tflite\nOutput model: out/{stem}_edgetpu.tflite\nOutput size: 1.00KiB\n"
        text += "On-chip memory used for caching model parameters: 2.00KiB\n"
        text += f"Number of operations that will run on Edge TPU: {on_tpu}\n" if on_tpu is not None else ""
        text += logs.TABLE + "".join(f"{name} {count} {status}\n" for name, count, status in rows)
    return text + "Compilation child process completed within timeout period.\nCompilation succeeded! \n"


@dataclass
class FakeProgram:
    """A double of the compiler: for each run an output and the files that it leaves."""

    runs: list[tuple[Ended, dict[str, bytes]]]
    help: str = HELP
    calls: list[tuple[str, ...]] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)
    saw: list[dict[str, bytes]] = field(default_factory=list)

    @property
    def name(self) -> str:
        return "a double"

    def run(self, arguments: Sequence[str], folder: Path, seconds: float) -> Ended:
        if tuple(arguments) == ("--help",):
            return Ended(0, self.help, 0.0)
        self.calls.append(tuple(arguments))
        self.folders.append(folder)
        self.saw.append({path.name: path.read_bytes() for path in (folder / "in").iterdir()})
        assert list((folder / "out").iterdir()) == []
        ended, files = self.runs.pop(0)
        for name, data in files.items():
            (folder / "out" / name).write_bytes(data)
        return ended


def good(data: bytes, stem: str = "net", **more: Any) -> tuple[Ended, dict[str, bytes]]:
    files = {f"{stem}_edgetpu.tflite": as_hardware(data), f"{stem}_edgetpu.log": b"the log of in/net.tflite\n"}
    return Ended(0, success([stem], **more), 1.0), files


def bad(text: str, status: int = 1, stopped: Stop | None = None) -> tuple[Ended, dict[str, bytes]]:
    return Ended(status, text, 1.0, stopped), {}


@pytest.fixture
def net(tmp_path: Path) -> Model:
    return stored(tmp_path / "net.tflite", classifier())


def stored(path: Path, data: bytes) -> Model:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return read_model(path)


def compile_with(
    program: FakeProgram, work: Path, *models: Model, sink: Recorder | None = None, **wanted: Any
) -> tuple[Compiled, ...]:
    scratch = work / "scratch"
    scratch.mkdir()
    what = Compilation(models, wanted.pop("options", CompilerOptions()), 14)
    try:
        return compile_for_edgetpu(replace(what, **wanted), program, scratch, work / "log", sink or Recorder())
    finally:
        assert list(scratch.iterdir()) == []  # whatever happens


def refused(program: FakeProgram, work: Path, *models: Model, **wanted: Any) -> CoralforgeError:
    with pytest.raises(CoralforgeError) as caught:
        compile_with(program, work, *models, **wanted)
    return caught.value


def test_a_model_is_compiled(net: Model, tmp_path: Path) -> None:
    program = FakeProgram([good(classifier())])
    [compiled] = compile_with(program, tmp_path, net)
    assert program.calls == [("--show_operations", "--out_dir", "out", "--timeout_sec", "180", "in/net.tflite")]
    assert program.saw == [{"net.tflite": classifier()}]
    [part] = compiled.parts
    assert (part.name, part.file.data) == ("net_edgetpu.tflite", as_hardware(classifier()))
    assert part.log == "the log of net.tflite\n"
    assert (compiled.operations, compiled.mapped, compiled.fraction, compiled.runtime) == (5, 5, 1.0, 13)
    assert (compiled.compiler.version, compiled.notes) == ("16.0.384591198", ())
    assert program.calls[0][0] in (tmp_path / "log").read_text()


def test_what_stays_on_the_cpu_is_counted_in_the_file(tmp_path: Path) -> None:
    model = stored(tmp_path / "net.tflite", mixed())
    program = FakeProgram([good(mixed(), rows=[("ADD", 6, MAPPED)], on_tpu=6)])
    [compiled] = compile_with(program, tmp_path, model)
    assert (compiled.operations, compiled.mapped) == (6, 3)
    assert compiled.notes == ("the compiler counts 6 operations on the Edge TPU, its files show 3",)


def test_labels_behind_the_model_are_kept(tmp_path: Path) -> None:
    """Google's compiler drops the archive that TensorFlow Lite's metadata tools append."""
    stream = io.BytesIO(classifier())
    with zipfile.ZipFile(stream, "a") as archive:
        archive.writestr("labels.txt", b"cat")
    model = stored(tmp_path / "net.tflite", stream.getvalue())
    [compiled] = compile_with(FakeProgram([good(classifier())]), tmp_path, model)
    with zipfile.ZipFile(io.BytesIO(compiled.parts[0].file.data)) as archive:
        assert archive.read("labels.txt") == b"cat"
    assert compiled.mapped == 5


def test_what_the_model_says_of_itself_is_kept(tmp_path: Path) -> None:
    said = metadata("Animals", [about(mean=[127.5], std=[127.5])], [about(files=[("labels.txt", AXIS_LABELS, "")])])
    model = stored(tmp_path / "net.tflite", described(classifier(), said, {"labels.txt": b"cat"}))
    [compiled] = compile_with(FakeProgram([good(classifier())]), tmp_path, model)
    found = read_metadata(compiled.parts[0].file.model)
    assert found is not None
    assert (found.name, found.appended) == ("Animals", ("labels.txt",))
    assert (compiled.mapped, compiled.runtime) == (5, 13)


def test_a_model_in_an_archive_is_compiled(tmp_path: Path) -> None:
    (tmp_path / "tm.zip").write_bytes(zipped({"model.tflite": classifier(), "labels.txt": b"cat"}))
    program = FakeProgram([good(classifier(), "tm")])
    [compiled] = compile_with(program, tmp_path, read_model(tmp_path / "tm.zip"))
    assert (compiled.parts[0].name, compiled.mapped) == ("tm_edgetpu.tflite", 5)
    assert compiled.digest == hashlib.sha256(classifier()).hexdigest()


def test_warnings_come_before_the_compiler_runs(tmp_path: Path) -> None:
    sink = Recorder()
    model = stored(tmp_path / "net.tflite", enlarged())
    with pytest.raises(CoralforgeError):
        compile_with(FakeProgram([bad(logs.FAILURES["NOT_QUANTIZED"])]), tmp_path, model, sink=sink)
    notes = [event for event in sink.events if isinstance(event, Note)]
    assert notes[0].level == "warning"
    assert "net.tflite: Activations may be too large for the chip" in notes[0].text
    assert "(operations 1)" in notes[0].text


def enlarged() -> bytes:
    make = Maker()
    source, small = (make.tensor(name, [1, 256, 256, 8]) for name in ("x", "y"))
    large = make.tensor("z", [1, 512, 512, 8])
    make.operator("RELU", [source], [small])
    make.operator("RESIZE_BILINEAR", [small, make.integers("size", 512, 512)], [large], 3)
    return make.pack([source], [large])


def dense_after(first: str) -> bytes:
    """A dense layer with a scale for each row, after an operation."""
    make = Maker()
    source, between, made = make.tensor("x", [1, 4]), make.tensor("y", [1, 4]), make.tensor("z", [1, 2])
    make.operator(first, [source], [between])
    weights = make.weights("dense/w", [2, 4], scales=[0.1, 0.2])
    make.operator("FULLY_CONNECTED", [between, weights], [made], 4)
    return make.pack([source], [made])


@pytest.mark.parametrize("preflight", [True, False])
def test_a_dense_layer_per_channel_that_the_compiler_left_is_refused(preflight: bool, tmp_path: Path) -> None:
    """It was predicted to be mapped. On the board it would compute garbage."""
    plain = stored(tmp_path / "net.tflite", dense_after("RELU"))
    native = schema.unpack(as_hardware(classifier()))
    custom = native.subgraphs[0].operators[0].customOptions
    made = schema.unpack(dense_after("CUSTOM"))
    made.operatorCodes[0].customCode = CUSTOM_CODE.encode()
    made.subgraphs[0].operators[0].customOptions = custom
    program = FakeProgram([(Ended(0, success(["net"]), 1.0), {"net_edgetpu.tflite": schema.pack(made)})])
    if preflight:
        error = refused(program, tmp_path, plain)
        assert (error.reason, error.details) == ("model-per-channel", "dense/w")
    else:
        [compiled] = compile_with(program, tmp_path, plain, preflight=False)
        assert any("per channel" in note for note in compiled.notes)


def test_models_are_compiled_together(net: Model, tmp_path: Path) -> None:
    other = stored(tmp_path / "other folder" / "net.tflite", mixed())
    odd = stored(tmp_path / "-rf $(x).tflite", classifier())
    stems = ["net", "net__1", "rf___x_"]
    files = {
        f"{stem}_edgetpu.tflite": as_hardware(data)
        for stem, data in zip(stems, [classifier(), mixed(), classifier()], strict=True)
    }
    program = FakeProgram([(Ended(0, success(stems), 1.0), files)])
    compiled = compile_with(program, tmp_path, net, other, odd)
    assert program.calls[0][-3:] == ("in/net.tflite", "in/net__1.tflite", "in/rf___x_.tflite")
    assert [one.parts[0].name for one in compiled] == ["net_edgetpu.tflite"] * 2 + ["-rf $(x)_edgetpu.tflite"]
    assert [one.mapped for one in compiled] == [5, 3, 5]


def test_one_that_is_wrong_spoils_all_that_are_compiled_together(net: Model, tmp_path: Path) -> None:
    other = stored(tmp_path / "other.tflite", mixed())
    files = {"net_edgetpu.tflite": as_hardware(classifier()), "other_edgetpu.tflite": as_hardware(classifier())}
    program = FakeProgram([(Ended(0, success(["net", "other"]), 1.0), files)])
    assert refused(program, tmp_path, net, other).reason == "compiled-interface"


def floating() -> bytes:
    """Only its weights have 8 bits (dynamic range)."""
    make = Maker()
    source, target = (make.tensor(name, [1, 4], "FLOAT32", scales=()) for name in ("in", "out"))
    make.operator("FULLY_CONNECTED", [source, make.weights("w", [4, 4])], [target], 3)
    return make.pack([source], [target])


class TestPreflight:
    @pytest.mark.parametrize(
        ("data", "reason"),
        [(floating(), "model-not-quantized"), (compile_for_simulator(parse_model(X, classifier())).data, None)],
    )
    def test_the_compiler_is_not_run_for_what_it_would_refuse(
        self, data: bytes, reason: str | None, tmp_path: Path
    ) -> None:
        program = FakeProgram([])
        error = refused(program, tmp_path, stored(tmp_path / "net.tflite", data))
        assert (error.reason, error.code) == (reason or "model-compiled", ExitCode.USER)
        assert ("--no-preflight" in error.remedy) == (reason is not None)
        assert program.calls == []

    def test_it_can_be_left_out(self, tmp_path: Path) -> None:
        program = FakeProgram([bad(logs.FAILURES["NOT_QUANTIZED"])])
        error = refused(program, tmp_path, stored(tmp_path / "net.tflite", floating()), preflight=False)
        assert error.reason == "model-not-quantized"
        assert len(program.calls) == 1

    def test_but_not_for_a_compiled_model(self, tmp_path: Path) -> None:
        model = stored(tmp_path / "net.tflite", as_hardware(classifier()))
        assert refused(FakeProgram([]), tmp_path, model, preflight=False).reason == "model-compiled"

    def test_options_are_checked_first(self, net: Model, tmp_path: Path) -> None:
        error = refused(FakeProgram([]), tmp_path, net, options=CompilerOptions(min_runtime=15))
        assert error.reason == "compile-option"


REASONS = {
    "OP_VERSION": (
        "model-op-version",
        ExitCode.USER,
        "TRANSPOSE_CONV version 4; the compiler reads versions up to 3",
    ),
    "OP_NUMBER": ("model-op-version", ExitCode.USER, "DYNAMIC_UPDATE_SLICE"),
    "CUSTOM_OP": ("model-custom-op", ExitCode.USER, "custom operator Atan"),
    "FLEX": ("model-custom-op", ExitCode.USER, "Regular TensorFlow ops"),
    "DYNAMIC": ("model-dynamic", ExitCode.USER, "static-sized"),
    "NOT_QUANTIZED": ("model-not-quantized", ExitCode.USER, "Model not quantized"),
    "ACTIVATIONS": ("model-activations", ExitCode.USER, "large activation tensors"),
    "TIMEOUT": ("compiler-timeout", ExitCode.BUILD, "Compilation timeout"),
    "CRASH": ("compiler-internal", ExitCode.BUILD, "std::out_of_range"),
    "INTERNAL": ("compiler-internal", ExitCode.BUILD, "Internal compiler error"),
    "INTERPRETER": ("model-rejected", ExitCode.USER, "Model failed in Tflite interpreter"),
    "UNREADABLE": ("model-rejected", ExitCode.USER, "Model could not be parsed"),
    "INVALID": ("model-rejected", ExitCode.USER, "Invalid model"),
    "UNEXPLAINED": ("compiler-internal", ExitCode.BUILD, "Compilation failed!"),
}


class TestFailures:
    @pytest.mark.parametrize("name", logs.FAILURES)
    def test_each_has_its_reason_and_names_what_is_at_fault(self, name: str, net: Model, tmp_path: Path) -> None:
        reason, code, fact = REASONS[name]
        error = refused(FakeProgram([bad(logs.FAILURES[name])]), tmp_path, net, options=CompilerOptions(retry=False))
        assert (error.reason, error.code) == (reason, code)
        assert fact in error.details
        assert str(net.path) in error.brief
        assert f"all that it printed: {tmp_path / 'log'}" in error.details
        assert error.remedy
        assert logs.FAILURES[name] in (tmp_path / "log").read_text()

    @pytest.mark.parametrize(
        ("stop", "reason"),
        [(Stop.TIME, "compiler-timeout"), (Stop.OUTPUT, "compiler-output"), (Stop.MEMORY, "compiler-memory")],
    )
    def test_what_was_stopped_says_why(self, stop: Stop, reason: str, net: Model, tmp_path: Path) -> None:
        error = refused(FakeProgram([bad(success(["net"]), 137, stop)]), tmp_path, net)
        assert (error.reason, error.code) == (reason, ExitCode.BUILD)

    @pytest.mark.parametrize(
        "text", ["", logs.VERSION_15, "\x00\xff\n" * 99, success(["net"]).replace("succeeded", "")]
    )
    def test_no_word_is_no_success(self, text: str, net: Model, tmp_path: Path) -> None:
        error = refused(FakeProgram([bad(text, 0)]), tmp_path, net)
        assert (error.reason, error.code) == ("compiler-failed", ExitCode.BUILD)

    def test_words_of_success_do_not_outweigh_the_status(self, net: Model, tmp_path: Path) -> None:
        error = refused(FakeProgram([(Ended(3, success(["net"]), 1.0), good(classifier())[1])]), tmp_path, net)
        assert error.reason == "compiler-failed"
        assert "ended with status 3, though it reports success" in error.brief

    def test_a_death_by_signal_is_the_compilers_fault(self, net: Model, tmp_path: Path) -> None:
        error = refused(FakeProgram([bad(logs.VERSION_16, 139)]), tmp_path, net, options=CompilerOptions(retry=False))
        assert error.reason == "compiler-internal"

    def test_advice_fits_what_was_tried(self, net: Model, tmp_path: Path) -> None:
        once, search = CompilerOptions(retry=False), CompilerOptions(retry=False, search_delegate=True)
        first = refused(FakeProgram([bad(logs.FAILURES["CRASH"])]), tmp_path, net, options=once)
        (tmp_path / "scratch").rmdir()
        second = refused(FakeProgram([bad(logs.FAILURES["CRASH"])]), tmp_path, net, options=search)
        assert ["--search-delegate" in error.remedy for error in (first, second)] == [True, False]

    def test_success_without_a_file_is_none(self, net: Model, tmp_path: Path) -> None:
        assert refused(FakeProgram([bad(success(["net"]), 0)]), tmp_path, net).reason == "compiled-missing"

    def test_a_newer_runtime_is_refused(self, net: Model, tmp_path: Path) -> None:
        files = {"net_edgetpu.tflite": as_hardware(classifier(), runtime=15)}
        program = FakeProgram([(Ended(0, success(["net"]), 1.0), files)])
        assert refused(program, tmp_path, net).reason == "model-runtime"

    def test_nothing_on_the_tpu_is_refused(self, net: Model, tmp_path: Path) -> None:
        rows = [("CONV_2D", 5, "Operation is working on an unsupported data type")]
        nothing = (Ended(0, success(["net"], rows, 0), 1.0), {"net_edgetpu.tflite": classifier()})
        error = refused(FakeProgram([nothing]), tmp_path, net)
        assert (error.reason, error.code) == ("model-not-mapped", ExitCode.USER)
        assert "CONV_2D: Operation is working on an unsupported data type (5)" in error.details

    def test_unless_the_user_says_so(self, net: Model, tmp_path: Path) -> None:
        nothing = (Ended(0, success(["net"], [], 0), 1.0), {"net_edgetpu.tflite": classifier()})
        [compiled] = compile_with(FakeProgram([nothing]), tmp_path, net, allow_cpu=True)
        assert (compiled.mapped, compiled.runtime) == (0, None)
        assert "nothing of this model runs on the Edge TPU" in show.text(compiled, places(tmp_path))

    def test_a_model_that_is_gone_is_named(self, net: Model, tmp_path: Path) -> None:
        net.path.unlink()
        assert refused(FakeProgram([]), tmp_path, net).reason == "model-unreadable"

    def test_a_full_disk_is_not_the_models_fault(self, net: Model, tmp_path: Path) -> None:
        (tmp_path / "log").mkdir()  # stands for anything that cannot be written
        error = refused(FakeProgram([]), tmp_path, net)
        assert (error.reason, error.code) == ("cache-unwritable", ExitCode.MISSING)


class TestRetries:
    def test_an_internal_error_that_goes_away_is_noted(self, net: Model, tmp_path: Path) -> None:
        failure, sink = bad(logs.FAILURES["INTERNAL"]), Recorder()
        program = FakeProgram([failure, failure, good(classifier())])
        [compiled] = compile_with(program, tmp_path, net, sink=sink)
        assert len(set(program.calls)) == 1
        assert len(set(program.folders)) == 3  # nothing of a failed run is there for the next one
        assert compiled.notes == ("internal compiler error; another try (3 of 5)",)
        assert compiled.seconds == 3.0
        notes = [event for event in sink.events if isinstance(event, Note)]
        assert [(note.level, "another try" in note.text) for note in notes] == [("warning", True)] * 2

    def test_other_options_are_noted_and_kept(self, net: Model, tmp_path: Path) -> None:
        help_text = HELP + "  -o, --out_dir\n  -d, --search_delegate\n  -k, --delegate_search_step\n"
        program = FakeProgram([bad(logs.FAILURES["CRASH"]), good(classifier())], help_text)
        [compiled] = compile_with(program, tmp_path, net)
        assert program.calls[1][3:6] == ("--search_delegate", "--delegate_search_step", "1")
        assert compiled.options.search_delegate
        assert "with --search-delegate" in compiled.notes[0]


def places(folder: Path) -> Places:
    [made] = places_for([folder / "net.tflite"], 1, None, None)
    return made


class TestReport:
    def test_the_text_has_what_a_user_wants_to_know(self, tmp_path: Path) -> None:
        model = stored(tmp_path / "net.tflite", mixed())
        rows = [("CONV_2D", 3, MAPPED), ("LEAKY_RELU", 2, "Operation not supported"), ("NEW", 1, "Something new")]
        [compiled] = compile_with(FakeProgram([good(mixed(), rows=rows, on_tpu=3)]), tmp_path, model)
        lines = show.text(compiled, places(tmp_path)).splitlines()
        for line in (
            f"Output model: {tmp_path}/net_edgetpu.tflite ({len(as_hardware(mixed())) / 1024:.2f}KiB)",
            "  On-chip memory used for parameters: 2.00KiB",
            "  Off-chip memory for parameters, sent for each inference: 24.00B",
            "LEAKY_RELU                     2          Operation not supported",
            f"Operation log: {tmp_path}/net_edgetpu.log",
            f"As JSON: {tmp_path}/net_edgetpu.compile.json",
            "Needs Edge TPU runtime version: 13",
            "Mapped to the Edge TPU: 3 of 6 operations (50.0%)",
            "note: a status that coralforge does not know: Something new",
            "warning: 3 of 6 operations run on the CPU, which is 10 to 50 times slower "
            "(docs/models.md says what the Edge TPU takes)",
        ):
            assert line in lines

    def test_the_json_has_it_too(self, net: Model, tmp_path: Path) -> None:
        [compiled] = compile_with(FakeProgram([good(classifier())]), tmp_path, net)
        data = json.loads(show.document(compiled, places(tmp_path)))
        assert data["source"]["name"] == "net.tflite"
        assert (data["mapped"], data["operations"], data["fraction"], data["runtime"]) == (5, 5, 1.0, 13)
        [part] = data["parts"]
        assert (part["name"], part["cached_bytes"], part["streamed_bytes"]) == ("net_edgetpu.tflite", 2048, 24)
        assert part["operations"] == [{"operator": "CONV_2D", "count": 5, "status": MAPPED}]
        assert str(tmp_path) not in json.dumps(data)

    def test_the_table_of_the_log_will_do(self, net: Model, tmp_path: Path) -> None:
        ended, files = good(classifier(), rows=[])
        program = FakeProgram([(ended, files | {"net_edgetpu.log": logs.LOG.encode()})])
        [compiled] = compile_with(program, tmp_path, net)
        assert [row.operator for row in compiled.parts[0].report.rows][:2] == ["CONCATENATION", "MAX_POOL_2D"]


class TestPlaces:
    def test_files_go_beside_the_model(self) -> None:
        [made] = places_for([Path("/tmp/net.v2.tflite")], 1, None, None)
        assert [path.name for path in made.all] == [
            "net.v2_edgetpu.tflite",
            "net.v2_edgetpu.log",
            "net.v2_edgetpu.compile.json",
        ]
        assert {path.parent for path in made.all} == {Path("/tmp")}

    def test_or_into_a_folder_that_is_made(self, tmp_path: Path) -> None:
        [made] = places_for([Path("/tmp/net.tflite")], 2, None, str(tmp_path / "a/b"))
        assert [path.name for path in made.parts] == [
            "net_segment_0_of_2_edgetpu.tflite",
            "net_segment_1_of_2_edgetpu.tflite",
        ]
        assert (tmp_path / "a/b").is_dir()

    def test_or_where_the_user_says(self, tmp_path: Path) -> None:
        [made] = places_for([Path("/tmp/net.tflite")], 1, str(tmp_path / "mine.tflite"), None)
        assert [path.name for path in made.all] == ["mine.tflite", "mine.log", "mine.compile.json"]

    @pytest.mark.parametrize(
        ("sources", "segments", "output", "out_dir", "reason"),
        [
            (["net.tflite"], 1, "net.tflite", None, "model-output"),
            (["net.tflite"], 1, "x.log", None, "model-output"),
            (["net.tflite"], 1, "", None, "model-output"),
            (["net.tflite"], 1, ".", None, "model-output"),
            (["net.tflite"], 1, "x.tflite", "folder", "model-output"),
            (["net.tflite"], 2, "x.tflite", None, "model-output"),
            (["net.tflite", "b.tflite"], 1, "x.tflite", None, "model-output"),
            (["a/net.tflite", "b/net.tflite"], 1, None, "folder", "model-output"),
            (["net.tflite", "net.tflite"], 1, None, None, "model-output"),
            (["net.tflite"], 1, "absent/x.tflite", None, "model-write"),
            (["net.tflite"], 1, None, "net.tflite", "model-write"),
            (["absent/net.tflite"], 1, None, None, "model-write"),
        ],
    )
    def test_what_would_overwrite_or_fail_is_refused_before_anything_runs(
        self,
        sources: list[str],
        segments: int,
        output: str | None,
        out_dir: str | None,
        reason: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.chdir(tmp_path)
        Path("net.tflite").write_bytes(b"")
        with pytest.raises(CoralforgeError) as caught:
            places_for([Path(source) for source in sources], segments, output, out_dir)
        assert (caught.value.reason, caught.value.code) == (reason, ExitCode.USER)

    def test_no_file_appears_unless_all_can(self, tmp_path: Path) -> None:
        with pytest.raises(CoralforgeError) as caught:
            write_files({tmp_path / "one": b"1", tmp_path / "absent" / "two": b"2"})
        assert caught.value.reason == "model-write"
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"segments": "two"}, "compile-option"),
        ({"min_runtime": "15"}, "compile-option"),
        ({"min_runtime": ""}, "compile-option"),
        ({"timeout": "0"}, "compile-option"),
        ({"search_step": "3"}, "compile-option"),
        ({"release": "9.9.9"}, "release-unknown"),
        ({"compiler": "/nonexistent/edgetpu_compiler"}, "compiler-path"),
        ({"compiler": ""}, "compiler-path"),
        ({"output": "/nonexistent/x.tflite"}, "model-write"),
        ({"models": ("/nonexistent/net.tflite",), "out_dir": "."}, "model-missing"),
        ({"models": ("",)}, "option-missing"),
        ({"models": ()}, "option-missing"),
        ({"target": "gpu"}, "compile-target"),
    ],
)
def test_wrong_options_of_the_verb(options: dict[str, Any], reason: str, net: Model) -> None:
    with pytest.raises(CoralforgeError) as caught:
        compile_model(replace(CompileRequest((str(net.path),), compiler="/bin/true"), **options))
    assert caught.value.reason == reason


def test_a_machine_of_another_kind_is_refused_before_anything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    monkeypatch.setattr("coralforge.compile.machine._emulated", lambda folder: False)
    with pytest.raises(CoralforgeError) as caught:
        compile_model(CompileRequest(()))
    assert (caught.value.reason, caught.value.code) == ("compiler-machine", ExitCode.MISSING)


def test_a_model_is_refused_before_a_compiler_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_with(tmp_path, "{}")
    wanted = Compilation((stored(tmp_path / "float.tflite", floating()),), CompilerOptions(), 14)
    monkeypatch.setattr("coralforge.compile.machine._emulated", lambda folder: True)
    monkeypatch.setattr("coralforge.compile.hardware.find_program", lambda *_: pytest.fail("it was looked for"))
    with pytest.raises(CoralforgeError) as caught:
        compile_for_hardware(settings, wanted, "float", Recorder())
    assert caught.value.reason == "model-not-quantized"
    assert not settings.cache.tmp.exists()


def test_without_a_compiler_and_docker_all_that_was_tried_is_said(net: Model) -> None:
    with pytest.raises(CoralforgeError) as caught:
        compile_model(CompileRequest((str(net.path),)))
    assert (caught.value.reason, caught.value.code) == ("compiler-missing", ExitCode.MISSING)
    assert "Docker Engine does not answer" in caught.value.details
