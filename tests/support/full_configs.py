"""Valid documents of each schema that together say every field of every model; a test holds them against these."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from coralforge.config.arch import Arch
from coralforge.config.pipeline import Pipeline
from coralforge.config.release import Release
from coralforge.config.toolchain import Toolchain
from tests.support.yaml_writer import Loc

SHA256 = "0" * 64
COMMIT = "99d80a9e254c9df7940b2902b14d15914dbbbcd9"
STAMP = "20261128T000000Z"
BY_URL = {
    "url": "https://host.example/owner/repo/archive/v1.tar.gz",
    "sha256": SHA256,
    "size": 17,
    "strip": 2,
    "arch": "aarch64",
    "prebuilt": True,
    "note": "it's other files; less & more <than> it (was)",
}
BY_DEBIAN = {"debian": "pool/main/x/x/x_1.deb", "sha256": SHA256, "size": 17, "snapshot": STAMP}
FETCHED = {"places": [BY_URL, BY_DEBIAN]}
SAMPLE = {"labels": FETCHED, "image": {"path": "sample/cat.bmp", "sha256": SHA256}, "expected": 3}
PIPELINE = {
    "format": 1,
    "release": "2.14.1",
    "platforms": {"aarch64": {"glibc": "2.27", "glibcxx": "3.4.25", "cxxabi": "1.3.11"}},
    "variants": ["throttled", "simulated"],
    "sample": {"name": "cat", "licence": "MIT", "model": FETCHED, "compiled": FETCHED, **SAMPLE},
    "models": {
        "plain": {
            "model": {"path": "a b/net.tflite", "sha256": SHA256},
            "compiled": {"path": "net_edgetpu.tflite"},
            "target": "edgetpu",
            "min_mapped": 0.5,
            "questions": {"path": "net.questions.bin"},
            "licence": "MIT OR Apache-2.0",
            **SAMPLE,
        },
        "keras": {
            "model": {"path": "net.keras"},
            "quantize": {"samples": "images", "preprocess": "0..1", "io": "int8", "questions": 5},
        },
        "random": {"model": {"path": "net.keras"}, "quantize": {"random": 10}},
    },
    "output": "dist",
    "cache": "/var/cache/mine",
    "mirrors": ["/srv/mirror", "https://host.example/mirror"],
    "limits": {"cpus": 2, "memory_mb": 4096, "pids": 100, "disk_cache_mb": 100},
    "cpu": {"xnnpack": "auto", "ops": "selected"},
    "remote": {
        "cache": "grpcs://host.example:443",
        "executor": "grpcs://host.example",
        "instance": "main",
        "ca": "ca.pem",
        "certificate": "me.pem",
        "key": "key.pem",
        "headers": {"authorization": {"env": "TOKEN", "prefix": "Bearer "}, "x-key": {"file": "key"}},
        "properties": {"os": "linux"},
        "upload": False,
        "jobs": 8,
        "timeout": 30,
        "away": "fail",
    },
}
SOURCE = {
    "version": "2.14.1",
    "commit": COMMIT,
    "tree": COMMIT,
    "licence": "Apache-2.0",
    "licence_files": ["LICENSE", "doc/NOTICE"],
    "copyright": ["2015 The Authors"],
    "homepage": "https://host.example",
    "places": [BY_URL, BY_DEBIAN],
}
RELEASE = {
    "format": 1,
    "release": "2.14.1",
    "tensorflow_commit": COMMIT,
    "edgetpu_runtime": 14,
    "sources": {"tensorflow": SOURCE, "ruy": SOURCE},
    "test_sources": {"googletest": SOURCE},
}
TOOLCHAIN = {
    "format": 1,
    "snapshot": STAMP,
    "compiler": [BY_DEBIAN],
    "sanitizers": [BY_DEBIAN],
    "sysroots": {arch.value: {"suite": "bullseye", "packages": [BY_DEBIAN]} for arch in Arch},
}
FULL: dict[type[BaseModel], dict[str, Any]] = {Pipeline: PIPELINE, Release: RELEASE, Toolchain: TOOLCHAIN}


@dataclass(frozen=True)
class Leaf:
    """A field of a document: where it is, of which model, and what is said there."""

    root: type[BaseModel]
    loc: Loc
    model: type[BaseModel]
    name: str
    value: Any

    @property
    def field(self) -> FieldInfo:
        return self.model.model_fields[self.name]


def leaves(root: type[BaseModel]) -> Iterator[Leaf]:
    """All fields of the full document of a schema, deep first seen last."""
    yield from _of_model(root, root, FULL[root], ())


def _of_model(root: type[BaseModel], model: type[BaseModel], data: dict[str, Any], loc: Loc) -> Iterator[Leaf]:
    for name, field in model.model_fields.items():
        if name in data:
            yield Leaf(root, (*loc, name), model, name, data[name])
            yield from _inside(root, field.annotation, data[name], (*loc, name))


def _inside(root: type[BaseModel], annotation: Any, value: Any, loc: Loc) -> Iterator[Leaf]:
    for model in models_in(annotation):
        if isinstance(value, list):
            for number, item in enumerate(value):
                yield from _of_model(root, model, item, (*loc, number))
        elif isinstance(value, dict) and value.keys() <= model.model_fields.keys():
            yield from _of_model(root, model, value, loc)
        elif isinstance(value, dict):
            for key, item in value.items():
                yield from _of_model(root, model, item, (*loc, key))


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models that an annotation speaks of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from models_in(argument)


def all_models(root: type[BaseModel]) -> set[type[BaseModel]]:
    """A model and all that are below it."""
    found, todo = set(), [root]
    while todo:
        model = todo.pop()
        if model not in found:
            found.add(model)
            todo += [inner for field in model.model_fields.values() for inner in models_in(field.annotation)]
    return found


def strings(value: Any, loc: Loc = ()) -> Iterator[Loc]:
    """Where texts stand in plain data."""
    if isinstance(value, str):
        yield loc
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from strings(item, (*loc, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from strings(item, (*loc, number))


def changed(data: Any, loc: Loc, value: Any) -> Any:
    """A copy in which another value stands at ``loc``; ``...`` for none."""
    if not loc:
        return value
    first, *rest = loc
    if isinstance(data, list):
        return [changed(item, tuple(rest), value) if number == first else item for number, item in enumerate(data)]
    copy = {key: changed(item, tuple(rest), value) if key == first else item for key, item in data.items()}
    if len(loc) == 1:
        copy[str(first)] = value
    return {key: item for key, item in copy.items() if item is not ...}
