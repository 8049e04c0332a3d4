"""Tells what a text is that was given as a model: a page, a pointer, labels, a description."""

from __future__ import annotations

import re

from coralforge.tflite import foreign_kinds as kinds
from coralforge.tflite.foreign_kinds import Foreign

_LINK = re.compile(r"[^\s<>{}]{1,500}\.(?:tflite|keras|h5|onnx|pt|pb)")
_SOURCE = re.compile(r"\b(?:unsigned char|uint8_t)\s+\w+\s*\[[^]]*\]\s*[\w()]*\s*(?:\w+\([^)]*\)\s*)?=\s*\{")


def recognise_text(start: bytes, size: int) -> Foreign | None:
    """The kind of a text, by the beginning of a file of ``size`` bytes; None if it is no text."""
    text = _decoded(start)
    if text is None:
        return None
    first = text.lstrip("\ufeff \t\r\n")
    if re.match(r"(?i)<!doctype html|<html|<head", first):
        return kinds.no_model(
            "a page of HTML", "the page was saved, and not the file: use its download button (on GitHub: Raw)"
        )
    if first.startswith("version https://git-lfs"):
        return kinds.no_model(
            "a pointer of Git LFS, which stands for the file", "run `git lfs pull` in the clone that it comes from"
        )
    return _link(first) or _described(first) or _source(first) or _lines(text, size)


def _decoded(start: bytes) -> str | None:
    """The text, without what may be half a letter at its end; None for anything that is no text."""
    try:
        text = start.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(start) - 4:
            return None
        text = start[: error.start].decode("utf-8")
    return text if text and all(letter.isprintable() or letter in "\t\r\n\f\ufeff" for letter in text) else None


def _link(first: str) -> Foreign | None:
    """A symbolic link of a git repository, where it was checked out or downloaded without such links."""
    target = first.rstrip()
    if not _LINK.fullmatch(target):
        return None
    return kinds.no_model("a link that was saved as a text", f"give the file that it names: {kinds.shown(target)}")


def _described(first: str) -> Foreign | None:
    if first.startswith("{"):
        if '"modelTopology"' in first or '"weightsManifest"' in first:
            return kinds.TENSORFLOW_JS
        if '"class_name"' in first:
            return kinds.KERAS_LAYERS
        return kinds.no_model("a text (JSON)", "give the model")
    if first.startswith("<") and ("<net " in first or "<layers>" in first):
        return kinds.elsewhere("an OpenVINO model")
    if re.match(r"(?:node|item|model|name|graph_def)\s*[:{]", first):
        return kinds.no_model(
            "a text of TensorFlow (a configuration, a label map or a graph as text)", "give the model"
        )
    return None


def _source(first: str) -> Foreign | None:
    if not _SOURCE.search(first):
        return None
    return kinds.no_model(
        "a model as C source", "give the .tflite that it was made of (`xxd -r -p` on its numbers makes one again)"
    )


def _lines(text: str, size: int) -> Foreign:
    lines = text.count("\n") + (not text.endswith("\n"))
    many = f"{lines} line{'' if lines == 1 else 's'}" if len(text.encode()) >= size else f"more than {lines} lines"
    return kinds.no_model(f"a text of {many}, such as labels", "give the model, the .tflite beside it")
