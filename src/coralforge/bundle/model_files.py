"""The models that go into a bundle and the files that they are made from: where they are, and what is in them.

A file is the user's own, relative to pipeline.yaml, or pinned and fetched like any source. The generated sample's
are made with the programs.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from coralforge.bundle.sample import ModelEntry, generated_sample, pinned_sample, remember_in_vain, tried_in_vain
from coralforge.config.models import BundledModel, DataFile, Quantize, Target
from coralforge.config.release import Source
from coralforge.errors import CoralforgeError, user_error
from coralforge.events import Note, Sink
from coralforge.plan import Inputs, ModelFact, Stage
from coralforge.settings import Cache, Settings
from coralforge.sources.fetch import cached, fetch_all
from coralforge.sources.records import Wanted
from coralforge.util import atomic, fingerprint
from coralforge.util.paths import typed

PARTS = ("model", "compiled", "labels", "image")


@dataclass(frozen=True)
class ModelFiles:
    """Where the files of one model are on this machine."""

    model: Path
    compiled: Path | None
    labels: Path | None
    image: Path | None


def bundled_models(settings: Settings) -> tuple[ModelEntry, ...]:
    """The sample (the generated one, where the pinned one was tried in vain), then the models of pipeline.yaml.

    Raises:
        CoralforgeError: reason ``model-file`` (exit code 2): a file that pipeline.yaml names is not there.
    """
    sample = pinned_sample(settings)
    if tried_in_vain(settings).exists() and _inputs(settings, sample) is None:
        sample = generated_sample(settings)
    return (sample, *_models(settings))


def survey_models(settings: Settings, again: bool = False) -> tuple[ModelFact, ...]:
    """The facts about each model, from the disk only. Raises as :func:`bundled_models`.

    Args:
        again: whether a pinned sample that was tried in vain counts as not fetched yet.
    """
    models = (pinned_sample(settings), *_models(settings)) if again else bundled_models(settings)
    return tuple(
        ModelFact(model.label, _inputs(settings, model), Stage.PROGRAMS if model.generated else None)
        for model in models
    )


def fetch_models(settings: Settings, sink: Sink) -> None:
    """Have all pinned files of all models in the download cache; without the sample's, the generated one is taken.

    Raises as ``fetch_all``.
    """
    fetch_all(
        [wanted for model in _models(settings) for wanted in _all_wanted(settings, model)],
        settings.cache.root,
        settings.mirrors,
        sink,
    )
    sample = pinned_sample(settings)
    tried_in_vain(settings).unlink(missing_ok=True)
    try:
        fetch_all(_all_wanted(settings, sample), settings.cache.root, settings.mirrors, sink)
    except CoralforgeError as error:
        if error.reason != "source-unavailable":
            raise
        sink.emit(
            Note(
                f"the sample {sample.name} cannot be had from here; "
                "the bundle gets a small model that coralforge generates (--mirror DIR with the files helps)",
                "warning",
            )
        )
        remember_in_vain(settings, error.details)


def locate(settings: Settings, model: ModelEntry, programs: Path) -> ModelFiles:
    """The files of a model that the survey found complete; ``programs`` is the folder that stage made."""
    entry = model.entry
    if model.generated:
        paths = (_generated(programs, getattr(entry, part)) for part in PARTS)
    else:
        paths = (_locate(settings, model, part) for part in PARTS)
    plain, compiled, labels, image = paths
    assert plain is not None  # fetched before: the plan says so
    return ModelFiles(plain, compiled, labels, image)


def _models(settings: Settings) -> tuple[ModelEntry, ...]:
    return tuple(ModelEntry(name, name, f"models.{name}", entry) for name, entry in settings.pipeline.models.items())


def _all_wanted(settings: Settings, model: ModelEntry) -> list[Wanted]:
    return [wanted for part in PARTS if (wanted := _wanted(settings, model, part)) is not None]


def _generated(programs: Path, file: DataFile | None) -> Path | None:
    return None if file is None or file.path is None else programs / "share/models" / file.path


def _inputs(settings: Settings, model: ModelEntry) -> Inputs | None:
    entry = model.entry
    inputs = {"options": _options(entry)}
    if entry.target is Target.EDGETPU and entry.compiled is None:
        inputs["compiler"] = _compiler(settings)
    for part in () if model.generated else PARTS:
        file: DataFile | None = getattr(entry, part)
        if file is None:
            continue
        path = _locate(settings, model, part)
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


def _locate(settings: Settings, model: ModelEntry, part: str) -> Path | None:
    """Where a file is; None when it is not named, or not fetched yet."""
    file: DataFile | None = getattr(model.entry, part)
    if file is None:
        return None
    if file.path is None:
        wanted = _wanted(settings, model, part)
        fetched = cached(wanted, settings.cache.root) if wanted else None
        return fetched.path if fetched else None
    path = _absolute(settings, file.path)
    if not path.exists():
        raise user_error(
            f"{settings.project.pipeline}: {model.where}.{part}: {path} does not exist",
            reason="model-file",
            remedy="correct the path, which is relative to pipeline.yaml",
        )
    return path


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
    """Digest of a file or folder that may be large: hashed again only when names, sizes or times differ."""
    seen = hashlib.sha256()
    for file in sorted(p for p in (path.rglob("*") if path.is_dir() else [path]) if p.is_file()):
        status = file.stat()
        seen.update(
            f"{file}\0{status.st_size}\0{status.st_mtime_ns}\0{status.st_ino}\n".encode(errors="surrogateescape")
        )
    memo = cache.last / f"digest-{seen.hexdigest()[:32]}"
    try:
        return memo.read_text(encoding="ascii")
    except OSError:
        digest = fingerprint.of_paths(path)
    memo.parent.mkdir(parents=True, exist_ok=True)
    atomic.write(memo, digest.encode())
    return digest
