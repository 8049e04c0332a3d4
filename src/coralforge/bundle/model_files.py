"""The files that the models of pipeline.yaml are made from: where they are, and what is in them.

A file is the user's own, relative to pipeline.yaml, or pinned and fetched like any source.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from coralforge.config.models import BundledModel, DataFile, Quantize, Target
from coralforge.config.pipeline import Source
from coralforge.errors import user_error
from coralforge.events import Sink
from coralforge.plan import Inputs, ModelFact
from coralforge.settings import Cache, Settings
from coralforge.sources.archive import Wanted
from coralforge.sources.fetch import cached, fetch_all
from coralforge.util import fingerprint
from coralforge.util.paths import typed

PARTS = ("model", "compiled", "labels", "image")


@dataclass(frozen=True)
class ModelFiles:
    """Where the files of one model are on this machine."""

    model: Path
    compiled: Path | None
    labels: Path | None
    image: Path | None


def survey_models(settings: Settings) -> tuple[ModelFact, ...]:
    """What is known of each model, looked up on disk only.

    Raises:
        CoralforgeError: reason ``model-file`` (exit code 2): a file that pipeline.yaml names is not there.
    """
    return tuple(ModelFact(name, _inputs(settings, name)) for name in settings.pipeline.models)


def fetch_models(settings: Settings, sink: Sink) -> None:
    """Have all pinned files of all models in the download cache. Raises as ``fetch_all``."""
    wanted = [
        item
        for name, entry in settings.pipeline.models.items()
        for part in PARTS
        if (item := _wanted(settings, name, part, getattr(entry, part))) is not None
    ]
    fetch_all(wanted, settings.cache.root, settings.mirrors, sink)


def locate(settings: Settings, name: str) -> ModelFiles:
    """The files of a model that the survey found complete."""
    entry = settings.pipeline.models[name]
    model, compiled, labels, image = (_locate(settings, name, part, getattr(entry, part)) for part in PARTS)
    assert model is not None  # fetched before: the plan says so
    return ModelFiles(model, compiled, labels, image)


def _inputs(settings: Settings, name: str) -> Inputs | None:
    entry = settings.pipeline.models[name]
    inputs = {"options": _options(entry)}
    if entry.target is Target.EDGETPU and entry.compiled is None:
        inputs["compiler"] = _compiler(settings)
    for part in PARTS:
        file: DataFile | None = getattr(entry, part)
        if file is None:
            continue
        path = _locate(settings, name, part, file)
        if path is None:
            return None
        inputs[part] = file.places[0].sha256 if file.places else _digest(path, settings.cache)
    if entry.quantize is not None:
        inputs["quantization"] = fingerprint.of_paths(settings.project.root / "requirements-models.lock")
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


def _locate(settings: Settings, name: str, part: str, file: DataFile | None) -> Path | None:
    """Where a file is; None when it is not named, or not fetched yet."""
    if file is None:
        return None
    if file.path is None:
        wanted = _wanted(settings, name, part, file)
        fetched = cached(wanted, settings.cache.root) if wanted else None
        return fetched.path if fetched else None
    path = _absolute(settings, file.path)
    if not path.exists():
        raise user_error(
            f"{settings.project.pipeline}: models.{name}.{part}: {path} does not exist",
            reason="model-file",
            remedy="correct the path, which is relative to pipeline.yaml",
        )
    return path


def _absolute(settings: Settings, path: str) -> Path:
    return (settings.project.root / typed(path)).absolute()


def _wanted(settings: Settings, name: str, part: str, file: DataFile | None) -> Wanted | None:
    if file is None or not file.places:
        return None
    licence = settings.pipeline.models[name].licence
    return Wanted(f"{name}-{part}", Source(version=name, licence=licence, places=file.places), settings.arch)


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
    """Digest of a file or folder that may be large: hashed again only when names, sizes or times differ."""
    seen = hashlib.sha256()
    for file in sorted(p for p in (path.rglob("*") if path.is_dir() else [path]) if p.is_file()):
        status = file.stat()
        seen.update(
            f"{file}\0{status.st_size}\0{status.st_mtime_ns}\0{status.st_ino}\n".encode(errors="surrogateescape")
        )
    memo = cache.root / "last" / f"digest-{seen.hexdigest()[:32]}"
    try:
        return memo.read_text(encoding="ascii")
    except OSError:
        digest = fingerprint.of_paths(path)
    memo.parent.mkdir(parents=True, exist_ok=True)
    temporary = memo.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_text(digest, encoding="ascii")
    temporary.replace(memo)
    return digest
