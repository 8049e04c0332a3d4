"""Docker's build output, as it comes, is text that can be shown."""

from __future__ import annotations

import pytest

from coralforge.containers.buildlog import BuildProblem, lines


def test_pieces_become_lines_without_colour() -> None:
    pieces = [
        "Step 1/2 : FROM x\n",
        "\x1b[91mcu",
        "\x1b[0m",
        "\x1b[91mrl: (6) no host\x1b[0m\n",
        "10%\r20%\r\n",
        "end",
    ]
    messages = [{"stream": piece} for piece in pieces] + [{"aux": {"ID": "sha256:0"}}]
    assert list(lines(messages)) == ["Step 1/2 : FROM x", "curl: (6) no host", "10%", "20%", "end"]


def test_the_reason_comes_after_what_was_printed_before() -> None:
    seen = []
    with pytest.raises(BuildProblem, match="returned a non-zero code: 6"):
        for line in lines([{"stream": "almost"}, {"error": "\x1b[91mreturned a non-zero code: 6\n"}]):
            seen.append(line)
    assert seen == ["almost"]
