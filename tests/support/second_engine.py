"""A Docker Engine of the tests' own, beside the machine's, that may be killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import docker
from coralforge.containers.base import BASE
from tests.support.patience import is_alive, wait_until

ABSENT = "a second Docker Engine cannot be started here (dockerd, as root, not in a container)"


def possible() -> bool:
    """Whether one can be started, as far as that can be told without trying."""
    return os.getuid() == 0 and shutil.which("dockerd") is not None


def _mounts_below(folder: Path) -> list[str]:
    """Innermost first."""
    places = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    return sorted((place for place in places if Path(place).is_relative_to(folder)), reverse=True)


class SecondEngine:
    """Has all its files in a folder of its own, no network, and the base image."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sockets = Path(tempfile.mkdtemp(prefix="cf-engine-", dir="/tmp"))  # a socket's path is short
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "daemon.json").write_text("{}")

    @property
    def host(self) -> str:
        """For DOCKER_HOST."""
        return f"unix://{self._sockets / 'docker.sock'}"

    def connect(self) -> Any:
        return docker.DockerClient(self.host)

    def start(self) -> bool:
        """Start it, and wait until it answers; says whether it does."""
        (self._folder / "pid").unlink(missing_ok=True)
        apart = [
            "--bridge=none",
            "--iptables=false",
            "--ip-forward=false",
            "--ip-masq=false",
            "--userland-proxy=false",
        ]
        places = {
            "data-root": self._folder / "data",
            "exec-root": self._sockets / "exec",
            "pidfile": self._folder / "pid",
            "config-file": self._folder / "daemon.json",
            "host": self.host,
        }
        with (self._folder / "log").open("ab") as log:
            # In a network of its own: with --bridge=none it deletes docker0, and all others lose theirs.
            command = ["unshare", "--net", "dockerd", *(f"--{name}={place}" for name, place in places.items())]
            self._process = subprocess.Popen([*command, *apart], stdout=log, stderr=log)
        wait_until(lambda: self._ended() or self._answers())
        return self._answers()

    def load(self) -> None:
        """Give it the base image of the machine's own."""
        with subprocess.Popen(["docker", "save", BASE], stdout=subprocess.PIPE) as saved:
            subprocess.run(
                ["docker", "--host", self.host, "load"], stdin=saved.stdout, check=True, capture_output=True
            )

    def kill(self) -> None:
        """Kill it, and with it its containerd; its containers run on, as they do."""
        assert self._process is not None
        containerd = self._sockets / "exec" / "containerd" / "containerd.pid"
        self._process.kill()
        self._process.wait()
        wait_until(lambda: not is_alive(int(containerd.read_text())))
        containerd.unlink()  # else the next one takes it for its own, if only as a zombie

    def close(self) -> None:
        """End it and all in it, and remove its files."""
        if self._process is not None and not self._ended():
            subprocess.run(
                f"docker --host {self.host} ps -aq | xargs -r docker --host {self.host} rm -f",
                shell=True,
                capture_output=True,
                check=False,
            )
            self._process.send_signal(signal.SIGTERM)
            self._process.wait()
        for place in _mounts_below(self._folder) + _mounts_below(self._sockets):  # it binds its folder to itself
            subprocess.run(["umount", "--lazy", place], capture_output=True, check=False)
        shutil.rmtree(self._folder, ignore_errors=True)
        shutil.rmtree(self._sockets, ignore_errors=True)

    def _ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def _answers(self) -> bool:
        done = subprocess.run(["docker", "--host", self.host, "version"], capture_output=True, check=False)
        return done.returncode == 0
