"""The whole course of compiling for hardware: refuse early, make room, find the compiler, run it."""

from __future__ import annotations

import re
from pathlib import Path

from coralforge.compile.edgetpu import Compilation, compile_for_edgetpu, preflight
from coralforge.compile.image import image_program
from coralforge.compile.machine import require_x86_64
from coralforge.compile.program import find_program
from coralforge.compile.result import Compiled
from coralforge.events import Sink
from coralforge.settings import Cache, Settings
from coralforge.store import unwritable
from coralforge.util.logs import new_log


def compile_for_hardware(settings: Settings, wanted: Compilation, name: str, sink: Sink) -> tuple[Compiled, ...]:
    """Compile models together, with the compiler that ``settings`` name or the one that is found.

    Scratch and a log called after ``name`` go into the cache. Models are checked before an image is made.

    Raises:
        CoralforgeError: ``compiler-machine`` (exit code 3), and as ``compile_for_edgetpu``, ``find_program`` and
            ``image_program``.
    """
    require_x86_64()
    preflight(wanted)
    work, log = _room(settings.cache, name)
    program = find_program(settings.compiler, lambda: image_program(settings, sink))
    return compile_for_edgetpu(wanted, program, work, log, sink)


def _room(cache: Cache, name: str) -> tuple[Path, Path]:
    """The folder for scratch and the log of compiling the model ``name``."""
    try:
        cache.work.mkdir(parents=True, exist_ok=True)
        return cache.work, new_log(cache.logs, f"compile-{re.sub(r'[^A-Za-z0-9._-]', '_', name)[:80]}")
    except OSError as error:
        raise unwritable(cache, error) from error
