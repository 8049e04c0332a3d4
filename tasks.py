"""The front door: `invoke --list` shows the verbs. No logic here; the engine is src/coralforge."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke import Context, task

if TYPE_CHECKING:
    from coralforge.settings import Options

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "src"))

ARCH = "Target architecture: aarch64 or x86_64 (default: the first platform in pipeline.yaml)."
RELEASE = "Matched set of pins: a file in releases/ (default: pipeline.yaml's)."
VARIANT = "direct, throttled or simulated; repeatable, the first is the bundle's default (default: pipeline.yaml's)."
MIRROR = "Folder or http(s) address that is asked first for every archive; repeatable."
SOURCE = "NAME=DIR: a local checkout instead of the pinned source; marks the bundle unpinned; repeatable."
COMPILER = "Path of Google's edgetpu_compiler (default: the one on PATH, else a container)."
DRY_RUN = "Say what would run, and do nothing."
EXPLAIN = "Say for each step why it runs or is skipped."

WHAT = {"arch": ARCH, "release": RELEASE, "variant": VARIANT, "mirror": MIRROR, "source": SOURCE}
HOW = {**WHAT, "dry-run": DRY_RUN, "explain": EXPLAIN}
LISTS = ["variant", "mirror", "source"]
Text = str | None
List = Sequence[str] | None


def _options(
    arch: Text = None,
    release: Text = None,
    variant: List = None,
    mirror: List = None,
    source: List = None,
    compiler: Text = None,
) -> Options:
    from coralforge.settings import Options

    return Options(arch, release, tuple(variant or ()), tuple(mirror or ()), tuple(source or ()), compiler)


def _run_stage(goal: str, what: dict[str, Any], dry_run: bool, explain: bool) -> None:
    from coralforge.commands import boundary, pipeline
    from coralforge.plan import Stage

    boundary.run(pipeline.run_stage, Stage(goal), _options(**what), dry_run, explain)


@task(help=WHAT, iterable=LISTS)
def doctor(
    c: Context,
    arch: Text = None,
    release: Text = None,
    variant: List = None,
    mirror: List = None,
    source: List = None,
) -> None:
    """Say what is missing on this machine and how to get it."""
    from coralforge.commands import boundary, pipeline

    boundary.run(pipeline.doctor, _options(arch, release, variant, mirror, source))


@task(help=HOW, iterable=LISTS)
def fetch(
    c: Context,
    arch: Text = None,
    release: Text = None,
    variant: List = None,
    mirror: List = None,
    source: List = None,
    dry_run: bool = False,
    explain: bool = False,
) -> None:
    """Download and verify every source."""
    what = {"arch": arch, "release": release, "variant": variant, "mirror": mirror, "source": source}
    _run_stage("fetch", what, dry_run, explain)


@task(help=HOW, iterable=LISTS)
def image(
    c: Context,
    arch: Text = None,
    release: Text = None,
    variant: List = None,
    mirror: List = None,
    source: List = None,
    dry_run: bool = False,
    explain: bool = False,
) -> None:
    """Make the builder image (Bazel, clang, lld, sysroots)."""
    what = {"arch": arch, "release": release, "variant": variant, "mirror": mirror, "source": source}
    _run_stage("image", what, dry_run, explain)


@task(help=HOW, iterable=LISTS)
def build(
    c: Context,
    arch: Text = None,
    release: Text = None,
    variant: List = None,
    mirror: List = None,
    source: List = None,
    dry_run: bool = False,
    explain: bool = False,
) -> None:
    """Cross-compile flatbuffers, TensorFlow Lite and libedgetpu."""
    what = {"arch": arch, "release": release, "variant": variant, "mirror": mirror, "source": source}
    _run_stage("prefix", what, dry_run, explain)


@task(help={**HOW, "compiler": COMPILER}, iterable=LISTS)
def bundle(
    c: Context,
    arch: Text = None,
    release: Text = None,
    variant: List = None,
    mirror: List = None,
    source: List = None,
    compiler: Text = None,
    dry_run: bool = False,
    explain: bool = False,
) -> None:
    """Build everything and pack the bundle for the board."""
    what: dict[str, Any] = {"arch": arch, "release": release, "variant": variant, "mirror": mirror, "source": source}
    what["compiler"] = compiler
    _run_stage("bundle", what, dry_run, explain)


@task(
    help={
        "dest": "Folder to write the project to.",
        "name": "Name of the CMake project.",
        "arch": ARCH,
        "release": RELEASE,
        "force": "Overwrite files that differ.",
    }
)
def template(
    c: Context, dest: str = "", name: str = "coral-app", arch: Text = None, release: Text = None, force: bool = False
) -> None:
    """Render the CMake consumer project (lstpu, model, benchmark)."""
    from coralforge.commands import boundary, pipeline

    boundary.run(pipeline.template, _options(arch, release), dest, name, force)


@task(
    help={
        "bundle": "The bundle's .tar.gz (default: the one of --arch in dist/).",
        "report": "Where the JSON report goes (default: beside the bundle).",
        "arch": ARCH,
        "release": RELEASE,
    }
)
def smoke(c: Context, bundle: Text = None, report: Text = None, arch: Text = None, release: Text = None) -> None:
    """Run a bundle's smoke test on an emulated board."""
    from coralforge.commands import boundary, pipeline

    boundary.run(pipeline.smoke, _options(arch, release), bundle, report)


@task(
    name="quantize",
    help={
        "model": "The model: a .keras or .h5 file of Keras 2 or 3, or the folder of a SavedModel.",
        "samples": "What to calibrate with: a folder of images, an .npz or .npy file, or MODULE:FUNCTION.",
        "output": "Where the quantized model goes (default: X_quant.tflite beside the model).",
        "preprocess": "How pixels are scaled: auto, raw, 0..1, -1..1, torch, caffe or mean=M,std=S (default: auto).",
        "io": "Type of inputs and outputs: uint8 or int8 (default: uint8).",
        "random": "Calibrate with that many RANDOM samples; for trying out only: nothing is verified.",
        "max-samples": "Take at most that many samples, a fifth of them to compare with (default: 500).",
        "signature": "Which signature of a SavedModel (default: serving_default, or the only one).",
        "input-shape": "Sizes of an input that the model leaves open, without the batch: 224x224x3.",
        "trust": "Run code that the model file has in it (Lambda layers).",
        "timeout": "Give up after that many seconds (default: 7200).",
        "memory": "MiB that TensorFlow may take (default: three quarters of the machine's).",
    },
)
def quantize_model(
    c: Context,
    model: str = "",
    samples: str = "",
    output: Text = None,
    preprocess: str = "auto",
    io: str = "uint8",
    random: str = "0",
    max_samples: str = "500",
    signature: str = "",
    input_shape: str = "",
    trust: bool = False,
    timeout: str = "7200",
    memory: str = "0",
) -> None:
    """Quantize a Keras model or SavedModel to a .tflite of full integers."""
    from coralforge.commands import boundary, models

    options = {"samples": samples, "preprocess": preprocess, "io": io, "signature": signature, "shape": input_shape}
    numbers = {"random": random, "max_samples": max_samples, "timeout": timeout, "memory": memory}
    boundary.run(models.quantize_model, model, output, {**options, "trust": trust}, numbers)


@task(
    name="compile",
    help={
        "model": "The model to compile: a .tflite quantized to full integer; repeatable (compiled together).",
        "target": "edgetpu: with Google's compiler, for hardware; simulator: for the simulated libedgetpu.",
        "output": "Where the compiled model goes (default: X_edgetpu.tflite or X_edgetpu-sim.tflite beside it).",
        "out-dir": "Folder for compiled models, logs and JSON (default: beside each model).",
        "compiler": COMPILER,
        "min-runtime": "Oldest Edge TPU runtime version that has to run the model: 10 to 14 (the release's).",
        "segments": "Cut the model into parts for a pipeline of so many Edge TPUs.",
        "multiple-subgraphs": "Let several parts of the model run on the Edge TPU (experimental).",
        "search-delegate": "Leave operations at the end to the CPU until the compiler no longer fails.",
        "search-step": "How many operations more at each step of --search-delegate (default: 1).",
        "timeout": "Seconds for one compilation (default: 180).",
        "retry": "Whether to try again when the compiler fails by a fault of its own.",
        "preflight": "Whether to refuse what the compiler would refuse before it is run.",
        "allow-cpu": "Take a model of which nothing runs on the Edge TPU.",
        "release": RELEASE,
    },
    iterable=["model"],
    auto_shortflags=False,  # Google's program has other short flags
)
def compile_model(
    c: Context,
    model: List = None,
    target: str = "edgetpu",
    output: Text = None,
    out_dir: Text = None,
    compiler: Text = None,
    min_runtime: Text = None,
    segments: Text = None,
    multiple_subgraphs: bool = False,
    search_delegate: bool = False,
    search_step: Text = None,
    timeout: Text = None,
    retry: bool = True,
    preflight: bool = True,
    allow_cpu: bool = False,
    release: Text = None,
) -> None:
    """Compile models for the Edge TPU or its simulator."""
    from coralforge.commands import boundary, models

    request = models.CompileRequest(
        models=tuple(model or ()),
        target=target,
        output=output,
        out_dir=out_dir,
        compiler=compiler,
        min_runtime=min_runtime,
        segments=segments,
        multiple_subgraphs=multiple_subgraphs,
        search_delegate=search_delegate,
        search_step=search_step,
        timeout=timeout,
        no_retry=not retry,
        no_preflight=not preflight,
        allow_cpu=allow_cpu,
        release=release,
    )
    boundary.run(models.compile_model, request)


@task(
    help={
        "model": "The .tflite to look at: plain (what would be mapped is predicted), or compiled.",
        "plain": "What a compiled model was compiled from: says for each operation where it runs.",
        "json": "Write JSON instead (docs/schema/inspection.schema.json), or --json FILE beside the text.",
        "html": "Also write a page with a picture of the graph.",
        "min-mapped": "Fail (exit code 6) if less than this part of the operations is mapped: 0.95 or 95%.",
    },
    optional=["json"],
    auto_shortflags=False,  # -h is help
)
def inspect(
    c: Context,
    model: str = "",
    plain: Text = None,
    json: str | bool | None = None,
    html: Text = None,
    min_mapped: Text = None,
) -> None:
    """Say where each operation of a model runs, why, and what to change."""
    from coralforge.commands import boundary, inspect

    boundary.run(inspect.inspect, inspect.Request(model, plain, json, html, min_mapped))


@task(help={"everything": "Also remove downloads, images and the output folder."})
def clean(c: Context, everything: bool = False) -> None:
    """Remove what can be made again: artifacts, trees, Bazel's cache, stray containers."""
    from coralforge.commands import boundary, pipeline

    boundary.run(pipeline.clean, _options(), everything)


@task(help=WHAT, iterable=LISTS)
def shell(
    c: Context,
    arch: Text = None,
    release: Text = None,
    variant: List = None,
    mirror: List = None,
    source: List = None,
) -> None:
    """Open a shell in the builder container."""
    from coralforge.commands import boundary, pipeline

    boundary.run(pipeline.shell, _options(arch, release, variant, mirror, source))


@task(help={"unit": "Only the tests that need neither Docker nor a network (seconds)."})
def test(c: Context, unit: bool = False) -> None:
    """Run ruff, mypy and the tests."""
    places = ["tests/unit"] if unit else []
    for command in (["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"], ["pytest", *places]):
        done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, stdin=subprocess.DEVNULL, check=False)
        if done.returncode:
            sys.exit(done.returncode)
