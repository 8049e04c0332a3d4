"""The Bazel workspace with what options of pipeline.yaml add to it or change in it.

``toolchains/bazel`` alone is the workspace of a build without options, and its digest is in the key of all libraries.
So what only an option needs is elsewhere, and comes into a copy: with the option off, neither the key nor a byte of
the workspace knows of it.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from coralforge.errors import build_error
from coralforge.settings import Project

_TABLE = "\nREPOSITORIES = {\n"
_LITE = "tensorflow/lite"
_REGISTER = f"{_LITE}/core/kernels/register.cc"
_ADDED = re.compile(
    r"^  Add(?:Builtin\(\s*BuiltinOperator_(\w+)|Custom\(\s*\"(\w+)\").*?\);\n", re.MULTILINE | re.DOTALL
)
_RESOLVERS = "[1-9][0-9]BuiltinOpResolver"


@dataclass(frozen=True)
class ComposedProject(Project):
    """The project, with another Bazel workspace than its own."""

    workspace: Path = Path()

    @property
    def bazel(self) -> Path:
        return self.workspace


def with_xnnpack(project: Project, destination: Path) -> Project:
    """The project with a workspace, at ``destination``, that has XNNPACK and TensorFlow Lite's delegate for it."""
    shutil.copytree(project.bazel, destination)
    shutil.copytree(project.xnnpack, destination, dirs_exist_ok=True)
    file = destination / "sources.bzl"
    head, table, tail = file.read_text(encoding="utf-8").partition(_TABLE)
    assert table, f"{file.name} has no table of repositories"
    load = '\nload("//:xnnpack.bzl", "XNNPACK_REPOSITORIES")\n'
    file.write_text(f"{head}{load}\nREPOSITORIES = XNNPACK_REPOSITORIES | {{\n{tail}", encoding="utf-8")
    return ComposedProject(project.root, destination)


def with_operators(
    project: Project, overlay: str, tensorflow: Path, operators: Collection[str], destination: Path
) -> Project:
    """The project with a workspace, at ``destination``, whose TensorFlow Lite has only these operators.

    What upstream's file registers is left out but for them, and no kernel is exported: so the linker drops the rest.
    ``overlay`` is the name of TensorFlow's in the workspace, ``tensorflow`` the tree of its source.

    Raises:
        CoralforgeError: as :func:`registration`.
    """
    shutil.copytree(project.bazel, destination)
    folder = destination / "overlays" / overlay
    register = folder / _REGISTER
    register.parent.mkdir(parents=True)
    register.write_text(registration((tensorflow / _REGISTER).read_text(encoding="utf-8"), operators), "utf-8")
    exports = folder / _LITE / "exports.lds"
    exports.write_text(exports_of_resolvers(exports.read_text(encoding="utf-8")), encoding="utf-8")
    return ComposedProject(project.root, destination)


def registration(text: str, operators: Collection[str]) -> str:
    """Upstream's register.cc with those ``AddBuiltin`` and ``AddCustom`` that name one of ``operators``.

    Custom operators that it does not register are others' (a delegate's): they are no matter of it.

    Raises:
        CoralforgeError: ``ops-not-there`` (exit code 5): it has no operator of such a name.
    """
    known = {_name(match) for match in _ADDED.finditer(text)}
    missing = {name for name in operators if not name.startswith("CUSTOM:")} - known
    if missing:
        raise build_error(
            f"this TensorFlow Lite has no operator {', '.join(sorted(missing))}, which a model of the bundle uses",
            reason="ops-not-there",
            remedy="convert the model with an older TensorFlow, or leave it out",
        )
    return _ADDED.sub(lambda match: match[0] if _name(match) in operators else "", text)


def exports_of_resolvers(text: str) -> str:
    """The list of exports with the resolvers, and without operators and what registers them."""
    kept = [line for line in text.splitlines() if "N6tflite3ops" not in line and "NK6tflite3ops" not in line]
    resolvers = f"    _ZN6tflite3ops7builtin{_RESOLVERS}*; _ZT[ISTV]N6tflite3ops7builtin{_RESOLVERS}*;"
    at = kept.index("  local:")
    return "\n".join([*kept[:at], resolvers, *kept[at:]]) + "\n"


def _name(match: re.Match[str]) -> str:
    return match[1] or f"CUSTOM:{match[2]}"
