"""The front door: `invoke --list` shows the verbs. No logic here; the engine is src/coralforge."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "src"))

from coralforge.commands.options import BUILT, PLANNED, SHARED, Option, Said, verb  # noqa: E402 - found by the line above
from coralforge.config.userlands import USERLANDS  # noqa: E402

if TYPE_CHECKING:
    from coralforge.settings import Options


def _options(said: Said) -> Options:
    """The shared options that were given; a verb need not have all of them."""
    from coralforge.settings import Options

    return Options(
        arch=getattr(said, "arch", None),
        release=getattr(said, "release", None),
        variants=tuple(getattr(said, "variant", ())),
        mirrors=tuple(getattr(said, "mirror", ())),
        sources=tuple(getattr(said, "source", ())),
        compiler=getattr(said, "compiler", None),
    )


def _run_stage(goal: str, said: Said) -> None:
    from coralforge.commands import boundary, pipeline
    from coralforge.plan import Stage

    boundary.run(pipeline.run_stage, Stage(goal), _options(said), said.dry_run, said.explain)


@verb(*BUILT)
def doctor(said: Said) -> None:
    """Say what is missing on this machine and how to get it."""
    from coralforge.commands import boundary, pipeline

    boundary.run(pipeline.doctor, _options(said))


@verb(*BUILT, *PLANNED)
def fetch(said: Said) -> None:
    """Download and verify every source."""
    _run_stage("fetch", said)


@verb(*BUILT, *PLANNED)
def image(said: Said) -> None:
    """Make the builder image (Bazel, clang, lld, sysroots)."""
    _run_stage("image", said)


@verb(*BUILT, *PLANNED)
def build(said: Said) -> None:
    """Cross-compile flatbuffers, TensorFlow Lite and libedgetpu."""
    _run_stage("prefix", said)


@verb(
    *BUILT,
    "compiler",
    *PLANNED,
    format=Option(
        "tar.gz, deb (Debian packages), debug (symbols); repeatable (default: tar.gz).",
        repeatable=True,
    ),
)
def bundle(said: Said) -> None:
    """Build everything and pack the bundle for the board."""
    from coralforge.commands import boundary, pipeline

    boundary.run(pipeline.bundle, _options(said), said.format, said.dry_run, said.explain)


@verb(
    *BUILT,
    short_flags=False,
    dest=Option("Folder of the release (default: release-VERSION in the output folder)."),
    sign=Option("Private key, or .pub of one that ssh-agent holds, to sign SHA256SUMS with (ssh-keygen -Y)."),
    twice=Option("Build everything a second time with an empty cache, and refuse other bytes.", default=False),
    finish=Option("Only complete the parts that are there: notes, latest.json, SHA256SUMS.", default=False),
    matrix=Option("Only print the platforms as JSON, for a CI job's matrix.", default=False),
    publish=Option("Make a draft release on GitHub with gh.", default=False),
    dry_run=Option("Make everything, and only say how it would be published.", default=False),
)
def release(said: Said) -> None:
    """Make a release: all bundles with SBOM, provenance and digests; with --arch only one part of it."""
    from coralforge.commands import boundary
    from coralforge.commands import release as releases

    boundary.run(releases.release, _options(said), releases.ReleaseRequest.of(said))


@verb(
    "mirror",
    bundle=Option("The bundle's .tar.gz; what is to be checked lies beside it.", default=""),
    signers=Option("OpenSSH's file of allowed signers, to check the signature with."),
    rebuild=Option("Also build it again from what its provenance says, and compare all bytes.", default=False),
)
def verify(said: Said) -> None:
    """Check a bundle: digest, signature, content, SBOM and provenance."""
    from coralforge.commands import boundary
    from coralforge.commands import release as releases

    boundary.run(releases.verify, _options(said), releases.VerifyRequest.of(said))


@verb(
    "arch",
    "release",
    dest=Option("Folder to write the project to.", default=""),
    name=Option("Name of the CMake project.", default="coral-app"),
    force=Option("Overwrite files that differ.", default=False),
)
def template(said: Said) -> None:
    """Render the CMake consumer project (lstpu, model, detect, benchmark)."""
    from coralforge.commands import boundary, pipeline

    boundary.run(pipeline.template, _options(said), said.dest, said.name, said.force)


@verb(
    bundle=Option("The bundle's .tar.gz (default: the one of --arch in dist/)."),
    report=Option("Where the JSON report goes (default: beside the bundle)."),
    html=Option("Also write the report as a page."),
    board=Option(
        "USER@HOST[:PORT] or a host of ssh_config: deploy to it and run there, by SSH; "
        "or emulated: on a whole emulated board (aarch64) with its own kernel (default: none, a container)."
    ),
    to=SHARED["to"],
    ssh_config=SHARED["ssh-config"],
    device=Option("A device to plug in: none, or emulated, a stand-in at the USB wire (default: none)."),
    userland=Option(
        f"The board's C and C++ libraries: {', '.join(one.name for one in USERLANDS)} "
        "(default: the oldest that the bundle's floor promises to fit)."
    ),
    arch=SHARED["arch"],
    release=SHARED["release"],
)
def smoke(said: Said) -> None:
    """Run a bundle's smoke test on a board by SSH, in a container with a board's libraries, or on an emulated one."""
    from coralforge.commands import boundary
    from coralforge.commands.smoke import smoke

    boundary.run(smoke, _options(said), said)


@verb(
    board=Option("Where to: USER@HOST[:PORT], ssh://USER@HOST:PORT or a host of your ssh_config."),
    bundle=Option("The bundle's .tar.gz (default: the one in dist/ that fits the board)."),
    to=SHARED["to"],
    rollback=Option("Go back to the bundle that was deployed before.", default=False),
    install_rules=Option("Also install the udev rules; shows the commands and asks first.", default=False),
    yes=Option("Do not ask.", default=False),
    wait=Option("Seconds to wait for another deploy to the same folder (default: 60)."),
    ssh_config=SHARED["ssh-config"],
    arch=SHARED["arch"],
    release=SHARED["release"],
)
def deploy(said: Said) -> None:
    """Put a bundle on a board by SSH, beside the one that is there, and switch to it."""
    from coralforge.commands import boundary
    from coralforge.commands.deploy import deploy

    boundary.run(deploy, _options(said), said)


@verb(
    short_flags=False,  # many begin with s
    start=Option("Boot it, unless it runs.", default=False),
    stop=Option("Stop it; it forgets all that was written to it.", default=False),
    status=Option("Say whether it runs, and how to reach it.", default=False),
    ssh=Option("Log in.", default=False),
    plug=Option("Plug an emulated device into it (docs/device.md).", default=False),
    unplug=Option("Pull the emulated device out.", default=False),
    user=Option("Whom to log in as: coral (in plugdev, may use sudo), guest (in no group) or root.", default="coral"),
    model=Option("A compiled model that the device is to know; repeatable.", repeatable=True),
    plain=Option("What it was compiled from; repeatable, one for each --model.", repeatable=True),
    speed=Option("Of the device's USB: super, high or full (default: super)."),
    fault=Option(
        "A fault of the device: NAME or NAME=NUMBER, see docs/device.md; repeatable.",
        repeatable=True,
    ),
    port=Option("USB port: 1 or 2.", default="1"),
    name=Option("Name of the board: there may be several.", default="board"),
)
def board(said: Said) -> None:
    """Try things on a whole emulated aarch64 board, with its own kernel and users: a virtual machine, no hardware."""
    from coralforge.commands import board as boards
    from coralforge.commands import boundary

    boundary.run(boards.run, _options(said), said)


@verb(
    model=Option("The model: .keras or .h5 of Keras 2 or 3, the folder of a SavedModel, or .onnx."),
    samples=Option("What to calibrate with: a folder of images, an .npz or .npy file, or MODULE:FUNCTION."),
    output=Option("Where the quantized model goes (default: X_quant.tflite beside the model)."),
    preprocess=Option("How pixels are scaled: auto, raw, 0..1, -1..1, torch, caffe or mean=M,std=S (default: auto)."),
    io=Option("Type of inputs and outputs: uint8 or int8 (default: uint8)."),
    random=Option("Calibrate with that many RANDOM samples; for trying out only: nothing is verified."),
    max_samples=Option("Take at most that many samples, a fifth of them to compare with (default: 500)."),
    signature=Option("Which signature of a SavedModel (default: serving_default, or the only one)."),
    input_shape=Option("Sizes of an input that the model leaves open, without the batch: 224x224x3."),
    trust=Option("Run code that the model file has in it (Lambda layers).", default=False),
    timeout=Option("Give up after that many seconds (default: 7200)."),
    memory=Option("MiB that TensorFlow may take (default: three quarters of the machine's)."),
    evaluate=Option(
        "Labelled samples, to say how often the model is right: a folder with a folder of images for each class, "
        "or an .npz with an array 'labels'. Of --samples itself, those it was calibrated with are left out."
    ),
    labels=Option("A file with one class a line, in the order of the model's scores, for --evaluate."),
    max_evaluate=Option("Evaluate with at most that many samples (default: 2000)."),
    questions=Option("Put so many samples that are held out into X.questions.bin, to ask a device (default: 0)."),
    layers=Option("Say which layers lose most in any case, not only where the result is bad.", default=False),
    html=Option("Also write the report as a page, with histograms and the layers that lose most."),
    outputs=Option("Names of tensors where an ONNX model is to end, with commas (default: its outputs)."),
)
def quantize(said: Said) -> None:
    """Quantize a model of Keras, TensorFlow or ONNX to a .tflite of full integers."""
    from coralforge.commands import boundary, models

    boundary.run(models.quantize_model, said)


@verb(
    "compiler",
    "release",
    called="compile",
    short_flags=False,  # Google's program has other short flags
    model=Option(
        "The model to compile: a .tflite quantized to full integer; repeatable (compiled together).", repeatable=True
    ),
    target=Option(
        "edgetpu: with Google's compiler, for hardware; simulator: for the simulated libedgetpu.", default="edgetpu"
    ),
    output=Option("Where the compiled model goes (default: X_edgetpu.tflite or X_edgetpu-sim.tflite beside it)."),
    out_dir=Option("Folder for compiled models, logs and JSON (default: beside each model)."),
    min_runtime=Option("Oldest Edge TPU runtime version that has to run the model: 10 to 14 (the release's)."),
    segments=Option("Cut the model into parts for a pipeline of so many Edge TPUs."),
    multiple_subgraphs=Option("Let several parts of the model run on the Edge TPU (experimental).", default=False),
    search_delegate=Option(
        "Leave operations at the end to the CPU until the compiler no longer fails.", default=False
    ),
    search_step=Option("How many operations more at each step of --search-delegate (default: 1)."),
    timeout=Option("Seconds for one compilation (default: 180)."),
    retry=Option("Whether to try again when the compiler fails by a fault of its own.", default=True),
    preflight=Option("Whether to refuse what the compiler would refuse before it is run.", default=True),
    allow_cpu=Option("Take a model of which nothing runs on the Edge TPU.", default=False),
)
def compile_model(said: Said) -> None:
    """Compile models for the Edge TPU or its simulator."""
    from coralforge.commands import boundary, models

    boundary.run(models.compile_model, models.CompileRequest.of(said))


@verb(
    short_flags=False,  # -h is help
    model=Option("The .tflite to look at: plain (what would be mapped is predicted), or compiled.", default=""),
    plain=Option("What a compiled model was compiled from: says for each operation where it runs."),
    json=Option(
        "Write JSON instead (docs/schema/inspection.schema.json), or --json FILE beside the text.",
        value_optional=True,
    ),
    html=Option("Also write a page with a picture of the graph."),
    min_mapped=Option("Fail (exit code 6) if less than this part of the operations is mapped: 0.95 or 95%."),
    against=Option(
        "Compare the prediction for --model with a compiled file or a compiler's .log (exit code 6: differs)."
    ),
    pairs=Option("Compare all pairs below this folder: X.tflite with X_edgetpu.tflite or X_edgetpu.log."),
)
def inspect(said: Said) -> None:
    """Say where each operation of a model runs, why, and what to change."""
    from coralforge.commands import boundary
    from coralforge.commands.inspect import Request, inspect

    boundary.run(inspect, Request(**vars(said)))


@verb(everything=Option("Also remove downloads, images and the output folder.", default=False))
def clean(said: Said) -> None:
    """Remove what can be made again: artifacts, trees, Bazel's cache, stray containers."""
    from coralforge.commands import boundary, pipeline

    boundary.run(pipeline.clean, _options(said), said.everything)


@verb(*BUILT)
def shell(said: Said) -> None:
    """Open a shell in the builder container."""
    from coralforge.commands import boundary, pipeline

    boundary.run(pipeline.shell, _options(said))


@verb()
def lint(said: Said) -> None:
    """Check all sources: ruff, mypy, import-linter, clang-format, shellcheck and the workflows."""
    from coralforge.commands.lint import lint_tools, run_tools

    sys.exit(run_tools(ROOT, lint_tools(ROOT)))


@verb(called="format")
def format_sources(said: Said) -> None:
    """Write all sources anew in the project's form (ruff, clang-format), and the schemas in docs/."""
    from coralforge.commands.lint import format_tools, run_tools

    sys.exit(run_tools(ROOT, format_tools(ROOT)))


@verb(unit=Option("Only the tests that need neither Docker nor a network (two minutes).", default=False))
def test(said: Said) -> None:
    """Check all sources as `invoke lint` does, and run the tests."""
    from coralforge.commands.lint import Tool, lint_tools, run_tools

    places = ("tests/unit",) if said.unit else ()
    sys.exit(run_tools(ROOT, lint_tools(ROOT)) or run_tools(ROOT, [Tool("pytest", places)]))


@verb(
    only=Option("Only tests whose names match, as pytest's -k."),
    seed=Option("What random cases are drawn with (default: always the same)."),
    minutes=Option("Let no test begin another case after so long; the table says how many it tried."),
    table=Option("Write the table of promises and results into this Markdown file."),
)
def selftest(said: Said) -> None:
    """Try every promise of docs/reliability.md against every fault (hours; `invoke test` tries some of each)."""
    from coralforge.commands import boundary, selftest

    boundary.run(selftest.selftest, ROOT, said)
