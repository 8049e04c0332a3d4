"""What an image build prints comes in pieces and in colours; lines are made of it."""

from __future__ import annotations

import pytest

from coralforge.containers.image_maker import Printed
from coralforge.events import Output, Progress, Recorder


@pytest.mark.parametrize(
    "pieces",
    [
        ["curl: (6) no host\nnext\n"],
        list("curl: (6) no host\nnext\n"),
        [f"\x1b[91m{letter}\x1b[0m" for letter in "curl: (6) no host\nnext\n"],
        ["\n\n\x1b[91mcurl: (6) ", "no host  \r\n\x1b[0m", "   \n", "ne", "xt"],
    ],
)
def test_lines_are_whole_and_plain(pieces: list[str]) -> None:
    sink = Recorder()
    printed = Printed("x", sink)
    for piece in pieces:
        printed.take(piece)
    assert printed.last() == ["curl: (6) no host", "next"]
    assert [event.line for event in sink.events if isinstance(event, Output)] == printed.last()


def test_steps_are_progress() -> None:
    sink = Recorder()
    Printed("x", sink).take("Step 3/9 : RUN true\n")
    assert Progress("image x", 2, 9, "steps") in sink.events
