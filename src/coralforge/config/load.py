"""Turns YAML documents into models; every error names file:line:column and says what to do."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from coralforge.config.arch import Arch, Floor
from coralforge.config.base import FORMAT
from coralforge.config.document import Document, Loc, read_document
from coralforge.config.pipeline import Pipeline
from coralforge.config.release import Release
from coralforge.config.toolchain import Toolchain
from coralforge.errors import CoralforgeError, user_error

M = TypeVar("M", bound=BaseModel)


def load_pipeline(path: Path) -> Pipeline:
    """Read pipeline.yaml.

    Raises:
        CoralforgeError: exit code 2, as ``read_document``, or ``config-invalid``, or ``floor`` (cannot be met).
    """
    document = read_document(path)
    pipeline = _validate(document, Pipeline)
    for name, platform in pipeline.platforms.items():
        _check_floor(document, Arch(name), platform.floor(Arch(name)))
    return pipeline


def load_toolchain(path: Path) -> Toolchain:
    """Read toolchains/toolchain.yaml. Raises CoralforgeError (exit code 2) as ``load_pipeline``."""
    return _validate(read_document(path), Toolchain)


def load_release(folder: Path, name: str) -> Release:
    """Read ``folder/name.yaml``. Raises CoralforgeError with reason ``release-unknown`` or as above."""
    path = folder / f"{name}.yaml"
    known = sorted(p.stem for p in folder.glob("*.yaml"))
    if name not in known:
        raise unknown("release", name, known)
    document = read_document(path)
    release = _validate(document, Release)
    if release.release != name:
        raise user_error(
            f"{document.where(('release',))}: the file is named {name}, but says release {release.release}",
            reason="config-invalid",
            remedy="give the file and the release the same name",
        )
    return release


def unknown(kind: str, name: str, known: list[str]) -> CoralforgeError:
    """The error for a name that does not exist, with "did you mean"; reason ``KIND-unknown``, exit code 2."""
    return user_error(
        f"unknown {kind} {name!r}{_did_you_mean(name, known)}",
        reason=f"{kind}-unknown",
        remedy=f"known: {', '.join(known)}" if known else f"there is no {kind} at all",
    )


def _check_floor(document: Document, arch: Arch, floor: Floor) -> None:
    lowest, highest = arch.row.lowest, arch.row.highest
    for name, found in vars(floor).items():
        least, most = getattr(lowest, name), getattr(highest, name)
        if _numbers(least) <= _numbers(found) <= _numbers(most):
            continue
        why = (
            f"the sysroot that {arch.value} is linked against has {most}"
            if _numbers(found) > _numbers(most)
            else f"below {least} it is not known to link: functions are missing for which nothing stands in"
        )
        raise user_error(
            f"{document.where(('platforms', arch.value, name))}: {name} {found} cannot be the floor: {why}",
            reason="floor",
            remedy=f"choose one from {least} to {most}, or leave it out: then it is {getattr(arch.row.floor, name)}",
        )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _did_you_mean(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _validate(document: Document, model: type[M]) -> M:
    if not isinstance(document.data, dict):
        raise user_error(
            f"{document.where(())}: a mapping is expected",
            reason="config-invalid",
            remedy="write `key: value` lines; docs/configuration.md has the keys",
        )
    found = document.data.get("format")
    if isinstance(found, int) and not isinstance(found, bool) and found != FORMAT:
        raise user_error(
            f"{document.where(('format',))}: format {found} is not known to this coralforge (it knows {FORMAT})",
            reason="config-format",
            remedy="update coralforge" if found > FORMAT else "see docs/configuration.md for what changed",
        )
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        lines = [_describe(document, model, item) for item in error.errors(include_url=False)]
        raise user_error(
            lines[0],
            reason="config-invalid",
            details="\n".join(lines[1:10]),
            remedy="see docs/configuration.md for what is allowed there",
        ) from error


def _describe(document: Document, model: type[BaseModel], item: Any) -> str:
    loc: Loc = tuple(item["loc"])
    where = document.where(loc)
    name = ".".join(str(part) for part in loc) or "the file"
    if item["type"] == "extra_forbidden":
        known = _fields_at(model, loc[:-1])
        return f"{where}: unknown key {name!r}{_did_you_mean(str(loc[-1]), known)}"
    if item["type"] in ("model_type", "dict_type"):
        keys = ", ".join(_fields_at(model, loc))
        return f"{where}: {name}: a mapping is expected{keys and f', with {keys}'}"
    if item["type"] == "missing":
        return f"{where}: {name!r} is missing"
    text = item["msg"].removeprefix("Value error, ")
    shown = item["input"] if isinstance(item["input"], (str, int, float, bool)) else None
    found = f" (found {shown!r})" if shown is not None else ""
    if item["type"] == "string_type" and shown is not None:
        found += "; put it in quotes"
    return f"{where}: {name}: {text}{found}"


def _fields_at(model: type[BaseModel], loc: Loc) -> list[str]:
    """Names of the fields that exist at ``loc``, found by walking the JSON schema of the model."""
    schema = model.model_json_schema()
    node: Any = schema
    for part in loc:
        node = _resolve(schema, node)
        if isinstance(part, int):
            node = node.get("items", {})
        else:
            node = node.get("properties", {}).get(part) or node.get("additionalProperties") or {}
    node = _resolve(schema, node)
    return sorted(node.get("properties", {}))


def _resolve(schema: Any, node: Any) -> Any:
    while isinstance(node, dict) and "$ref" in node:
        node = schema["$defs"][node["$ref"].rsplit("/", 1)[-1]]
    return node
