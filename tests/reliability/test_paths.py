"""Paths and names: odd ones work as plain ones do, and impossible ones are refused, in every option of every verb."""

from __future__ import annotations

import io
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from invoke import Collection

from coralforge.commands import boundary
from coralforge.errors import ExitCode
from tests.conftest import ROOT
from tests.support.model_maker import classifier
from tests.support.promises import Promise, Trial, promised
from tests.support.small_bundle import make_bundle
from tests.support.verb_runner import Ran, load_tasks

CHAPTER = "Paths and names"
OWN_TOOLS = ("format", "lint", "selftest", "test")
"""Verbs of developers, which hand their options to ruff, pytest and others."""
DOCUMENTED = {code.value for code in ExitCode} - {ExitCode.INTERNAL.value}


@dataclass(frozen=True)
class Option:
    """An option that takes a value."""

    verb: str
    flag: str


def options() -> list[Option]:
    """All of them, asked of tasks.py."""
    collection = Collection.from_module(load_tasks())
    found = []
    for name, task in collection.tasks.items():
        for argument in task.get_arguments():
            if argument.kind is not bool and name not in OWN_TOOLS:
                flag = max(argument.names, key=len).replace("_", "-")
                found.append(Option(name, f"--{flag}"))
    return found


@dataclass
class Bench:
    """A folder with good inputs, and no way out of it: no Docker, no network, no compiler."""

    folder: Path
    requests: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir()
        (self.folder / "good.tflite").write_bytes(classifier())
        shutil.move(make_bundle(self.folder / "made"), self.folder / "good.tar.gz")
        (self.folder / "bin").mkdir()
        for program in ("ssh", "gh", "apt-get", "docker"):
            (self.folder / "bin" / program).write_text("#!/bin/sh\nexit 255\n")
            (self.folder / "bin" / program).chmod(0o755)

    def base(self, verb: str) -> list[str]:
        """Good values for what the verb cannot do without."""
        model = ["--model", str(self.folder / "good.tflite")]
        archive = ["--bundle", str(self.folder / "good.tar.gz")]
        return {
            "compile": [*model, "--target", "simulator", "--output", str(self.folder / "compiled.tflite")],
            "inspect": model,
            "quantize": [*model, "--random", "3"],
            "template": ["--dest", str(self.folder / "app")],
            "deploy": ["--board", "me@host.invalid", *archive],
            "smoke": archive,
            "verify": archive,
        }.get(verb, [])

    def ask(self, option: Option, value: str) -> None:
        """Let an option have this value beside the base's; a value of the base is replaced."""
        base, given = self.base(option.verb), [option.flag, value]
        if option.flag in base:
            at = base.index(option.flag)
            base, given = base[:at] + given + base[at + 2 :], []
        if option.flag in ("--out-dir", "--against") and "--output" in base:
            at = base.index("--output")
            del base[at : at + 2]
        self.requests.append({"arguments": [option.verb, *base, *given], "folder": str(self.folder)})

    def run(self) -> list[Ran]:
        """All that was asked for."""
        closed = "http://127.0.0.1:1"
        env = {
            **{key: value for key, value in os.environ.items() if not key.startswith("CORALFORGE_")},
            "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}",
            "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.folder),
            "CORALFORGE_CACHE": str(self.folder / "cache"),
            "CORALFORGE_DEBIAN_ARCHIVE": (self.folder / "no-archive").as_uri(),
            "CORALFORGE_MODELS_PYTHON": str(self.folder / "no-python"),
            "DOCKER_HOST": "unix:///nonexistent.sock",
            **dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), closed),
        }
        done = subprocess.run(
            [sys.executable, "-m", "tests.support.verb_runner", str(self.folder)],
            cwd=ROOT, env=env, input=json.dumps(self.requests), stdout=subprocess.PIPE, text=True, check=True,
        )  # fmt: skip
        return [Ran(**one) for one in json.loads(done.stdout)]


ODD = {
    "spaces": " a  b ",
    "quotes": 'it\'s "so"',
    "a newline": "a\nb",
    "no UTF-8": "\udcff\udcfe",
    "255 bytes": "x" * 255,
    "letters": "Größe 模型 \u200f",
    "an escape": "\x1b[2J\x07",
    "dashes": "-x",
    "an equals sign": "a=b:c,d",
    "a shell's": "$(touch x);`id`&|<>*?[!]{}~#",
    "percent": "100%41%s",
    "a link": "link",
}


def impossible(folder: Path) -> dict[str, str]:
    """Paths that name nothing that can be read or written.

    The tests may run as root, and these are outputs too: none may lead out of the bench's own folder.
    """
    return {
        "256 bytes": str(folder / ("x" * 256)),
        "256 bytes of letters": str(folder / ("ü" * 128)),
        "too long with an ending": str(folder / ("x" * 250 + ".tar.gz")),
        "nearly too long": str(folder / ("x" * 245 + ".tflite")),
        "5000 bytes": str(folder / "/".join(["x" * 100] * 50)),
        "below a file": str(folder / "good.tflite/x"),
        "a circle": str(folder / "circle"),
        "below a circle": str(folder / "circle/x"),
        "a link to nothing": str(folder / "dangling"),
        "a folder": str(folder),
        "a pipe": str(folder / "pipe"),
        "a device": str(folder / "device"),
        "a socket": str(folder / "socket"),
        "nothing": "",
        "a dot": ".",
        "two dots": "..",
        "a slash at its end": str(folder / "none/"),
        "no folder": str(folder / "no/such/folder/x"),
        "of nobody": "~nobody-of-that-name/x",
        "a number": "9" * 400,
        "no number": "-1",
        "an address": "http://[",
        "an address of a port": "http://host:port/x",
        "a file's address": "file:///nonexistent",
        "a name of ours": "NAME=" + "x" * 300,
        "a source": "fxdiv=" + "x" * 300,
        "an option": "--help-me",
        "no UTF-8": "\udcff/\udcfe",
        "an escape": "\x1b[2J",
        "newlines": "\n\n",
    }


def arrange(folder: Path) -> None:
    (folder / "circle").symlink_to("circle")
    (folder / "dangling").symlink_to("nothing-there")
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(os.path.relpath(folder / "socket"))
    try:
        os.mknod(folder / "device", 0o600 | stat.S_IFCHR, os.makedev(1, 7))  # as /dev/full
    except PermissionError:
        os.mkfifo(folder / "device")


def stays_inside(value: str, folder: Path) -> bool:
    """Whether a value names nothing outside of the bench and the folder above it, which is the test's own."""
    if "://" in value:
        return value.startswith(("http://", "file:///nonexistent"))
    place = Path(os.path.normpath(folder / value.rpartition("=")[2]))
    return place.is_relative_to(folder.parent)


def test_no_path_that_is_tried_leads_outside(tmp_path: Path) -> None:
    folder = tmp_path / "bench"
    wrong = [name for name, value in impossible(folder).items() if not stays_inside(value, folder)]
    assert wrong == []
    assert not any(
        stays_inside(value, folder) for value in ("/", "/dev/null", "/proc/1/environ", "../..", "a=/etc/x")
    )


def documented(ran: Ran) -> str:
    """Why it did not end as documented; empty when it did."""
    text = ran.stdout + ran.stderr
    for bad in ("Traceback", "internal error", "\x1b[2J"):
        if bad in text:
            return bad
    if ran.status in DOCUMENTED:
        return ""
    of_invoke = ran.status == 1 and any(word in text for word in ("needed value", "No idea what", "ambiguous"))
    return "" if of_invoke else f"exit status {ran.status}"


IMPOSSIBLE = Promise(
    CHAPTER,
    "A path that cannot be is one error that says so, with a documented exit code",
    "every option of every verb that takes a value, found in tasks.py, with names of 256 bytes and more, circles of "
    "links, pipes, devices, folders, files for folders, no UTF-8, nothing, ...",
    "errors of the system are not told: an internal error",
)


def try_impossible(bench: Bench, pairs: Sequence[tuple[Option, str]]) -> dict[str, str]:
    """What did not end as documented."""
    values = impossible(bench.folder)
    assert all(stays_inside(value, bench.folder) for value in values.values())
    for option, name in pairs:
        bench.ask(option, values[name])
    wrong = {}
    for (option, name), ran in zip(pairs, bench.run(), strict=True):
        if why := documented(ran):
            wrong[f"{option.verb} {option.flag} with {name}"] = f"{why}\n{ran.stderr[-600:]}"
    return wrong


@promised(IMPOSSIBLE)
def test_a_path_that_cannot_be_is_one_error(tmp_path: Path, trial: Trial) -> None:
    bench = Bench(tmp_path / "bench")
    arrange(bench.folder)
    pairs = [(option, name) for option in options() for name in impossible(bench.folder)]
    wrong = try_impossible(bench, tuple(trial.cases(pairs, short=120)))
    assert wrong == {}, "\n\n".join(f"{key}: {text}" for key, text in wrong.items())


@promised(IMPOSSIBLE, control=True)
def test_without_the_systems_errors_there_are_internal_ones(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(boundary, "system_error", lambda _: None)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(SystemExit) as ended:
        boundary.run(lambda: print((tmp_path / ("x" * 256)).read_bytes()))
    assert ended.value.code == ExitCode.INTERNAL


ODD_NAME = Promise(
    CHAPTER,
    "An odd name works as a plain one does",
    f"{', '.join(ODD)}: as models, outputs, reports, projects, bundles, mirrors and sources",
    "stdout is not made plain: a name that is no UTF-8 ends in an internal error",
)


@dataclass(frozen=True)
class Use:
    """A command that reads or writes files of these names."""

    arguments: tuple[str, ...]
    """``IN`` and ``OUT`` stand for the odd folder; its files are copies of the good ones."""
    made: tuple[str, ...] = ()
    """What is there afterwards."""


USES = (
    Use(("inspect", "--model", "@/N.tflite", "--json", "@/N.json", "--html", "@/N.html"), ("N.json", "N.html")),
    Use(("inspect", "--model", "@/N.tflite", "--against", "@/N_edgetpu-sim.tflite")),
    Use(("inspect", "--pairs", "@")),
    Use(("compile", "--target", "simulator", "--model", "@/N.tflite", "--output", "@/N.out"), ("N.out", "N.log")),
    Use(("compile", "--target", "simulator", "--model", "@/N.tflite", "--out-dir", "@/new/N"), ("new/N",)),
    Use(("template", "--dest", "@/N"), ("N/CMakeLists.txt", "N/README.md")),
    Use(("fetch", "--mirror", "@")),
    Use(("fetch", "--source", "fxdiv=@", "--dry-run")),
    Use(("smoke", "--bundle", "@/N.tar.gz", "--report", "@/N.json")),
    Use(("verify", "--bundle", "@/N.tar.gz", "--signers", "@/N.tflite")),
    Use(("deploy", "--board", "me@host.invalid", "--bundle", "@/N.tar.gz", "--ssh-config", "@/N.tflite")),
    Use(("quantize", "--model", "@/N.tflite", "--samples", "@", "--output", "@/N.out")),
    Use(("release", "--dest", "@/N", "--dry-run"), ("N",)),
    Use(("release", "--sign", "@/N.tflite", "--dry-run")),
)


def used(use: Use, folder: Path, name: str, bench: Bench) -> Path:
    """A folder of the odd name, with good files of it; the command goes to the bench."""
    outer = folder / name
    outer.mkdir(parents=True)
    stem = name[: 255 - 24]
    for good in ("good.tflite", "good.tar.gz"):
        target = outer / f"{stem}{good.removeprefix('good')}"
        if name == "link":
            target.symlink_to(bench.folder / good)
        else:
            shutil.copy(bench.folder / good, target)
    (outer / f"{stem}_edgetpu-sim.tflite").write_bytes(classifier())
    words = [word.replace("@", str(outer)).replace("/N", f"/{stem}") if "@/" in word or word == "@"
             or "=@" in word else word for word in use.arguments]  # fmt: skip
    bench.requests.append({"arguments": words, "folder": str(bench.folder)})
    return outer


def reason(ran: Ran) -> str:
    """The last line of an error, which programs read."""
    return ran.stderr.strip().rpartition("\n")[2] if ran.status else ""


@promised(ODD_NAME)
def test_an_odd_name_works_as_a_plain_one_does(tmp_path: Path, trial: Trial) -> None:
    bench = Bench(tmp_path / "bench")
    for number, use in enumerate(USES):
        used(use, tmp_path / "plain" / str(number), "plain", bench)
    pairs = [(use, name) for use in USES for name in ODD]
    places = []
    cases = tuple(trial.cases(pairs, short=40))
    for number, (use, name) in enumerate(cases):
        places.append(used(use, tmp_path / "odd" / str(number), ODD[name], bench))
    ran = bench.run()
    plain = dict(zip(USES, ran[: len(USES)], strict=True))
    for (use, name), place, odd in zip(cases, places, ran[len(USES) :], strict=True):
        case = f"{' '.join(use.arguments)} with {name}: {odd.stderr[-800:]}"
        assert not documented(odd), f"{documented(odd)}: {case}"
        assert (odd.status, reason(odd)) == (plain[use].status, reason(plain[use])), case
        made = [path.replace("N", ODD[name][: 255 - 24], 1) for path in use.made]
        assert [path for path in made if not (place / path).exists()] == [], case


@promised(ODD_NAME, control=True)
def test_without_plain_output_a_name_that_is_no_utf8_ends_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(boundary, "plain_stdout", nullcontext)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), "utf-8", "strict"))
    with pytest.raises(SystemExit) as ended:
        boundary.run(print, ODD["no UTF-8"])
    assert ended.value.code == ExitCode.INTERNAL


def test_every_option_that_takes_a_value_is_tried() -> None:
    """Those that name files stand in the table; whatever tasks.py gets more is in ``options`` by itself."""
    found = {f"{one.verb} {one.flag}" for one in options()}
    assert {"template --dest", "smoke --bundle", "inspect --model", "release --sign", "bundle --mirror"} <= found
