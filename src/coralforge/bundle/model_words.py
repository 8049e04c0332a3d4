"""Errors about a model of pipeline.yaml, in the words of that file instead of the options of other verbs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum

from coralforge.errors import CoralforgeError


class Verb(Enum):
    """The verb that does alone what the bundle has done with a model, and the field that takes what it makes."""

    QUANTIZE = ("quantize", "model")
    COMPILE = ("compile", "compiled")

    @property
    def command(self) -> str:
        return f"invoke {self.value[0]}"

    @property
    def field(self) -> str:
        return self.value[1]


_FIELDS = {
    "--allow-cpu": "min_mapped: 0",
    "--io": "quantize.io",
    "--model": "model",
    "--plain": "model",
    "--preprocess": "quantize.preprocess",
    "--random": "quantize.random",
    "--samples": "quantize.samples",
    "--target": "target",
}
_OF_BUNDLE = frozenset({"--arch", "--compiler", "--mirror", "--release", "--source", "--variant"})
# A command, which stays as it is; or an option, and what follows it if that is a value: a word in capitals, a number,
# a name of a target.
_OPTION = re.compile(r"`[^`]*`|(?<![\w-])(--[a-z][a-z-]*)(?: ([A-Z]+\b|\d[\w.]*|edgetpu\b|simulator\b))?")


@contextmanager
def in_pipeline_words(where: str, verb: Verb) -> Iterator[None]:
    """Let an error that comes out speak of pipeline.yaml instead of the options of ``verb``.

    Args:
        where: the model's place there: ``models.NAME`` or ``sample``.

    An option that pipeline.yaml has no field for is named as one of the verb, with what to do with the verb's result.
    """
    try:
        yield
    except CoralforgeError as error:
        error.brief, _ = _translated(error.brief, where, verb)
        error.args = (error.brief,)
        error.remedy, foreign = _translated(error.remedy, where, verb)
        if foreign:
            error.remedy += (
                f"; pipeline.yaml has no field for {' and '.join(foreign)}: run {verb.command} yourself, "
                f"and give what it makes as {where}.{verb.field}"
            )
        raise


def _translated(text: str, where: str, verb: Verb) -> tuple[str, list[str]]:
    """The text, and the options in it that pipeline.yaml has no field for."""
    foreign: list[str] = []

    def replacement(found: re.Match[str]) -> str:
        option, value = found.groups()
        if option is None or option in _OF_BUNDLE:
            return found[0]
        if option in _FIELDS:
            return f"{where}.{_FIELDS[option]}" + (f": {value}" if value else "")
        foreign.extend([option] if option not in foreign else [])
        return f"{found[0]} (of {verb.command})"

    return _OPTION.sub(replacement, text), foreign
