"""The worker process: `python -I .../convert/worker/__main__.py REQUEST.json EVENTS_FD PARENT_PID`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

_NETWORK = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "socket.sendmsg")


def forbid_network() -> None:
    """No connection leaves this process: onnx2tf would fetch sample pictures for every model of pictures."""

    def refuse(event: str, _arguments: tuple[Any, ...]) -> None:
        if event in _NETWORK:
            raise PermissionError(f"the converter may not use the network ({event})")

    sys.addaudithook(refuse)


def main(arguments: list[str]) -> int:
    """Do what the request says; everything that comes of it goes to the events' file descriptor."""
    from coralforge.convert.worker.job import run
    from coralforge.convert.worker.request import read_request
    from coralforge.quantize.worker.__main__ import serve

    forbid_network()
    return serve(arguments, lambda place, reporter: run(read_request(place), reporter))


if __name__ == "__main__":
    sys.path[:] = [str(Path(__file__).resolve().parents[3]), *sys.path]
    from coralforge.quantize.worker.__main__ import leave

    leave(main(sys.argv[1:]))
