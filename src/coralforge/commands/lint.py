"""`invoke lint`, `format`, `test` and `selftest`: programs of the virtual environment, one after the other."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from coralforge.errors import ExitCode

_CPP = ("*.cc", "*.cpp", "*.h", "*.c")
_CPP_FOLDERS = ("device", "simulator", "templates/consumer")
_SHELL = (b"#!/bin/sh", b"#!/bin/bash", b"#!/usr/bin/env bash")
_SHELL_FILES = (
    ".ci/run",
    "docker/*/*",
    "scripts/*",
    "src/coralforge/deploy/board/*",
    "templates/debian/*",
    "tests/integration/debian/*.sh",
)


@dataclass(frozen=True)
class Tool:
    """One program of the virtual environment and its arguments; ``module`` for those that run with ``-m``."""

    name: str
    arguments: tuple[str, ...]
    module: bool = True

    def command(self) -> list[str]:
        program = [sys.executable, "-m", self.name] if self.module else [str(Path(sys.executable).parent / self.name)]
        return [*program, *self.arguments]


def lint_tools(root: Path) -> tuple[Tool, ...]:
    """Everything that checks sources and changes nothing."""
    return (
        Tool("ruff", ("check", ".")),
        Tool("ruff", ("format", "--check", ".")),
        Tool("mypy", ()),
        Tool("lint-imports", ("--no-cache", "--no-logo"), module=False),
        Tool("clang-format", ("--dry-run", "--Werror", *_cpp_files(root)), module=False),
        Tool("shellcheck", _shell_files(root), module=False),
        Tool("check-jsonschema", ("--builtin-schema", "vendor.github-workflows", *_workflows(root)), module=False),
        Tool("check-jsonschema", ("--builtin-schema", "vendor.gitlab-ci", ".gitlab-ci.yml"), module=False),
        Tool("zizmor", ("--offline", "--no-progress", "--quiet", *_workflows(root)), module=False),
    )


def format_tools(root: Path) -> tuple[Tool, ...]:
    """Everything that writes sources anew in the project's form, and the schemas in docs/ from the models."""
    return (
        Tool("ruff", ("check", "--fix", "--exit-zero", "--quiet", ".")),
        Tool("ruff", ("format", ".")),
        Tool("clang-format", ("-i", *_cpp_files(root)), module=False),
        Tool("coralforge.config.json_schema", ()),
        Tool("coralforge.inspect.json_schema", ()),
    )


def run_tools(root: Path, tools: Sequence[Tool]) -> int:
    """Run all tools in the folder ``root``; returns 0, or the exit status of the first that failed.

    All run, so that one call shows everything that is to be mended. After Ctrl-C no further one does.
    """
    failed = 0
    for tool in tools:
        status, stopped = _wait(subprocess.Popen(tool.command(), cwd=root, stdin=subprocess.DEVNULL))
        if stopped:
            return status or ExitCode.CANCELLED
        if status:
            print(f"failed: {' '.join((tool.name, *tool.arguments[:1]))} (exit status {status})", file=sys.stderr)
        failed = failed or status
    return failed


def _wait(process: subprocess.Popen[bytes]) -> tuple[int, bool]:
    """A tool's exit status, and whether Ctrl-C came meanwhile.

    The tool got it, too, and ends in its own time: pytest says where it was and removes what its tests made.
    `subprocess.run` would kill it after a quarter of a second.
    """
    stopped = False
    while True:
        try:
            return process.wait(), stopped
        except KeyboardInterrupt:
            stopped = True


def _cpp_files(root: Path) -> tuple[str, ...]:
    found = (path for folder in _CPP_FOLDERS for kind in _CPP for path in (root / folder).rglob(kind))
    return tuple(sorted(path.relative_to(root).as_posix() for path in found))


def _workflows(root: Path) -> tuple[str, ...]:
    return tuple(sorted(path.relative_to(root).as_posix() for path in (root / ".github" / "workflows").glob("*.yml")))


def _shell_files(root: Path) -> tuple[str, ...]:
    found = [path for pattern in _SHELL_FILES for path in sorted(root.glob(pattern)) if path.is_file()]
    return tuple(path.relative_to(root).as_posix() for path in found if path.read_bytes().startswith(_SHELL))
