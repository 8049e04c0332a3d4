"""The models that go into a bundle and the files that they are made from: where they are, and what is in them.

A file is the user's own, relative to pipeline.yaml, or pinned and fetched like any source.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from coralforge.bundle.sample import ModelEntry, sample_of
from coralforge.config.models import BundledModel, DataFile, Quantize, Target
from coralforge.config.release import Source
from coralforge.errors import user_error
from coralforge.events import Sink
from coralforge.plan import Inputs, ModelFact
from coralforge.settings import Cache, Settings
from coralforge.sources.fetch import cached, fetch_all, verified
from coralforge.sources.records import Fetched, Wanted
from coralforge.util import atomic, fingerprint
from coralforge.util.fingerprint import of_file
from coralforge.util.paths import typed

PARTS = ("model", "compiled", "labels", "image", "questions")


@dataclass(frozen=True)
class ModelFiles:
    """Where the files of one model are on this machine."""

    model: Path
    compiled: Path | None
    labels: Path | None
    image: Path | None
    questions: Path | None = None


def bundled_models(settings: Settings) -> tuple[ModelEntry, ...]:
    """The sample, then the models of pipeline.yaml."""
    models = settings.pipeline.models.items()
    return (sample_of(settings), *(ModelEntry(name, name, f"models.{name}", entry) for name, entry in models))


def survey_models(settings: Settings) -> tuple[ModelFact, ...]:
    """The facts about each model, from the disk only.

    Raises:
        CoralforgeError: reason ``model-file`` (exit code 2): a file that pipeline.yaml names is not there, or is not
            the one that it pins.
    """
    return tuple(ModelFact(model.label, _inputs(settings, model)) for model in bundled_models(settings))


def fetch_models(settings: Settings, sink: Sink) -> None:
    """Have all pinned files of all models in the download cache. Raises as ``fetch_all``."""
    fetch_all(
        [wanted for model in bundled_models(settings) for wanted in _all_wanted(settings, model)],
        settings.cache.root,
        settings.mirrors,
        sink,
    )


def locate(settings: Settings, model: ModelEntry) -> ModelFiles:
    """The files of a model that the survey found complete; all bytes of the pinned ones are compared once more.

    Raises:
        CoralforgeError: as ``survey_models`` and ``verified``.
    """
    plain, *others = (_whole(settings, model, part) for part in PARTS)
    assert plain is not None  # fetched before: the plan says so
    return ModelFiles(plain, *others)


def _all_wanted(settings: Settings, model: ModelEntry) -> list[Wanted]:
    return [wanted for part in PARTS if (wanted := _wanted(settings, model, part)) is not None]


def _inputs(settings: Settings, model: ModelEntry) -> Inputs | None:
    entry = model.entry
    inputs = {"options": _options(entry)}
    if entry.target is Target.EDGETPU and entry.compiled is None:
        inputs["compiler"] = _compiler(settings)
    for part in PARTS:
        file: DataFile | None = getattr(entry, part)
        if file is None:
            continue
        path = file_of(settings, model, part)
        if path is None:
            return None
        inputs[part] = file.places[0].sha256 if file.places else _digest(path, settings.cache)
    if entry.quantize is not None:
        locks = ["requirements-models.lock"] + ["requirements-convert.lock"] * entry.model.filename.endswith(".onnx")
        inputs["quantization"] = fingerprint.of_paths(*(settings.project.root / name for name in locks))
        samples = _samples_file(settings, entry.quantize)
        if samples is not None:
            inputs["samples"] = _digest(samples, settings.cache)
    return inputs


def _compiler(settings: Settings) -> str:
    """Which compiler would be taken; its program is not started for this."""
    from coralforge.compile.container import PROGRAM

    found = settings.compiler or shutil.which(PROGRAM)
    program = typed(found) if found else settings.project.docker / "edgetpu-compiler.Dockerfile"
    return _digest(program, settings.cache) if program.is_file() else ""


def _options(entry: BundledModel) -> str:
    """All that pipeline.yaml says of a model, except where its files are."""
    said = entry.model_dump(mode="json", exclude=set(PARTS))
    return json.dumps(said, sort_keys=True)


def file_of(settings: Settings, model: ModelEntry, part: str) -> Path | None:
    """Where a file is; None when it is not named, or not fetched yet. Raises as ``survey_models``."""
    file: DataFile | None = getattr(model.entry, part)
    if file is None:
        return None
    if file.path is None:
        fetched = _fetched(settings, model, part)
        return fetched.path if fetched else None
    path = _absolute(settings, file.path)
    if not path.exists():
        raise user_error(
            f"{settings.project.pipeline}: {model.where}.{part}: {path} does not exist",
            reason="model-file",
            remedy="correct the path, which is relative to pipeline.yaml",
        )
    if file.sha256 is not None:
        found = remembered(path, settings.cache, "sha256", of_file)
        _require_pinned(settings, f"{model.where}.{part}", path, file.sha256, found)
    return path


def _fetched(settings: Settings, model: ModelEntry, part: str) -> Fetched | None:
    wanted = _wanted(settings, model, part)
    return cached(wanted, settings.cache.root) if wanted else None


def _whole(settings: Settings, model: ModelEntry, part: str) -> Path | None:
    """Where a file is that is about to be used: not only its length and time are as they were."""
    file: DataFile | None = getattr(model.entry, part)
    path = file_of(settings, model, part)
    if file is None or path is None:
        return None
    if (fetched := _fetched(settings, model, part)) is not None:
        return verified(fetched)
    if file.sha256 is not None:
        _require_pinned(settings, f"{model.where}.{part}", path, file.sha256, of_file(path))
    return path


def _require_pinned(settings: Settings, where: str, path: Path, sha256: str, found: str) -> None:
    if found != sha256:
        raise user_error(
            f"{settings.project.pipeline}: {where}: {path} is not the file that sha256 pins",
            reason="model-file",
            details=f"its sha256 is {found}, not {sha256}",
            remedy="put that file there, or correct sha256, or leave it out",
        )


def _absolute(settings: Settings, path: str) -> Path:
    return (settings.project.root / typed(path)).absolute()


def _wanted(settings: Settings, model: ModelEntry, part: str) -> Wanted | None:
    file: DataFile | None = getattr(model.entry, part)
    if file is None or not file.places:
        return None
    source = Source(version=model.name, licence=model.entry.licence, places=file.places)
    return Wanted(f"{model.where.removeprefix('models.')}-{part}", source, settings.arch)


def _samples_file(settings: Settings, quantize: Quantize) -> Path | None:
    """The folder or file that samples come from; None for random ones, and for a module that is installed."""
    if quantize.samples is None:
        return None
    text, function, _ = quantize.samples.partition(":")
    path = _absolute(settings, text)
    if path.exists():
        return path
    if function:
        module = _absolute(settings, text.replace(".", "/") + ".py")
        return module if module.exists() else None
    raise user_error(
        f"{settings.project.pipeline}: the samples {path} do not exist",
        reason="model-file",
        remedy="correct the path, which is relative to pipeline.yaml",
    )


def _digest(path: Path, cache: Cache) -> str:
    """Digest of a file or folder, with its names: what a key is made of."""
    return remembered(path, cache, "digest", fingerprint.of_paths)


def remembered(path: Path, cache: Cache, kind: str, digest_of: Callable[[Path], str]) -> str:
    """``digest_of`` something that may be large: taken again only when names, sizes or times differ.

    ``kind`` names the fact, beside other ones of the same file.
    """
    seen = hashlib.sha256()
    for file in sorted(p for p in (path.rglob("*") if path.is_dir() else [path]) if p.is_file()):
        status = file.stat()
        seen.update(
            f"{file}\0{status.st_size}\0{status.st_mtime_ns}\0{status.st_ino}\n".encode(errors="surrogateescape")
        )
    memo = cache.last / f"{kind}-{seen.hexdigest()[:32]}"
    try:
        seal, _, digest = memo.read_bytes().decode("ascii").partition(" ")
    except (OSError, ValueError):
        seal, digest = "", ""
    if digest and seal == _seal(memo.name, digest):
        return digest
    digest = digest_of(path)
    with contextlib.suppress(OSError):  # it only saves time
        memo.parent.mkdir(parents=True, exist_ok=True)
        atomic.write(memo, f"{_seal(memo.name, digest)} {digest}".encode())
    return digest


def _seal(name: str, digest: str) -> str:
    """Shows that ``digest`` is whole, and that file's: a key made of another one chooses another's artifact."""
    return fingerprint.of_mapping({name: digest})
