"""What texts tell a user to type exists: verbs and options in remedies, pages and templates are Invoke's."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from invoke import Collection
from invoke.parser import ParserContext

from coralforge.bundle.model_words import Verb, in_pipeline_words
from coralforge.errors import CoralforgeError, user_error
from tests.conftest import ROOT

SRC = ROOT / "src" / "coralforge"
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z_-]*")
# A command up to what ends it: a quotation mark, a comma, a bracket, a comment, the end of the line.
COMMAND = re.compile(r"(\binvoke|scripts/bootstrap)((?: --[a-z-]+)*)(?: ([a-z][a-z-]*)\b([^\n`'\"|,;)#]*))?")
QUOTED = re.compile(r"`[^`\n]+`")
WITHOUT_A_VERB = {
    "invoke": {"--help", "--list"},
    "scripts/bootstrap": {"--convert", "--help", "--install", "--list", "--models"},
}
PROSE = {"", "in", "instead"}  # words that follow "invoke" where no command is meant
OF_OTHER_PROGRAMS = {
    "--dynamic-linker", "--embed_label", "--enable-new-dtags", "--enable_multiple_subgraphs", "--format",
    "--strip-all", "--library-path", "--reload-rules", "--weights", "--include", "--imgsz",
}  # fmt: skip
BUILDING = {"doctor", "fetch", "image", "build", "bundle", "shell"}
# Which verbs may be at hand where a text of a module is shown, for options that stand without `invoke VERB`.
AT_HAND = {
    "commands/selftest": {"selftest"},
    "board/connection.py": {"deploy"},
    "board": {"board"},
    "bundle/bench.py": {"smoke"},
    "bundle/model_files.py": {"bundle"},
    "bundle/onboard.py": {"deploy"},
    "bundle/smoke.py": {"smoke"},
    "bundle/userland.py": {"smoke"},
    "commands/board.py": {"board"},
    "commands/clean.py": {"clean"},
    "commands/compare.py": {"inspect"},
    "commands/deploy.py": {"deploy"},
    "commands/doctor.py": {"doctor"},
    "commands/inspect.py": {"inspect"},
    "commands/models.py": {"compile", "quantize"},
    "commands/pipeline.py": {"template"},
    "commands/release.py": {"release", "verify"},
    "commands/smoke.py": {"smoke"},
    "compile": {"compile"},
    "convert": {"quantize"},
    "deploy": {"deploy"},
    "edgetpu/runtime.py": {"compile"},
    "inspect": {"inspect"},
    "publish": {"release", "verify"},
    "quantize": {"quantize"},
    "settings": BUILDING,
    "sources": BUILDING,
    "templates.py": {"template"},
    "tflite/model.py": {"compile", "quantize"},
}


@cache
def verbs() -> dict[str, set[str]]:
    """The options of each of Invoke's tasks, those that switch something off included."""
    spec = importlib.util.spec_from_file_location("tasks_under_test", ROOT / "tasks.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {str(context.name): options_of(context) for context in Collection.from_module(module).to_contexts()}


def options_of(context: ParserContext) -> set[str]:
    return {flag for flag in (*context.flags, *context.inverse_flags) if flag.startswith("--")} | {"--help"}


def wrong_commands(text: str) -> Iterator[str]:
    """Commands in a text whose verb or option does not exist."""
    for program, own, verb, rest in COMMAND.findall(text):
        if verb not in PROSE and verb not in verbs():
            yield f"{program} {verb}"
        known = verbs().get(verb, set())
        yield from (f"{program} {verb} {option}" for option in OPTION.findall(rest) if option not in known)
        yield from (f"{program} {option}" for option in own.split() if option not in WITHOUT_A_VERB[program])


def code_of(page: str) -> str:
    """What a page of Markdown gives as code: blocks, indented or fenced, and words between backticks."""
    lines, fenced = [], False
    for line in page.splitlines():
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            lines.append(line)
        else:
            lines += QUOTED.findall(line)
    return "\n".join(lines)


def texts_of(module: Path) -> Iterator[str]:
    """The strings of a module that are no docstrings. What an f-string puts in is an X."""
    tree = ast.parse(module.read_text())
    silent = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            silent.update(node.values)
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in silent:
            yield node.value


def pages() -> list[Path]:
    patterns = ("*.md", "templates/**/*.md.j2", "toolchains/**/*.md", "tests/*/**/*.md")
    folders = (".github", "device", "docs", "sample", "simulator")
    return sorted(path for one in (*patterns, *(f"{name}/*.md" for name in folders)) for path in ROOT.glob(one))


def modules() -> list[Path]:
    return sorted(SRC.rglob("*.py"))


def at_hand(module: Path) -> set[str]:
    name = str(module.relative_to(SRC))
    found = [found for start, found in AT_HAND.items() if name.startswith(start)]
    return found[0] if found else set()


@pytest.mark.parametrize("page", pages(), ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_on_pages_exist(page: Path) -> None:
    assert list(wrong_commands(code_of(page.read_text()))) == []


@pytest.mark.parametrize("module", modules(), ids=lambda path: str(path.relative_to(SRC)))
def test_commands_in_texts_exist_and_options_fit_the_verb_at_hand(module: Path) -> None:
    fitting = OF_OTHER_PROGRAMS.union(*(verbs()[verb] for verb in at_hand(module)))
    for text in texts_of(module):
        if " " not in text.strip():
            continue  # no sentence, but a word of a command
        assert list(wrong_commands(text)) == []
        alone = COMMAND.sub("", text)
        assert [option for option in OPTION.findall(alone) if option not in fitting] == [], text


def test_commands_in_templates_and_scripts_exist() -> None:
    folders = ("templates", "scripts", "docker", ".ci")
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    for path in (*paths, ROOT / "pipeline.yaml"):
        if "__pycache__" not in path.parts:
            assert list(wrong_commands(path.read_text())) == [], path


def told(remedy: str, verb: Verb) -> str:
    with pytest.raises(CoralforgeError) as caught, in_pipeline_words("models.net", verb):
        raise user_error("wrong --io", reason="r", remedy=remedy)
    assert caught.value.brief == str(caught.value).splitlines()[0] == "wrong models.net.quantize.io"
    return caught.value.remedy


@pytest.mark.parametrize("verb", Verb)
def test_in_a_bundle_no_remedy_names_an_option_that_the_bundle_does_not_have(verb: Verb) -> None:
    """Each option of the verb that does it alone becomes a field of pipeline.yaml, or is said to be that verb's."""
    for option in verbs()[verb.value[0]] - {"--help"}:
        said = told(f"give {option} X, or less", verb)
        left = [found for found in OPTION.findall(said) if found not in verbs()["bundle"]]
        assert set(left) <= {option}
        assert (f"{option} X (of {verb.command})" in said) is bool(left)
        assert (f"give what it makes as models.net.{verb.field}" in said) is bool(left)


@pytest.mark.parametrize(
    ("remedy", "verb", "said"),
    [
        ("the .tflite file that it got as --plain", Verb.COMPILE, "the .tflite file that it got as models.net.model"),
        ("--compiler PATH or --target simulator", Verb.COMPILE, "--compiler PATH or models.net.target: simulator"),
        ("run `export.py --include onnx`", Verb.COMPILE, "run `export.py --include onnx`"),
        ("give --preprocess 0..1, or raw", Verb.QUANTIZE, "give models.net.quantize.preprocess: 0..1, or raw"),
        (
            "add --trust",
            Verb.QUANTIZE,
            "add --trust (of invoke quantize); pipeline.yaml has no field for --trust: run invoke quantize yourself, "
            "and give what it makes as models.net.model",
        ),
        ("change it", Verb.COMPILE, "change it"),
    ],
)
def test_in_a_bundle_remedies_are_in_the_words_of_pipeline_yaml(remedy: str, verb: Verb, said: str) -> None:
    assert told(remedy, verb) == said
