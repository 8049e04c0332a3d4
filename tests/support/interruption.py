"""Ctrl-C at the worst moment."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import Any


class InterruptedPopen(subprocess.Popen[Any]):
    """A process that was started, with a Ctrl-C before whoever started it has hold of it."""

    started: list[int]
    """Their ids; a test sets it."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.started.append(self.pid)
        os.kill(os.getpid(), signal.SIGINT)
