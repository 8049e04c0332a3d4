"""A make-believe machine for scripts/bootstrap: a PATH of stubs in which nothing is real but coreutils.

The script under test is the project's own text; only the paths that it has from the system are replaced.
"""

from __future__ import annotations

import contextlib
import os
import pty
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT
from tests.support.patience import NET

COREUTILS = """
    basename cat chmod cp cut dash dirname env flock grep ln mkdir mktemp mv nohup readlink rm setsid sh sha256sum
    sleep tail touch
"""

# Each stub writes its command line to $STATE/log. Files in $STATE say what the machine has and what goes wrong.
ID = 'case $1 in -u) cat "$STATE/uid" ;; *) echo tester ;; esac'
PYTHON = """
case "$*" in
*ensurepip*" 14") test ! -e "$STATE/new-python" ;;
*ensurepip*) test ! -e "$STATE/no-python" ;;
*--version) echo Python 3.11.2 ;;
"-I -m venv"*)
    for venv; do :; done
    rm -rf "$venv" && mkdir -p "$venv/bin" "$venv/lib/python3.11/site-packages"
    cp "$0" "$venv/bin/python"
    printf '#!/bin/sh\\necho "in $PWD:" "$@"\\n' >"$venv/bin/invoke" && chmod +x "$venv/bin/invoke" ;;
"-I -m pip"*) sleep 0.3; test ! -e "$STATE/no-index" || { echo "no matching distribution" >&2; exit 1; } ;;
*) exec "$REAL_PYTHON" "$@" ;;
esac
"""
APT_GET = """
case "$*" in
*" install "*)
    if [ -e "$STATE/stale-lists" ]; then echo "E: Unable to locate package" >&2; exit 100; fi
    for word; do
        case $word in
        python3-venv) rm -f "$STATE/no-python" ;;
        docker.io) cp "$STATE/dockerd" "$STUBS/dockerd" ;;
        mmdebstrap) ln -sf "$STUBS/cat" "$STUBS/mmdebstrap" ;;
        esac
    done ;;
update) test -e "$STATE/no-network" || rm -f "$STATE/stale-lists" ;;
esac
"""
DOCKERD = """
test ! -e "$STATE/no-kernel" || { echo "failed to start daemon: no cgroups" >&2; exit 1; }
echo $$ >"$STATE/dockerd.pid"
exec "$REAL_PYTHON" "$STATE/engine.py" "$STATE/engine.sock"
"""
ENGINE = """
import os, socket, sys
if os.path.exists(sys.argv[1]): os.unlink(sys.argv[1])
with socket.socket(socket.AF_UNIX) as server:
    server.bind(sys.argv[1])
    server.listen()
    server.settimeout(600)
    while True:
        with server.accept()[0] as connection:
            connection.recv(1024)
            connection.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\nOK")
"""


@dataclass(frozen=True)
class Done:
    """How one run of scripts/bootstrap ended."""

    status: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Machine:
    """The stubs, their state, and a project in a folder whose name has spaces."""

    project: Path
    state: Path
    stubs: Path

    def has(self, name: str) -> None:
        """Turn a condition on; see the stubs."""
        (self.state / name).touch()

    def is_used_by(self, uid: int) -> None:
        (self.state / "uid").write_text(f"{uid}\n")

    @property
    def environment(self) -> dict[str, str]:
        names = {"STATE": self.state, "STUBS": self.stubs, "REAL_PYTHON": sys.executable, "HOME": self.state}
        return {"PATH": str(self.stubs), **{name: str(value) for name, value in names.items()}}

    def command(self, *args: str) -> list[str]:
        return [str(self.project / "scripts" / "bootstrap"), *args]

    def bootstrap(self, *args: str, umask: int = 0o022, **environment: str) -> Done:
        """Run it without a terminal, from another folder."""
        done = subprocess.run(
            self.command(*args),
            cwd="/",
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=NET,
            check=False,
            umask=umask,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def bootstrap_at_terminal(self, answer: str, *args: str) -> Done:
        """Run it with a terminal at which somebody types ``answer``."""
        terminal, stdin = pty.openpty()
        try:
            os.write(terminal, f"{answer}\n".encode())
            done = subprocess.run(
                self.command(*args),
                env=self.environment,
                stdin=stdin,
                capture_output=True,
                text=True,
                timeout=NET,
                check=False,
            )
        finally:
            os.close(terminal)
            os.close(stdin)
        return Done(done.returncode, done.stdout, done.stderr)

    def ran(self, program: str) -> list[str]:
        """The command lines of ``program`` since the last call of ``forget``."""
        log = self.state / "log"
        lines = log.read_text().splitlines() if log.exists() else []
        return [line.removeprefix(f"{program} ") for line in lines if line.startswith(f"{program} ")]

    def forget(self) -> None:
        (self.state / "log").unlink()

    def start_engine(self) -> None:
        """As if Docker Engine had been running all the time."""
        subprocess.run(
            [self.stubs / "sh", "-c", '"$STATE/dockerd" & until [ -S "$STATE/engine.sock" ]; do sleep 0.05; done'],
            env=self.environment,
            check=True,
            timeout=NET,
        )

    def stop(self) -> None:
        """End the make-believe dockerd, if one was started."""
        pid = self.state / "dockerd.pid"
        if pid.exists():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid.read_text()), signal.SIGKILL)


def make_machine(folder: Path) -> Machine:
    """A machine with Python and apt-get, used by root, without Docker."""
    machine = Machine(folder / "the project", folder / "state", folder / "bin")
    for place in (machine.project / "scripts", machine.state, machine.stubs):
        place.mkdir(parents=True)
    for name in COREUTILS.split():
        (machine.stubs / name).symlink_to(shutil.which(name) or f"/usr/bin/{name}")
    for name, text in {"id": ID, "python3": PYTHON, "apt-get": APT_GET}.items():
        write_stub(machine.stubs / name, text)
    write_stub(machine.state / "dockerd", DOCKERD)
    (machine.state / "engine.py").write_text(ENGINE)
    machine.is_used_by(0)
    (machine.project / "requirements.lock").write_text("invoke==1 --hash=sha256:0\n")
    (machine.project / "requirements-models.lock").write_text("tensorflow==1 --hash=sha256:0\n")
    (machine.project / "requirements-convert.lock").write_text("onnx2tf==1 --hash=sha256:0\n")
    script = machine.project / "scripts" / "bootstrap"
    script.write_text(relocated((ROOT / "scripts" / "bootstrap").read_text(), machine))
    script.chmod(0o755)
    return machine


def write_stub(path: Path, text: str) -> None:
    path.write_text(f'#!/bin/sh\necho "${{0##*/}} $*" >>"$STATE/log"\n{text}\n')
    path.chmod(0o755)


def relocated(script: str, machine: Machine) -> str:
    """The script with the system's paths replaced by the machine's own, and less patience."""
    replacements = {
        ":/usr/local/sbin:/usr/sbin:/sbin": "",
        "/usr/bin/python3": str(machine.stubs / "python3"),
        "socket=/var/run/docker.sock": f"socket='{machine.state}/engine.sock'",
        "/var/log/dockerd.log": str(machine.state / "dockerd.log"),
        "sleep 0.5": "sleep 0.1",
        "/run/systemd/system": str(machine.state / "systemd"),
        "/sys/module/apparmor/parameters/enabled": str(machine.state / "apparmor"),
    }
    for old, new in replacements.items():
        assert old in script, f"scripts/bootstrap does not mention {old} any more"
        script = script.replace(old, new)
    return script
