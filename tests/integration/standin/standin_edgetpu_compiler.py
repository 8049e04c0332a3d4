#!/usr/bin/env python3
"""STAND-IN for Google's edgetpu_compiler, for tests only: it compiles nothing.

It prints what the real program prints (versions 2.0, 14.1, 15.0 and 16.0, from logs that users posted), and hands out
files that the real one made earlier (tests/data) or that a test gives it. It is never installed and no part
of the package; tests name it with --compiler.

Environment, set by the wrapper that a test writes:
    STANDIN_DATA      folder with X_edgetpu.tflite for each model X
    STANDIN_VERSION   2.0, 14.1, 15.0 or 16.0 (default)
    STANDIN_SCENARIO  what happens: one of the functions below whose names start with "scenario_"
    STANDIN_OUTPUT    a file to hand out instead
    STANDIN_STATE     a file that counts the runs
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

VERSIONS = {
    "2.0": "2.0.267685300",
    "14.1": "14.1.317412892",
    "15.0": "15.0.340273435",
    "16.0": "16.0.384591198",
}
# Rows of the table by model, as far as they are known; anything else is one row.
TABLES = {
    "mobilenet_v1_0.25_128_quant": [
        ("AVERAGE_POOL_2D", 1, "Mapped to Edge TPU"),
        ("CONV_2D", 15, "Mapped to Edge TPU"),
        ("DEPTHWISE_CONV_2D", 13, "Mapped to Edge TPU"),
        ("RESHAPE", 1, "Mapped to Edge TPU"),
        ("SOFTMAX", 1, "Mapped to Edge TPU"),
    ],
    "keras_lstm_mnist_ptq": [
        ("FULLY_CONNECTED", 1, "Mapped to Edge TPU"),
        ("QUANTIZE", 2, "Mapped to Edge TPU"),
        ("RESHAPE", 1, "Mapped to Edge TPU"),
        ("SOFTMAX", 1, "Mapped to Edge TPU"),
        ("UNIDIRECTIONAL_SEQUENCE_LSTM", 1, "Mapped to Edge TPU"),
    ],
    "deeplabv3_mnv2_dm05_pascal_quant": [
        ("ADD", 10, "Mapped to Edge TPU"),
        ("ARG_MAX", 1, "Operation is working on an unsupported data type"),
        ("AVERAGE_POOL_2D", 1, "Mapped to Edge TPU"),
        ("CONCATENATION", 1, "More than one subgraph is not supported"),
        ("CONV_2D", 36, "Mapped to Edge TPU"),
        ("CONV_2D", 2, "More than one subgraph is not supported"),
        ("DEPTHWISE_CONV_2D", 17, "Mapped to Edge TPU"),
        ("QUANTIZE", 1, "More than one subgraph is not supported"),
        ("RESIZE_BILINEAR", 1, "More than one subgraph is not supported"),
        (
            "RESIZE_BILINEAR",
            2,
            "Operation is otherwise supported, but not mapped due to some unspecified limitation",
        ),
    ],
}
ON_CPU = [("CONV_2D", 31, "Operation is working on an unsupported data type")]
PARTLY = (
    "Model successfully compiled but not all operations are supported by the Edge TPU. A percentage of the model "
    "will instead run on the CPU, which is slower. If possible, consider updating your model to use only operations "
    "supported by the Edge TPU. For details, visit g.co/coral/model-reqs."
)
VERSION = os.environ.get("STANDIN_VERSION", "16.0")
NEW = VERSION == "16.0"


@dataclass(frozen=True)
class Job:
    models: list[Path]
    out: Path
    options: argparse.Namespace


def say(text: str = "") -> None:
    print(text, flush=True)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="edgetpu_compiler", add_help=False)
    made.add_argument("-h", "--help", action="store_true")
    made.add_argument("-v", "--version", action="store_true")
    made.add_argument("-o", "--out_dir", default=".")
    made.add_argument("-s", "--show_operations", action="store_true")
    made.add_argument("-m", "--min_runtime_version", type=int)
    if VERSION != "2.0":
        made.add_argument("-n", "--num_segments", type=int, default=1)
        made.add_argument("-i", "--intermediate_tensors")
    if VERSION in ("15.0", "16.0"):
        made.add_argument("-a", "--enable_multiple_subgraphs", action="store_true")
    if NEW:
        made.add_argument("-d", "--search_delegate", action="store_true")
        made.add_argument("-k", "--delegate_search_step", type=int, default=1)
        made.add_argument("-t", "--timeout_sec", type=int, default=180)
    made.add_argument("models", nargs="*", type=Path)
    return made


def main() -> int:
    options = parser().parse_args()
    scenario = os.environ.get("STANDIN_SCENARIO", "ok")
    if scenario == "stranger":
        say("hello, I am another program")
        return 0
    say(f"Edge TPU Compiler version {VERSIONS[VERSION]}")
    if options.version:
        return 0
    if options.help or not options.models:
        say("\nUsage:\nedgetpu_compiler [options] model...\n")
        for action in parser()._actions:
            if action.option_strings:
                say(f"  {', '.join(action.option_strings)}")
        return 0
    return SCENARIOS[scenario](Job(options.models, Path(options.out_dir), options))


def count_run() -> int:
    """How often it has run before, with the same state file."""
    place = Path(os.environ["STANDIN_STATE"])
    before = int(place.read_text()) if place.exists() else 0
    place.write_text(str(before + 1))
    return before


def compiled(model: Path) -> Path:
    given = os.environ.get("STANDIN_OUTPUT")
    return Path(given) if given else Path(os.environ["STANDIN_DATA"], f"{model.stem}_edgetpu.tflite")


def size(count: int) -> str:
    for unit, power in (("MiB", 20), ("KiB", 10)):
        if count >= 1 << power:
            return f"{count / (1 << power):.2f}{unit}"
    return f"{count}.00B"


def start() -> None:
    if NEW:
        say("Started a compilation timeout timer of 180 seconds.")
    say()


def end() -> None:
    if NEW:
        say("Compilation child process completed within timeout period.")
        say("Compilation succeeded! ")


def report(job: Job, model: Path, rows: list[tuple[str, int, str]], subgraphs: int, made: Path) -> None:
    place = job.out / f"{model.stem}_edgetpu.tflite"
    log = place.with_suffix(".log")
    total = sum(count for _, count, _ in rows)
    mapped = sum(count for _, count, status in rows if status == "Mapped to Edge TPU")
    say(f"Input model: {model}")
    say(f"Input size: {size(model.stat().st_size) if model.exists() else '0.00B'}")
    say(f"Output model: {place}")
    say(f"Output size: {size(made.stat().st_size)}")
    if VERSION == "2.0":
        say("On-chip memory available for caching model parameters: 7.62MiB")
        say("On-chip memory used for caching model parameters: 566.00KiB")
    else:
        say("On-chip memory used for caching model parameters: 566.00KiB")
        say("On-chip memory remaining for caching model parameters: 6.91MiB")
    say("Off-chip memory used for streaming uncached model parameters: 0.00B")
    say(f"Number of Edge TPU subgraphs: {subgraphs}")
    say(f"Total number of operations: {total}")
    say(f"Operation log: {log}")
    if mapped < total:
        say(f"\n{PARTLY}")
        say(f"Number of operations that will run on Edge TPU: {mapped}")
        say(f"Number of operations that will run on CPU: {total - mapped}")
    table = ["Operator                       Count      Status", ""]
    table += [f"{name:<30} {count:<10} {status}" for name, count, status in rows]
    if job.options.show_operations:
        say("\n" + "\n".join(table))
    else:
        say("See the operation log file for individual operation details.")
    names = [f"Edge TPU Compiler version {VERSIONS[VERSION]}", f"Input: {model}", f"Output: {place}", ""]
    log.write_text("\n".join([*names, *table]) + "\n")


def rows_of(model: Path) -> list[tuple[str, int, str]]:
    return TABLES.get(model.stem, [("CONV_2D", 1, "Mapped to Edge TPU")])


def succeed(job: Job) -> int:
    start()
    say(f"{'Models' if len(job.models) > 1 else 'Model'} compiled successfully in 313 ms.")
    for model in job.models:
        say()
        report(job, model, rows_of(model), 1, compiled(model))
        shutil.copyfile(compiled(model), job.out / f"{model.stem}_edgetpu.tflite")
    end()
    return 0


def fail(*lines: str, status: int = 1) -> int:
    for line in lines:
        say(line)
    if NEW:
        say("Compilation child process completed within timeout period.")
        say("Compilation failed! ")
    return status


def segments(job: Job) -> int:
    """The whole model as the first segment; the others are what a test gives as STANDIN_OUTPUT.N."""
    number = job.options.num_segments
    for index in range(number):
        model = job.models[0].with_name(f"{job.models[0].stem}_segment_{index}_of_{number}.tflite")
        made = Path(f"{os.environ['STANDIN_OUTPUT']}.{index}")
        start()
        say("Model compiled successfully in 313 ms.\n")
        report(job, model, [("CONV_2D", 2, "Mapped to Edge TPU")], 1, made)
        shutil.copyfile(made, job.out / f"{model.stem}_edgetpu.tflite")
        end()
    return 0


def scenario_ok(job: Job) -> int:
    return segments(job) if getattr(job.options, "num_segments", 1) > 1 else succeed(job)


def scenario_cpu_only(job: Job) -> int:
    start()
    say("Model compiled successfully in 17 ms.\n")
    report(job, job.models[0], ON_CPU, 0, job.models[0])
    shutil.copyfile(job.models[0], job.out / f"{job.models[0].stem}_edgetpu.tflite")
    end()
    return 0


def scenario_no_output(job: Job) -> int:
    start()
    say("Model compiled successfully in 17 ms.\n")
    report(job, job.models[0], rows_of(job.models[0]), 1, job.models[0])
    end()
    return 0


def scenario_link(job: Job) -> int:
    status = scenario_no_output(job)
    (job.out / f"{job.models[0].stem}_edgetpu.tflite").symlink_to(compiled(job.models[0]))
    return status


def scenario_op_version(job: Job) -> int:
    say(
        "ERROR: Didn't find op for builtin opcode 'TRANSPOSE_CONV' version '4'. An older version of this builtin "
        "might be supported. Are you using an old TFLite binary with a newer model?\n"
    )
    say(f"ERROR: Registration failed.\n\nInvalid model: {job.models[0]}\nModel could not be parsed")
    return 1


def scenario_not_quantized(job: Job) -> int:
    say(f"Invalid model: {job.models[0]}\nModel not quantized")
    return 1


def scenario_dynamic(job: Job) -> int:
    start()
    return fail(
        "ERROR: Attempting to use a delegate that only supports static-sized tensors with a graph that has "
        "dynamic-sized tensors.",
        "Compilation failed: Model failed in Tflite interpreter. Please ensure model can be loaded/run in Tflite "
        "interpreter.",
    )


def scenario_activations(job: Job) -> int:
    """Needs --search_delegate, which finds something at the third step."""
    lines = (
        "ERROR: Restored original execution plan after delegate application failure.",
        "Compilation failed: Compilation failed due to large activation tensors in model.",
    )
    if not job.options.search_delegate:
        start()
        return fail(*lines)
    say(f"Searching for valid delegate with step {job.options.delegate_search_step}")
    for number in (31, 30):
        say(f"Try to compile segment with {number} ops")
        start()
        fail(*lines)
    say("Try to compile segment with 29 ops\nIntermediate tensors: some/tensor,another")
    return succeed(job)


def scenario_internal(job: Job) -> int:
    """Versions up to 15 fail at random; here the first two times."""
    if count_run() < 2:
        say("\nInternal compiler error. Aborting! ")
        return 1
    return succeed(job)


def scenario_internal_always(job: Job) -> int:
    count_run()
    say("\nInternal compiler error. Aborting! ")
    return 1


def scenario_subgraphs(job: Job) -> int:
    if job.options.enable_multiple_subgraphs:
        say("\nInternal compiler error. Aborting! ")
        return 1
    return succeed(job)


def scenario_exception(job: Job) -> int:
    count_run()
    start()
    return fail("libc++abi: terminating with uncaught exception of type std::out_of_range: vector")


def scenario_crash(job: Job) -> int:
    """As the shell script around the real program reports it."""
    start()
    say("/usr/bin/edgetpu_compiler: line 3:  1531 Segmentation fault      (core dumped) ${d}/edgetpu_compiler")
    return 139


def scenario_timeout(job: Job) -> int:
    """Keeps to --timeout_sec, as the real one does."""
    start()
    time.sleep(job.options.timeout_sec)
    say("Compilation timeout. This is usually caused by large activations.\nCompilation failed! ")
    return 1


def scenario_hang(job: Job) -> int:
    """Never ends, and neither does a child of it, which holds the output open."""
    start()
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(6000)"])
    Path(os.environ["STANDIN_STATE"]).write_text(f"{os.getpid()} {child.pid}")
    time.sleep(6000)
    return 0


def scenario_garbage(job: Job) -> int:
    sys.stdout.buffer.write(bytes(range(256)) * 200 + b"\x1b[2J\x1b]0;owned\x07" + b"Model compiled successfully in")
    sys.stdout.flush()
    return 0


def scenario_flood(job: Job) -> int:
    while True:
        sys.stdout.write("Started a compilation timeout timer of 180 seconds.\n" * 1000)


def scenario_silent(job: Job) -> int:
    """Version 15 with --num_segments on some models: prints its version, and that is all."""
    return 0


def scenario_liar(job: Job) -> int:
    """Success in words, failure in its status."""
    succeed(job)
    return 3


def scenario_stranger(job: Job) -> int:
    raise AssertionError


SCENARIOS: dict[str, Callable[[Job], int]] = {
    name.removeprefix("scenario_"): f for name, f in globals().items() if name.startswith("scenario_")
}

if __name__ == "__main__":
    sys.exit(main())
