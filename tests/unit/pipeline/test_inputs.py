"""Keys cannot lie: each stage's key changes with what can change its result, and with nothing else."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from coralforge.pipeline.inputs import INPUTS, InputFiles, digests
from coralforge.plan import Stage
from coralforge.util.fingerprint import of_paths
from tests.conftest import ROOT
from tests.support.project_maker import copy_project_files

LISTED = [(stage, files, path) for stage, listed in INPUTS.items() for files in listed for path in files.paths]
ENGINE = ROOT / "src" / "coralforge"
NO_INPUTS = ("README.md", "docs/errors.md", "simulator/tests/new_test.cc", "src/coralforge/commands/doctor.py")

# By stage: the modules that make its result, and the stages whose key its own contains.
MAKERS = {
    Stage.LIBRARIES: (("pipeline.build", "elf.gate"), ()),
    Stage.PREFIX: (("bundle.prefix", "templates"), (Stage.LIBRARIES,)),
    Stage.PROGRAMS: (("templates", "pipeline.build"), (Stage.LIBRARIES, Stage.PREFIX)),
    Stage.MODEL: (("bundle.model_maker",), ()),
    Stage.BUNDLE: (
        ("bundle.assemble", "bundle.pack", "elf.gate", "templates"),
        (Stage.LIBRARIES, Stage.PREFIX, Stage.PROGRAMS, Stage.MODEL),
    ),
    Stage.DEB: (
        ("bundle.deb.build",),
        (Stage.LIBRARIES, Stage.PREFIX, Stage.PROGRAMS, Stage.MODEL, Stage.BUNDLE),
    ),
}
# They say how and where something is run, kept or shown. What they find out is in keys as values: digests of
# sources, the image's key, the options of pipeline.yaml.
HOW = (
    "errors",
    "events",
    "console",
    "plan",
    "settings",
    "store",
    "config",
    "sources",
    "containers",
    "util",
    "pipeline.build",
    "bundle.model_words",
)
# The version: templates have it in two README.md, of which one is in the bundle only, the other in no artifact.
WITHOUT = {Stage.PREFIX: {"__init__"}, Stage.PROGRAMS: {"__init__"}}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What keys are made of, copied."""
    root = copy_project_files(tmp_path_factory.mktemp("project")).root
    (root / "docs").mkdir()
    return root


def first_file(root: Path, files: InputFiles, path: str) -> Path:
    found = root / path
    return found if found.is_file() else next(p for p in sorted(found.rglob("*")) if p.is_file())


def changed(before: dict[Stage, dict[str, str]], after: dict[Stage, dict[str, str]]) -> set[tuple[Stage, str]]:
    return {(s, label) for s, labels in before.items() for label in labels if labels[label] != after[s][label]}


@pytest.mark.parametrize("path", sorted({path for _, _, path in LISTED}))
def test_every_input_is_on_disk(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize(("stage", "files", "path"), LISTED, ids=[f"{s.value}-{p}" for s, _, p in LISTED])
def test_each_input_alone_changes_the_keys_that_list_it(
    project: Path, stage: Stage, files: InputFiles, path: str
) -> None:
    before = digests(project)
    file = first_file(project, files, path)
    content = file.read_bytes()
    file.write_bytes(content + b"\n")
    try:
        found = changed(before, digests(project))
    finally:
        file.write_bytes(content)
    assert (stage, files.label) in found
    name = file.relative_to(project).as_posix()
    assert found == {
        (s, f.label) for s, f, p in LISTED if name == p or (name.startswith(f"{p}/") and counts(f, name))
    }


def counts(files: InputFiles, name: str) -> bool:
    """Whether a file below a listed folder is in the key: it may be left out by a name in its path."""
    return files.without not in Path(name).parts


@pytest.mark.parametrize("name", NO_INPUTS)
def test_a_file_that_is_no_input_changes_no_key(project: Path, name: str) -> None:
    before = digests(project)
    (project / name).write_text("changed")
    assert changed(before, digests(project)) == set()


def test_an_input_that_is_not_there_is_an_error_and_not_a_shorter_key(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="input of a cache key"):
        of_paths(tmp_path / "elf.py")
    with pytest.raises(FileNotFoundError):
        digests(tmp_path)


def module_file(name: str) -> Path | None:
    """The file of a module of the engine; None for a name inside one."""
    path = ENGINE / name.replace(".", "/")
    if path.with_suffix(".py").is_file():
        return path.with_suffix(".py")
    return path / "__init__.py" if path.is_dir() else None


def imports(module: str) -> Iterator[str]:
    """Modules of the engine that one imports, wherever in it; not the ones for type checkers only."""
    file = module_file(module)
    assert file is not None, module
    tree = ast.parse(file.read_text(encoding="utf-8"))
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom) or id(node) in typing_only:
            continue
        package, _, base = (node.module or "").partition(".")
        if package == "coralforge":
            for alias in node.names:
                name = f"{base}.{alias.name}".lstrip(".")
                yield name if module_file(name) else base or "__init__"


def closure(roots: tuple[str, ...]) -> set[str]:
    """All that the roots import, the roots included; what says only how something is run is not followed."""
    found: set[str] = set()
    pending = list(roots)
    while pending:
        module = pending.pop()
        if module not in found and (module in roots or not is_how(module)):
            found.add(module)
            pending += imports(module)
    return found


def is_how(module: str) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in HOW)


@pytest.mark.parametrize("stage", MAKERS)
def test_whatever_makes_a_result_is_in_its_key(stage: Stage) -> None:
    roots, earlier = MAKERS[stage]
    covered = [ROOT / path for s in (stage, *earlier) for files in INPUTS[s] for path in files.paths]
    missing = set()
    for module in closure(roots) - WITHOUT.get(stage, set()):
        file = module_file(module)
        assert file is not None
        if not any(file == path or file.is_relative_to(path) for path in covered):
            missing.add(module)
    assert missing == set()
