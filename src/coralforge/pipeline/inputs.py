"""Which files of the project decide what a stage makes: the file part of its key.

A file that can change a stage's result is listed there, and no other: a change of it makes the artifact again, a
change elsewhere does not. A test holds the lists against the imports of what makes each stage.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from coralforge.plan import Stage
from coralforge.util import fingerprint

_ENGINE = "src/coralforge/"


@dataclass(frozen=True)
class InputFiles:
    """Files and folders below the project's folder, and the name under which plans speak of them."""

    label: str
    paths: tuple[str, ...]
    without: str = ""
    """Files and folders of this name count for nothing, at any depth."""


def _engine(*modules: str, label: str = "engine") -> InputFiles:
    return InputFiles(label, tuple(_ENGINE + module for module in modules))


INPUTS: Mapping[Stage, tuple[InputFiles, ...]] = {
    Stage.LIBRARIES: (
        InputFiles("Bazel workspace", ("toolchains/bazel",), without="README.md"),
        InputFiles("simulator", ("simulator",), without="tests"),
        InputFiles("scripts/build-sdk", ("scripts/build-sdk", "scripts/bazel_build.py", "scripts/split-debug")),
        _engine("elf", label="gate"),
        _engine("pipeline/build.py"),
    ),
    Stage.PREFIX: (
        InputFiles("templates/bundle", ("templates/bundle",)),
        _engine("bundle/files.py", "bundle/prefix.py", "templates.py"),
    ),
    Stage.PROGRAMS: (
        InputFiles("templates/consumer", ("templates/consumer",)),
        InputFiles("toolchains/cmake", ("toolchains/cmake",)),
        InputFiles("scripts/build-programs", ("scripts/build-programs", "scripts/split-debug")),
    ),
    Stage.MODEL: (
        _engine(
            "__init__.py",
            "bundle/manifest.py", "bundle/model_files.py", "bundle/model_maker.py", "bundle/question.py",
            "bundle/sample.py",
            "compile", "convert", "edgetpu", "inspect", "quantize", "tflite",
        ),
    ),
    Stage.BUNDLE: (
        InputFiles("licence", ("LICENSE",)),
        InputFiles("templates/debug", ("templates/debug",)),
        _engine("elf", label="gate"),
        _engine("__init__.py", "pipeline/stages.py", label="version and stages"),
        InputFiles("engine", (f"{_ENGINE}bundle",), without="deb"),
    ),
    Stage.DEB: (
        InputFiles("templates/bundle", ("templates/bundle",)),
        InputFiles("templates/debian", ("templates/debian",)),
        InputFiles("scripts/build-packages", ("scripts/build-packages",)),
        _engine("elf", "bundle/deb", "pipeline/packages.py", "templates.py"),
    ),
}  # fmt: skip

_OPTIONS = _engine("pipeline/options.py", "pipeline/workspace.py", label="options")
XNNPACK = (InputFiles("XNNPACK", ("toolchains/xnnpack", "scripts/build-xnnpack")), _OPTIONS)
"""These decide about the libraries besides, with ``cpu.xnnpack``: without it, their key knows nothing of them."""
SELECTED = (_OPTIONS,)
"""The same with ``cpu.ops: selected``; the operators themselves are values in the key."""


def option_digests(root: Path, listed: Iterable[InputFiles]) -> dict[str, str]:
    """By label, the digest of the files that belong to an option, as they are below ``root``.

    Raises:
        FileNotFoundError: as :func:`digests`.
    """
    return {
        files.label: fingerprint.of_mapping(
            {path: fingerprint.of_paths(root / path, without=files.without) for path in files.paths}
        )
        for files in listed
    }


def digests(root: Path) -> dict[Stage, dict[str, str]]:
    """By stage and label, the digest of the files as they are below ``root``; each path is read once.

    Raises:
        FileNotFoundError: a listed path is not there. That is a mistake in this module, never a user's.
    """
    seen: dict[tuple[str, str], str] = {}

    def digest(path: str, without: str) -> str:
        if (path, without) not in seen:
            seen[path, without] = fingerprint.of_paths(root / path, without=without)
        return seen[path, without]

    return {
        stage: {
            files.label: fingerprint.of_mapping({path: digest(path, files.without) for path in files.paths})
            for files in listed
        }
        for stage, listed in INPUTS.items()
    }
