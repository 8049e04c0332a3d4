#!/usr/bin/env python3
"""Run a build by Bazel that may use a remote cache or executor; ends with its status.

    remote_run.py COMMAND...

/remote/run.json says where TLS is needed (see remote_tunnel.py), and what to do when the server goes away. Bazel goes
on without a cache that refuses it, and says so in a stack trace; here a refusal stops the build, in one line:
"remote_run: refused: ..." or "remote_run: away: ...". The same line is a warning where the build goes on.
"""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import remote_tunnel

CONFIG = Path("/remote/run.json")

QUERY = re.compile(r"Failed to query remote execution capabilities: (.+)")
CALL = re.compile(r"(?:WARNING|ERROR): .*Remote (?:Cache|Execution)[^:]*: (.+)")
AWAY = re.compile(
    r"UNAVAILABLE|DEADLINE_EXCEEDED|high failure rate|Connection (?:refused|reset)|timed? ?out", re.IGNORECASE
)


def judge(line: str, away: str) -> tuple[str, bool]:
    """What a line says of the server (empty: nothing), and whether the build has to stop for it."""
    asked = QUERY.search(line)
    found = asked or CALL.search(line)
    if not found:
        return "", False
    if AWAY.search(found[1]):
        return f"away: {found[1]}", away == "fail"
    return f"refused: {found[1]}", asked is not None or away == "fail"


def main(command: list[str]) -> int:
    config: dict[str, Any] = json.loads(CONFIG.read_text())
    if not remote_tunnel.opened(config["tunnels"], config["shown"]):
        print("remote_run: refused: the ports for TLS could not be opened", flush=True)
        return 1
    said: set[str] = set()
    stopped = False
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if not stopped:  # after it there are only the complaints of what was stopped
                print(line, end="", flush=True)
            fact, stop = judge(line.rstrip(), config["away"])
            if fact and fact not in said:
                said.add(fact)
                print(f"remote_run: {fact}", flush=True)
            if stop and not stopped:
                stopped = True
                print("remote_run: stopped", flush=True)
                os.killpg(process.pid, signal.SIGINT)  # as a user does; Bazel ends what it began
    return 1 if stopped else process.returncode


if __name__ == "__main__":
    status = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(abs(status))  # without waiting for connections, which nobody uses any more
