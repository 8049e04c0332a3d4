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
DRY_RUN = "Say what would run, and do nothing."
EXPLAIN = "Say for each step why it runs or is skipped."

WHAT = {"arch": ARCH, "release": RELEASE, "variant": VARIANT, "mirror": MIRROR, "source": SOURCE}
HOW = {**WHAT, "dry-run": DRY_RUN, "explain": EXPLAIN}
LISTS = ["variant", "mirror", "source"]
Text = str | None
List = Sequence[str] | None


def _options(
    arch: Text = None, release: Text = None, variant: List = None, mirror: List = None, source: List = None
) -> Options:
    from coralforge.settings import Options

    return Options(arch, release, tuple(variant or ()), tuple(mirror or ()), tuple(source or ()))


def _bring(goal: str, what: dict[str, Any], dry_run: bool, explain: bool) -> None:
    from coralforge import frontdoor, verbs
    from coralforge.plan import Stage

    frontdoor.enter(verbs.bring_stage, Stage(goal), _options(**what), dry_run, explain)


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
    from coralforge import frontdoor, verbs

    frontdoor.enter(verbs.doctor, _options(arch, release, variant, mirror, source))


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
    _bring("fetch", what, dry_run, explain)


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
    _bring("image", what, dry_run, explain)


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
    _bring("prefix", what, dry_run, explain)


@task(help=HOW, iterable=LISTS)
def bundle(
    c: Context,
    arch: Text = None,
    release: Text = None,
    variant: List = None,
    mirror: List = None,
    source: List = None,
    dry_run: bool = False,
    explain: bool = False,
) -> None:
    """Build everything and pack the bundle for the board."""
    what = {"arch": arch, "release": release, "variant": variant, "mirror": mirror, "source": source}
    _bring("bundle", what, dry_run, explain)


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
    from coralforge import frontdoor, verbs

    frontdoor.enter(verbs.template, _options(arch, release), dest, name, force)


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
    from coralforge import frontdoor, verbs

    frontdoor.enter(verbs.smoke, _options(arch, release), bundle, report)


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
    from coralforge import frontdoor
    from coralforge.models import verbs

    options = {"samples": samples, "preprocess": preprocess, "io": io, "signature": signature, "shape": input_shape}
    numbers = {"random": random, "max_samples": max_samples, "timeout": timeout, "memory": memory}
    frontdoor.enter(verbs.quantize_model, model, output, {**options, "trust": trust}, numbers)


@task(
    name="compile",
    help={
        "model": "The model to compile: a .tflite quantized to full integer.",
        "target": "simulator: runs on the simulated libedgetpu. (edgetpu, for hardware, is not there yet.)",
        "output": "Where the compiled model goes (default: X_edgetpu-sim.tflite beside the model).",
    },
)
def compile_model(c: Context, model: str = "", target: str = "edgetpu", output: Text = None) -> None:
    """Compile a model for the Edge TPU or its simulator."""
    from coralforge import frontdoor
    from coralforge.models import verbs

    frontdoor.enter(verbs.compile_model, model, target, output)


@task(help={"everything": "Also remove downloads, images and the output folder."})
def clean(c: Context, everything: bool = False) -> None:
    """Remove what can be made again: artifacts, trees, Bazel's cache, stray containers."""
    from coralforge import frontdoor, verbs

    frontdoor.enter(verbs.clean, _options(), everything)


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
    from coralforge import frontdoor, verbs

    frontdoor.enter(verbs.shell, _options(arch, release, variant, mirror, source))


@task(help={"unit": "Only the tests that need neither Docker nor a network (seconds)."})
def test(c: Context, unit: bool = False) -> None:
    """Run ruff, mypy and the tests."""
    places = ["tests/unit"] if unit else []
    for command in (["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"], ["pytest", *places]):
        done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, stdin=subprocess.DEVNULL, check=False)
        if done.returncode:
            sys.exit(done.returncode)
