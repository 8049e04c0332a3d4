"""A list of what this machine has and lacks for the pipeline; reads only, and changes nothing."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from dataclasses import dataclass
from typing import Literal

from coralforge.errors import CoralforgeError
from coralforge.settings import Settings

State = Literal["ok", "warning", "missing"]
DISK_GIB = 12  # image 2.5, sources 1.5, Bazel's cache 4, room to breathe
MEMORY_GIB = 4


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; ``remedy`` says how to get it unless it is ok."""

    name: str
    state: State
    text: str
    remedy: str = ""


def diagnose(settings: Settings) -> list[Finding]:
    """Look at everything a build needs."""
    docker = _docker()
    return [_machine(), _python(), *docker, _base(docker), _ssh(), _archive(), _disk(settings), _memory()]


def render(findings: list[Finding]) -> str:
    """A table of the findings."""
    width = max(len(finding.name) for finding in findings)
    rows = []
    for finding in findings:
        rows.append(f"{finding.state:8} {finding.name:{width}}  {finding.text}")
        if finding.state != "ok" and finding.remedy:
            rows.append(f"{'':8} {'':{width}}  -> {finding.remedy}")
    return "\n".join(rows)


def _machine() -> Finding:
    machine = platform.machine()
    if machine == "x86_64":
        return Finding("machine", "ok", f"x86_64, {os.cpu_count()} processors")
    remedy = "build on an x86-64 machine; the board only runs the bundle"
    return Finding("machine", "missing", f"{machine}: Bazel and the compilers run on x86-64 only", remedy)


def _python() -> Finding:
    return Finding("python", "ok", f"{platform.python_version()} ({sys.executable})")


def _docker() -> list[Finding]:
    from coralforge.containers.engine import asking, connect

    try:
        client = connect()
        with asking("it was asked what it has"):
            version, images = client.version(), client.images.list()
    except CoralforgeError as error:
        return [Finding("docker engine", "missing", error.details or error.brief, error.remedy)]
    found = [Finding("docker engine", "ok", f"{version.get('Version')} (API {version.get('ApiVersion')})")]
    tags = sorted(tag for image in images for tag in image.tags if tag.startswith("coralforge-"))
    found.append(Finding("images", "ok", ", ".join(tags) or "none yet; invoke image makes them"))
    return found


def _base(docker: list[Finding]) -> Finding:
    program = shutil.which("mmdebstrap")
    if program:
        return Finding("mmdebstrap", "ok", f"{program} (makes the base image where no container registry answers)")
    if any("coralforge-base" in finding.text for finding in docker):
        return Finding("mmdebstrap", "ok", "not installed, and not needed: the base image is there")
    remedy = "apt-get install mmdebstrap debian-archive-keyring, if no container registry answers here"
    return Finding("mmdebstrap", "warning", "not installed", remedy)


def _ssh() -> Finding:
    program = shutil.which("ssh")
    if program:
        return Finding("ssh", "ok", f"{program} (reaches the emulated board)")
    remedy = "apt-get install openssh-client, for `invoke board`, and `invoke smoke --board emulated`"
    return Finding("ssh", "warning", "no SSH client", remedy)


def _archive() -> Finding:
    from coralforge.sources.debian import archive_uri

    if archive_uri():
        return Finding("debian archive", "ok", "configured in apt")
    remedy = "set CORALFORGE_DEBIAN_ARCHIVE to the address of a Debian archive, or use --mirror"
    return Finding("debian archive", "warning", "apt on this machine knows no Debian archive", remedy)


def _disk(settings: Settings) -> Finding:
    folder = settings.cache.root
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / 2**30
    text = f"{free:.0f} GiB free for {settings.cache.root}"
    if not os.access(folder, os.W_OK):
        return Finding("cache", "missing", f"{folder} is not writable", "set CORALFORGE_CACHE to a folder of yours")
    if free < DISK_GIB:
        return Finding("cache", "warning", text, f"a cold build needs about {DISK_GIB} GiB")
    return Finding("cache", "ok", text)


def _memory() -> Finding:
    size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    if size < MEMORY_GIB:
        return Finding("memory", "warning", f"{size:.0f} GiB", "set limits.cpus to 1 in pipeline.yaml")
    return Finding("memory", "ok", f"{size:.0f} GiB")
