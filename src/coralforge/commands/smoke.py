"""``invoke smoke``: a bundle's own test, in a container, on a whole emulated board, or on a board of the user's."""

from __future__ import annotations

from pathlib import Path

from coralforge.commands.options import Said
from coralforge.commands.pipeline import load_settings
from coralforge.console import make_sink
from coralforge.errors import CoralforgeError, user_error
from coralforge.settings import Options
from coralforge.util.paths import absence, typed

_OF_BOARDS = ("to", "ssh_config")


def smoke(options: Options, said: Said) -> None:
    """Run the smoke test where ``--board`` says. Its report is written for a failed one too, and the page of it.

    Raises:
        CoralforgeError: ``device-unknown``, ``board-option``, ``userland-board``, ``bundle-missing``, exit code 2; as
            ``deploy.Request.of``, and as the smoke test.
    """
    report = typed(said.report).absolute() if said.report else None
    page = typed(said.html).absolute() if said.html else None
    device = _device(said.device)
    if said.board in (None, "", "none", "emulated"):
        report, summary = _emulated_smoke(options, said, device, report, page)
    else:
        from coralforge.commands import deploy

        if said.userland is not None or device:
            raise _not_there("--userland and --device are for emulated boards; yours has its own", "board-option")
        report, summary = deploy.smoke(options, deploy.Request.of(said), report, page)
    print(f"{summary}\nreport: {report}" + (f"\npage: {page}" if page else ""))


def _emulated_smoke(
    options: Options, said: Said, device: bool, report: Path | None, page: Path | None
) -> tuple[Path, str]:
    """In a container, or on an emulated board booted for it; returns the report's place and a sentence."""
    from coralforge.pipeline.stages import smoke_bundle

    board = said.board == "emulated"
    if board and said.userland is not None:
        raise _not_there("--userland is for the container; the emulated board has its own", "userland-board")
    if given := [name for name in _OF_BOARDS if getattr(said, name)]:
        option = given[0].replace("_", "-")
        raise _not_there(f"--{option} is for a board that is reached by SSH", "board-option")
    settings = load_settings(options)
    archive = typed(said.bundle).absolute() if said.bundle else settings.output / f"{settings.bundle_name}.tar.gz"
    if not archive.is_file():
        raise user_error(
            f"{archive} {absence(archive)}",
            reason="bundle-missing",
            remedy="run invoke bundle, or give --bundle FILE",
        )
    place = report or Path(f"{archive}".removesuffix(".tar.gz") + ".smoke.json")
    with make_sink() as sink:
        summary = smoke_bundle(
            settings, archive, place, sink, device=device, board=board, userland=said.userland, page=page
        )
    return place, summary


def _not_there(brief: str, reason: str) -> CoralforgeError:
    return user_error(brief, reason=reason, remedy="leave it out, or give another --board")


def _device(said: str | None) -> bool:
    """Whether the emulated device was asked for."""
    if said not in (None, "none", "emulated"):
        raise user_error(
            f"there is no device {said!r}",
            reason="device-unknown",
            remedy="give --device emulated, or leave it out",
        )
    return said == "emulated"
