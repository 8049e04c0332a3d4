"""The last stage: the bundle as Debian packages, by the builder image's dpkg-deb: the same one for everyone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from coralforge.bundle.deb.build import EPOCH, lay_out
from coralforge.containers.folders import readable_copy, writable_folder
from coralforge.containers.spec import Mount
from coralforge.errors import build_error
from coralforge.pipeline.build import container, run_container
from coralforge.pipeline.stages import Context
from coralforge.plan import Stage
from coralforge.sources.unpack import unpack
from coralforge.util.fingerprint import of_file

SCRIPT = "build-packages"


def make_packages(context: Context) -> Path:
    """Stage ``deb``: the bundle as Debian packages, and a file with their digests.

    Raises:
        CoralforgeError: as ``lay_out`` and ``run_container``, or ``build-incomplete``, exit code 5.
    """
    settings, staging = context.settings, context.staging
    unpack(context.places[Stage.BUNDLE] / f"{settings.bundle_name}.tar.gz", staging / settings.bundle_name, 1)
    folders = staging / "packages"
    names = lay_out(settings, staging / settings.bundle_name, folders)
    out = _pack(context, folders, names)
    sums = [f"{of_file(out / name)}  {name}\n" for name in sorted(names)]
    (out / f"{settings.bundle_name}.debs.sha256").write_text("".join(sums), encoding="ascii")
    return out


def _pack(context: Context, folders: Path, names: Sequence[str]) -> Path:
    environment = context.environment
    out = writable_folder(context.staging / "out", environment.runner)
    mounts = [
        Mount(readable_copy(context.settings.project.scripts, context.staging / "scripts"), "/scripts"),
        Mount(folders, "/packages"),
        Mount(out, "/out", writable=True),
    ]
    spec = container(environment, "packages", ("sh", f"/scripts/{SCRIPT}"), mounts)
    run_container(environment, replace(spec, env=(("SOURCE_DATE_EPOCH", str(EPOCH)),)), context.action.key)
    absent = [name for name in names if not (out / name).is_file()]
    if absent:
        raise build_error(
            f"dpkg-deb ended without an error, but did not make {', '.join(absent)}",
            reason="build-incomplete",
            remedy="this is a bug in coralforge: please report it with the log",
        )
    return out
