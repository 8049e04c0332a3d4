"""What the compiler prints is read by what it says; whatever it prints, reading ends soon and keeps little."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from coralforge.compile.messages import Failure, bytes_of
from coralforge.compile.output import CompilerRun, Row, parse_log, parse_output
from coralforge.edgetpu.operators import Status
from tests.support import compiler_logs as logs

MUTANTS = 10_000
MIB, KIB = 1 << 20, 1 << 10


@pytest.mark.parametrize("name", logs.SUCCESSES)
def test_success_is_recognised_in_all_versions(name: str) -> None:
    run = parse_output(logs.SUCCESSES[name])
    assert (run.succeeded, run.failure, run.evidence, run.cut) == (True, None, (), False)


def test_every_line_of_a_new_version_is_read() -> None:
    run = parse_output(logs.NEW)
    [report] = run.reports
    assert (run.version, run.attempts) == ("16.0.384591198", 1)
    assert (report.source, report.output) == ("yolov5s-int8-224.tflite", "yolov5s-int8-224_edgetpu.tflite")
    assert report.log == "yolov5s-int8-224_edgetpu.log"
    assert (report.source_bytes, report.output_bytes) == (round(7.37 * MIB), round(8.34 * MIB))
    assert (report.cached_bytes, report.free_bytes, report.streamed_bytes) == (round(6.08 * MIB), 0, round(1.7 * MIB))
    assert (report.subgraphs, report.operations, report.on_tpu, report.on_cpu) == (2, 294, 289, 5)
    assert report.rows[1:3] == (
        Row("TRANSPOSE", 1, Status.UNSPECIFIED.value),
        Row("TRANSPOSE", 2, Status.MAPPED.value),
    )
    assert sum(row.count for row in report.rows) == 294
    assert all(row.known is not None for row in report.rows)


def test_in_version_2_available_memory_includes_what_is_used() -> None:
    """7.62 and 5.66 MiB are together more than the chip has: "available" is not "remaining"."""
    [report] = parse_output(logs.OLD).reports
    assert (report.cached_bytes, report.free_bytes) == (round(5.66 * MIB), round(7.62 * MIB) - round(5.66 * MIB))


def test_a_status_that_is_not_known_is_kept() -> None:
    [report] = parse_output(logs.OLD).reports
    assert [row.status for row in report.rows if row.known is None] == [
        "For example, a fully-connected or softmax layer with 2D output"
    ]


@pytest.mark.parametrize("status", Status)
def test_every_status_is_known(status: Status) -> None:
    text = (
        f"{logs.VERSION_16}Input model: m\n{logs.TABLE}\nADD                            3          {status.value}\n"
    )
    assert parse_output(text).reports[0].rows == (Row("ADD", 3, status.value),)
    assert parse_output(text).reports[0].rows[0].known is status


def test_models_that_are_compiled_together_are_told_apart() -> None:
    first, second = parse_output(logs.TOGETHER).reports
    assert (first.source, first.operations, first.cached_bytes) == ("temp_models/1.tflite", 57, round(2.27 * MIB))
    assert (second.source, second.operations, second.cached_bytes) == ("temp_models/2.tflite", 6, 2 * MIB)


def test_failures_before_a_success_are_forgotten() -> None:
    run = parse_output(logs.SEARCH)
    assert (run.succeeded, run.failure, run.attempts) == (True, None, 3)


def test_a_success_before_a_failure_is_none() -> None:
    run = parse_output(logs.SECOND_FAILS)
    assert (run.succeeded, run.failure, len(run.reports)) == (False, Failure.ACTIVATIONS, 1)


@pytest.mark.parametrize("name", logs.FAILURES)
def test_every_failure_is_recognised(name: str) -> None:
    run = parse_output(logs.FAILURES[name])
    assert (run.succeeded, run.failure) == (False, Failure[name])
    assert run.evidence


def test_every_failure_has_an_example() -> None:
    assert logs.FAILURES.keys() == {failure.name for failure in Failure}


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("OP_VERSION", (("TRANSPOSE_CONV", "4"),)),
        ("OP_NUMBER", (("151",),)),
        ("CUSTOM_OP", (("Atan",),)),
        ("NOT_QUANTIZED", ()),
    ],
)
def test_what_a_failure_names_is_taken_out(name: str, facts: tuple[tuple[str, ...], ...]) -> None:
    assert parse_output(logs.FAILURES[name]).facts() == facts


def test_a_crash_of_the_program_behind_its_script_is_recognised() -> None:
    assert parse_output(logs.SEGFAULT).failure is Failure.CRASH


@pytest.mark.parametrize(
    "text",
    [
        "",
        logs.VERSION_15,  # what 15.0 prints for some models with --num_segments (411)
        logs.NEW.replace("Compilation succeeded!", ""),
        logs.NEW.replace("Model compiled successfully in 3173 ms.", ""),
        logs.NEW.partition("\n")[2],
        logs.NEW.replace("Edge TPU Compiler version", "Edge TPU Compiler vision"),
        logs.NEW.replace("16.0.384591198", "16.0.384591198 of something else"),
    ],
)
def test_success_is_not_assumed(text: str) -> None:
    run = parse_output(text)
    assert (run.succeeded, run.failure) == (False, None)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0.00B", 0),
        ("576.00B", 576),
        ("7.75KiB", 7936),
        ("1.02MiB", round(1.02 * MIB)),
        ("2GiB", 2 << 30),
        ("74.00 KiB", 74 * KIB),
        ("7.37", None),
        ("-1.00B", None),
        ("1e9MiB", None),
        ("9" * 400 + "MiB", None),
        ("nanMiB", None),
    ],
)
def test_sizes_have_units(text: str, size: int | None) -> None:
    assert bytes_of(text) == size


def test_a_log_file_has_the_table() -> None:
    log = parse_log(logs.LOG)
    assert (log.version, log.source, log.output) == (
        "14.1.317412892",
        "tiny_yolo.tflite",
        "tiny_yolo_edgetpu.tflite",
    )
    assert [(row.operator, row.count, row.known) for row in log.rows] == [
        ("CONCATENATION", 1, Status.SECOND_SUBGRAPH),
        ("MAX_POOL_2D", 6, Status.MAPPED),
        ("RESIZE_NEAREST_NEIGHBOR", 1, Status.VERSION),
        ("QUANTIZE", 1, Status.UNSPECIFIED),
        ("QUANTIZE", 2, Status.MAPPED),
    ]


def test_warnings_are_kept() -> None:
    warning = (
        "Warning: For the given model, you're creating more segments than is necessary, which can increase latency."
    )
    assert parse_output(logs.VERSION_15 + warning).warnings == (warning,)


def test_windows_line_ends_and_indentation_do_not_matter() -> None:
    text = "".join(f"  {line}\r\n" for line in logs.NEW.splitlines())
    assert parse_output(text) == parse_output(logs.NEW)


def test_nothing_that_acts_on_a_terminal_is_kept() -> None:
    text = logs.FAILURES["CUSTOM_OP"].replace("Atan", "At\x1b[2J\x07an") + "Warning: \x1b]0;owned\x07\x9bm\n"
    kept = str(parse_output(text))
    assert "At[2Jan" in kept
    assert not set(kept) & {"\x1b", "\x07", "\x9b"}


@pytest.mark.parametrize(
    "text",
    [
        "Input model: x\n" * 100_000,
        f"{logs.VERSION_16}Input model: x\n{logs.TABLE}" + "ADD 1 Mapped to Edge TPU\n" * 100_000,
        "ERROR: Model not quantized\n" * 100_000,
        "Warning: x\n" * 100_000,
        "x" * (4 << 20),
        "\n" * (4 << 20),
        f"Input model: x\n{logs.TABLE}" + ("A" * 64 + " " * 1900 + "x\n") * 2000,
        "Edge TPU Compiler version " + "1." * 2_000_000,
        "Number of Edge TPU subgraphs: " + "9" * (4 << 20),
    ],
)
def test_however_much_is_printed_little_is_kept_soon(text: str) -> None:
    started = time.process_time()
    run, log = parse_output(text), parse_log(text)
    assert time.process_time() - started < 10
    assert len(str(run)) + len(str(log)) < 600_000


def sane(run: CompilerRun) -> bool:
    return not run.succeeded or (run.version is not None and run.failure is None and not run.evidence)


@settings(max_examples=1_500)
@given(st.text())
@example("Input model:\nOperator Count Status\nADD 1 \n")
def test_any_text_is_read(text: str) -> None:
    assert sane(parse_output(text))
    parse_log(text)


@settings(max_examples=1_500)
@given(st.lists(st.sampled_from(sorted({line for text in logs.ALL for line in text.splitlines()}))))
def test_known_lines_in_any_order_are_read(lines: list[str]) -> None:
    assert sane(parse_output("\n".join(lines)))
    parse_log("\n".join(lines))


def test_damaged_outputs_are_read() -> None:
    """Real outputs with bytes changed, dropped, doubled and moved, as a pipe or a fault of the program may do."""
    noise = random.Random(4)
    for _ in range(MUTANTS):
        data = bytearray(noise.choice(logs.ALL).encode())
        for _ in range(noise.randint(1, 8)):
            mutate(data, noise)
        text = data.decode("utf-8", "replace")
        assert sane(parse_output(text))
        parse_log(text)


def mutate(data: bytearray, noise: random.Random) -> None:
    start, length = noise.randrange(len(data) + 1), noise.randint(1, 40)
    piece = data[start : start + length]
    kind = noise.randrange(5)
    if kind == 0:
        data[start : start + length] = noise.randbytes(length)
    elif kind == 1:
        del data[start : start + length]
    elif kind == 2:
        data[start:start] = piece * noise.randint(1, 50)
    elif kind == 3:
        place = noise.randrange(len(data) + 1)
        data[place:place] = piece
    else:
        data[start:start] = noise.choice((b"\n", b"\r", b"\0", b"\t", b": ", b"9" * 30, "\u2028\x85".encode()))
