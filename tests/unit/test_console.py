"""Plain output is short and complete: steps and notes always, progress at most once an interval."""

from __future__ import annotations

import io

from coralforge.console import PlainSink
from coralforge.events import Note, Output, Progress, Step


def shown(*events: object, interval: float = 10.0) -> list[str]:
    stream = io.StringIO()
    sink = PlainSink(stream, interval)
    for event in events:
        sink.emit(event)  # type: ignore[arg-type]
    return stream.getvalue().splitlines()


def test_steps_and_notes_are_lines() -> None:
    lines = shown(Step("libraries"), Note("careful", "warning"), Step("libraries", 12.34))
    assert lines == ["-> libraries", "warning: careful", "   libraries: done in 12.3 s"]


def test_progress_is_limited_in_rate() -> None:
    assert shown(*[Progress("p", n, 100, "actions") for n in range(100)]) == []
    lines = shown(Progress("p", 1, 10, "actions"), Progress("p", 2, 10, "actions"), interval=0.0)
    assert lines[-1] == "   p: 2 of 10 actions"


def test_bytes_are_megabytes() -> None:
    assert shown(Progress("p", 0, None, "bytes"), Progress("p", 1_500_000, 3_000_000, "bytes"), interval=0.0) == [
        "   p: 0.0 MB",
        "   p: 1.5 of 3.0 MB",
    ]


def test_what_containers_print_is_for_the_log() -> None:
    assert shown(Output("libraries", "noise")) == []
