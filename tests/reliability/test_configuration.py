"""Configuration: whatever is written in a YAML file, it is meant so or refused where it stands."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from coralforge.config import base, document
from coralforge.config.load import load_pipeline, load_release, load_toolchain
from coralforge.config.pipeline import Pipeline
from coralforge.config.release import Release
from coralforge.config.toolchain import Toolchain
from coralforge.errors import CoralforgeError, ExitCode
from tests.conftest import ROOT
from tests.support.full_configs import FULL, Leaf, all_models, changed, leaves, strings
from tests.support.hostile_yaml import every
from tests.support.promises import Promise, Trial, promised
from tests.support.yaml_writer import Loc, Written, write

CHAPTER = "Configuration"
NAMES: dict[type[BaseModel], str] = {Pipeline: "pipeline.yaml", Release: "2.14.1.yaml", Toolchain: "toolchain.yaml"}


def load(root: type[BaseModel], folder: Path, text: str) -> object:
    """Read the text as the file of that schema."""
    path = folder / NAMES[root]
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    if root is Pipeline:
        return load_pipeline(path)
    return load_toolchain(path) if root is Toolchain else load_release(folder, "2.14.1")


def test_the_full_documents_are_valid_and_say_every_field(tmp_path: Path) -> None:
    """A new field of a model must be said in tests/support/full_configs.py; then it is tried as all others."""
    for root, data in FULL.items():
        load(root, tmp_path, write(data).text)
    said = {(leaf.model, leaf.name) for root in FULL for leaf in leaves(root)}
    fields = {(model, name) for root in FULL for model in all_models(root) for name in model.model_fields}
    assert fields - said == set()


FIELD = Promise(
    CHAPTER,
    "An invalid edit is refused with the file, the line and the column where it stands",
    "each field of each schema, found in the models: a value of another kind or out of its bounds or pattern, "
    "left out, written twice, or with a misspelt name",
    "positions are not kept: every error is at the file's first line",
)
KINDS: tuple[Any, ...] = (
    None, True, -1, 0, 17, 10**30, 3.5, -1.5e300, "", "text", "0" * 64, [], [1], ["text"], {}, {"a": 1}, [[]], [{}],
)  # fmt: skip


@dataclass(frozen=True)
class Edit:
    """One change of a full document; ``at`` is where the error must be."""

    leaf: Leaf
    what: str
    value: Any = None

    @property
    def label(self) -> str:
        return f"{NAMES[self.leaf.root]} {'.'.join(map(str, self.leaf.loc))}: {self.what} {self.value!r}"

    def written(self) -> tuple[Written, list[Loc]]:
        """The document, and the places of which the error must name one."""
        data, loc = FULL[self.leaf.root], self.leaf.loc
        if self.what == "twice":
            return write(data, twice=loc), [loc]
        if self.what == "left out":
            return write(changed(data, loc, ...)), [loc[:-1]]
        if self.what == "misspelt":
            other = (*loc[:-1], f"{loc[-1]}x")
            # Beside the right one: what is left out is another edit.
            return write(changed(data, other, self.leaf.value)), [other]
        out = write(changed(data, loc, self.value))
        return out, [place for place in out.at if place[: len(loc)] == loc]


def is_invalid(leaf: Leaf, value: Any) -> bool:
    """Whether the model refuses the field for this value; asked of pydantic, not of our loader."""
    data: Any = FULL[leaf.root]
    for part in leaf.loc[:-1]:
        data = data[part]
    try:
        leaf.model.model_validate({**data, leaf.name: value})
    except ValidationError as error:
        return any(one["loc"][:1] == (leaf.name,) for one in error.errors())
    return False


def edits() -> Iterator[Edit]:
    for root in FULL:
        for leaf in leaves(root):
            yield from (Edit(leaf, "is", value) for value in KINDS if value != leaf.value and is_invalid(leaf, value))
            yield Edit(leaf, "twice")
            yield Edit(leaf, "misspelt")
            if leaf.field.is_required():
                yield Edit(leaf, "left out")


def refused(root: type[BaseModel], folder: Path, text: str) -> CoralforgeError | None:
    try:
        load(root, folder, text)
    except CoralforgeError as error:
        return error
    return None


def right(edit: Edit, folder: Path) -> None:
    out, places = edit.written()
    error = refused(edit.leaf.root, folder, out.text)
    assert error is not None, edit.label
    assert error.code is ExitCode.USER, edit.label
    file = folder / NAMES[edit.leaf.root]
    expected = [f"{file}:{line}:{column}: " for line, column in (out.at.get(place, (1, 1)) for place in places)]
    assert any(error.brief.startswith(one) for one in expected), (edit.label, error.brief, expected[:3])
    name = str(edit.leaf.loc[-1]) if edit.what != "is" else ""
    assert name in str(error), (edit.label, str(error))


@promised(FIELD)
def test_an_invalid_edit_is_refused_where_it_stands(tmp_path: Path, trial: Trial) -> None:
    for edit in trial.cases(tuple(edits()), short=150):
        right(edit, tmp_path)


@promised(FIELD, control=True)
def test_without_positions_the_error_is_elsewhere(
    tmp_path: Path, trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document.Document, "where", lambda self, loc: f"{self.path}:1:1")
    with pytest.raises(AssertionError):
        for edit in trial.random().sample(list(edits()), 5):
            right(edit, tmp_path)


HOSTILE = Promise(
    CHAPTER,
    "A hostile document is refused or read within a second of the processor and 64 MiB",
    "alias bombs, keys twice, tags, deep nesting, 50 MB, numbers of base 60 and other slow ones, each in a process "
    "with RLIMIT_AS",
    "no limit of length: 50 MB are parsed, which takes all of the memory it may have, or minutes",
)
MIB = 64
SECOND = 120
"""In yardsticks, of which one takes 8 ms or more of the processor."""


def measured(folder: Path, texts: dict[str, str]) -> dict[str, dict[str, Any]]:
    """How each document was taken, by its name."""
    names = {}
    for number, (name, text) in enumerate(texts.items()):
        path = folder / f"{number}.yaml"
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
        names[str(path)] = name
    command = [sys.executable, "-m", "tests.support.bounded", str(MIB), *names]
    env = {**os.environ, "PYTHONPATH": f"src{os.pathsep}."}
    done = subprocess.run(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(done.stdout)
    return {names[one["file"]]: {**one, "effort": one["seconds"] / found["yardstick"]} for one in found["files"]}


@promised(HOSTILE)
def test_a_hostile_document_is_refused_soon(tmp_path: Path, trial: Trial) -> None:
    wanted = {name: (text, reason) for name, text, reason in every()}
    found = measured(tmp_path, {name: text for name, (text, _) in wanted.items()})
    for name in trial.cases(tuple(wanted), short=len(wanted)):
        one, reason = found[name], wanted[name][1]
        assert one["effort"] < SECOND, (name, one)
        assert one["reason"] not in ("MemoryError", "killed"), (name, one)
        assert reason in ("", one["reason"]), (name, one)


@promised(HOSTILE, control=True)
def test_the_plain_yaml_reader_takes_the_bait() -> None:
    """PyYAML itself, on what is refused here: a bomb of 300 bytes is a million words, and a key is lost."""
    texts = {name: text for name, text, _ in every()}
    levels = "".join(texts["a billion laughs"].splitlines(keepends=True)[:6])
    bomb = yaml.safe_load(levels)["a5"]
    assert len(str(bomb)) > 3_000_000
    assert yaml.safe_load(texts["a key twice"])["release"] == "2.14.2"


INJECTION = Promise(
    CHAPTER,
    "What a shell, Jinja, CMake or Bazel would take for an instruction is refused in every text, or reaches none",
    "each text of each schema, with instructions drawn by hypothesis; what is taken is looked for in rendered files",
    "texts are not looked at: the instructions are taken",
)
TOKENS = (
    "$(reboot)", "`id`", "${HOME}", "$ENV{HOME}", "{{ 7*7 }}", "{% include 'x' %}", "{# x #}", '")\nexecute_process(',
    "]]\\\n", '"', "\\", "\n", "\r", "\t", "\0", "\x1b[2J", "\u2028", "\x85", "\u202e", "\ud800", "\ufeff",
    "\U000e0041",
)  # fmt: skip
HARMLESS = (
    "; touch x;",
    "| sh",
    "&& reboot",
    "> /etc/passwd",
    "'; id; '",
    "#",
    "--config=x",
    "@file",
    "%s",
    "[glob(['**'])]",
)


@dataclass(frozen=True)
class Place:
    """A text in a full document."""

    root: type[BaseModel]
    loc: Loc


PLACES = [Place(root, loc) for root, data in FULL.items() for loc in strings(data)]


def payloads(tokens: tuple[str, ...]) -> st.SearchStrategy[str]:
    words = st.text(st.characters(codec="ascii", min_codepoint=32, exclude_characters='`$"\\{}'), max_size=6)
    return st.tuples(words, st.sampled_from(tokens), words).map("".join)


def inject(place: Place, payload: str, folder: Path) -> tuple[CoralforgeError | None, Written]:
    out = write(changed(FULL[place.root], place.loc, payload))
    return refused(place.root, folder, out.text), out


def attack(place: Place, folder: Path, examples: int) -> int:
    """Instructions at one place; all of them must be refused there. Returns how many were tried."""
    tried = 0

    @settings(max_examples=examples, database=None, derandomize=True, phases=[Phase.generate])
    @given(payloads(TOKENS))
    def one(payload: str) -> None:
        nonlocal tried
        tried += 1
        error, out = inject(place, payload, folder)
        assert error is not None, (place, payload)
        assert error.code is ExitCode.USER
        assert error.brief.startswith(str(folder / NAMES[place.root])), (place, payload, error.brief)
        line = out.at[place.loc][0]
        syntax = error.reason in ("yaml-syntax", "config-unreadable")
        assert syntax or f":{line}:" in str(error), (place, payload, str(error))
        assert not any(character in str(error) for character in "\0\x1b\r\u202e\ud800"), (place, payload)

    one()
    return tried


@promised(INJECTION)
def test_instructions_are_refused_in_every_text(tmp_path: Path, trial: Trial) -> None:
    for place in trial.cases(PLACES, short=len(PLACES)):
        trial.count += attack(place, tmp_path, 40 if trial.long else 3) - 1


@promised(INJECTION)
def test_what_is_taken_reaches_no_rendered_file(tmp_path: Path, trial: Trial) -> None:
    taken: list[str] = []
    for place, payload in trial.cases(tuple(itertools.product(PLACES, HARMLESS)), short=80):
        marked = f"{payload}CANARY"
        error, _ = inject(place, marked, tmp_path)
        assert error is None or error.code is ExitCode.USER
        taken += [marked] if error is None and place.root is Pipeline else []
    assert taken
    for marked in trial.random("taken").sample(taken, min(len(taken), 20 if trial.long else 3)):
        assert not any("CANARY" in text for text in rendered(tmp_path, marked)), marked


def rendered(folder: Path, payload: str) -> Iterator[str]:
    """All that is rendered for a pipeline with this text wherever it may be."""
    from dataclasses import replace

    from coralforge.settings import Options, Project, resolve
    from coralforge.templates import render_bundle, render_consumer

    data = FULL[Pipeline]
    for loc in strings(data):
        other = changed(data, loc, payload)
        if refused(Pipeline, folder, write(other).text) is None:
            data = other
    assert refused(Pipeline, folder, write(data).text) is None
    pipeline = load_pipeline(folder / NAMES[Pipeline])
    configured = replace(resolve(Project(ROOT), Options()), pipeline=pipeline)
    for files in (render_bundle(configured), render_consumer(configured)):
        yield from (f"{PurePosixPath(name)} {file.content.decode(errors='replace')}" for name, file in files.items())


@promised(INJECTION, control=True)
def test_without_the_look_at_texts_instructions_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "_TRICKS", ())
    with pytest.raises(AssertionError):
        attack(Place(Pipeline, ("models", "plain", "licence")), tmp_path, 50)
