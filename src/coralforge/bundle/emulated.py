"""The smoke test with an emulated device: a real libedgetpu, and coral-device at its USB wire (docs/device.md).

The device computes with the plain model of each compiled one, both of which a bundle with compiled models has.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path

from pydantic import JsonValue

from coralforge.containers.spec import ContainerSpec, Mount

CAVEAT = "no Edge TPU was used: the device was emulated (coral-device), which computes with the plain model"
STATS = "device.json"
_MAX_STATS = 1 << 20


def plug_in(spec: ContainerSpec, device: Path, bundle: Path, command: str) -> ContainerSpec:
    """The container that runs ``command``, a shell's words, with the device of the folder ``device`` plugged in."""
    options = ["--stats", f"/report/{STATS}"]
    for compiled, plain in models(bundle):
        options += ["--model", *(f"/bundle/{path.relative_to(bundle)}" for path in (compiled, plain))]
    words = f"/device/bin/with-device {shlex.join(options)} -- {command}"
    # The loader of an x86_64 board is given its search path, and looks at no LD_LIBRARY_PATH then.
    run = dict(spec.env)["CORALFORGE_RUN"].replace("--library-path ", "--library-path /device/shim:/bundle/lib:")
    env = {**dict(spec.env), "CORALFORGE_RUN": run, "CORALFORGE_LIB": "/bundle/lib"}
    before = spec.command[-1]
    return replace(
        spec,
        command=(*spec.command[:-1], before.replace(command, words)),
        mounts=(*spec.mounts, Mount(device, "/device")),
        env=tuple(env.items()),
    )


def models(bundle: Path) -> list[tuple[Path, Path]]:
    """The models of an unpacked bundle that are compiled for hardware, each with the plain one beside it."""
    found = sorted((bundle / "share/models").rglob("model_edgetpu.tflite"))
    return [(path, plain) for path in found if (plain := path.with_name("model.tflite")).is_file()]


def read_stats(path: Path) -> JsonValue:
    """The device's own count of what went over USB; None where it left nothing that can be read."""
    try:
        if path.is_symlink() or path.stat().st_size > _MAX_STATS:
            return None
        stats: JsonValue = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return stats


def inferences(stats: JsonValue) -> int:
    """How many inferences reached the device."""
    devices = stats if isinstance(stats, list) else []
    programs = [one for device in devices if isinstance(device, dict) for one in _list(device.get("programs"))]
    runs = [one.get("runs") for one in programs if isinstance(one, dict) and one.get("kind") != "parameter-caching"]
    return sum(count for count in runs if isinstance(count, int))


def _list(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []
