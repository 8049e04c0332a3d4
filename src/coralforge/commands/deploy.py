"""``invoke deploy``, and ``invoke smoke`` on a board of the user's: over SSH, as its user."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from coralforge.board.connection import Target, connect, has_terminal
from coralforge.board.remote import Remote
from coralforge.bundle.bench import RemoteBench
from coralforge.bundle.onboard import Candidate, ask_choosing, deployed
from coralforge.bundle.opened import CHECK, Opened, open_archive
from coralforge.bundle.smoke import run_smoke
from coralforge.commands.options import Said
from coralforge.commands.pipeline import load_settings
from coralforge.console import make_sink
from coralforge.deploy import rules
from coralforge.deploy.deploy import Deployed, roll_back
from coralforge.deploy.facts import FOLDER, Facts, ask, check_folder, require_place
from coralforge.deploy.lock import WAIT_SECONDS, held
from coralforge.errors import user_error
from coralforge.events import Note
from coralforge.settings import Options, Settings
from coralforge.templates import render_bundle
from coralforge.util.paths import absence, typed
from coralforge.util.scratch import scratch


@dataclass(frozen=True)
class Request:
    """The options that say which board, and what goes where on it."""

    target: Target
    config: Path | None
    """An ssh_config to read instead of the user's."""
    to: str
    """The folder for bundles on the board."""
    bundle: Path | None
    """The archive; None: the one of the architecture that fits."""
    rollback: bool = False
    rules: bool = False
    yes: bool = False
    wait: int = WAIT_SECONDS
    """Seconds for which another deploy is waited for."""

    @classmethod
    def of(cls, said: Said) -> Request:
        """The request that a user's options make.

        Raises:
            CoralforgeError: ``option-missing``, ``board-unknown``, ``board-folder``, ``ssh-config``,
                ``bundle-missing``, ``deploy-option``, exit code 2.
        """
        if not said.board:
            raise user_error(
                "--board is missing", reason="option-missing", remedy="for example --board pi@raspberrypi.local"
            )
        bundle = typed(said.bundle).absolute() if said.bundle else None
        if bundle is not None and not bundle.is_file():
            raise user_error(
                f"{bundle} {absence(bundle)}",
                reason="bundle-missing",
                remedy="run invoke bundle, or give --bundle FILE",
            )
        config = typed(said.ssh_config).absolute() if said.ssh_config else None
        if config is not None and not config.is_file():
            raise user_error(
                f"--ssh-config {config} is no file",
                reason="ssh-config",
                remedy="leave it out to use your own ~/.ssh/config",
            )
        made = cls(Target.of(said.board), config, check_folder(said.to or FOLDER), bundle)
        made = replace(
            made,
            rollback=getattr(said, "rollback", False),
            rules=getattr(said, "install_rules", False),
            yes=getattr(said, "yes", False),
            wait=_seconds(getattr(said, "wait", None)),
        )
        if made.rollback and (bundle is not None or made.rules):
            raise user_error(
                "--rollback goes back to the bundle before, and takes no --bundle and no --install-rules",
                reason="deploy-option",
                remedy="leave one of them out",
            )
        return made


def _seconds(said: str | None) -> int:
    if said is None:
        return WAIT_SECONDS
    if not (said.isascii() and said.isdigit() and len(said) < 7):
        raise user_error(
            f"--wait {said[:40]!r} is no number of seconds", reason="deploy-option", remedy="for example --wait 600"
        )
    return int(said)


def deploy(options: Options, said: Said) -> None:
    """Put the bundle that fits on a board, or go back to the one before."""
    request = Request.of(said)
    with connect(request.target, request.config) as remote:
        if request.rollback:
            _roll_back(remote, request)
            return
        facts, archive = _choose(remote, options, request)
        with _opened(load_settings(options), archive) as opened, make_sink() as sink:
            sink.emit(Note(f"{request.target.name}: {facts.summary()}"))
            with deployed(remote, facts, opened, sink, request.wait) as there:
                pass
        _tell(remote, there)
        _rules(remote, facts, there, request)


def smoke(options: Options, request: Request, report: Path | None, page: Path | None) -> tuple[Path, str]:
    """Run the smoke test on a board, to which the bundle is deployed first; its report comes back.

    Returns the report's place, and a sentence for the user. None for ``report`` is beside the bundle.
    """
    with connect(request.target, request.config) as remote:
        facts, archive = _choose(remote, options, request)
        name = archive.name.removesuffix(".tar.gz")
        place = report or archive.with_name(f"{name}.smoke-{request.target.file_name}.json")
        with make_sink() as sink:
            sink.emit(Note(f"{request.target.name}: {facts.summary()}"))
            bench = RemoteBench(remote, facts, request.target.name, sink)
            result = run_smoke(archive, bench, load_settings(options).cache.work, place, sink, page=page)
    return place, result.summary()


def _choose(remote: Remote, options: Options, request: Request) -> tuple[Facts, Path]:
    """The facts of the board, and the archive that fits it."""
    facts, chosen = ask_choosing(remote, request.to, _candidates(options, request))
    return facts, chosen.archive


def _candidates(options: Options, request: Request) -> list[Candidate]:
    """The bundle that was named, the one of --arch, or those of all platforms of pipeline.yaml."""
    settings = load_settings(options)
    if request.bundle is not None:
        return [Candidate.of(request.bundle)]
    names = [options.arch] if options.arch else list(settings.pipeline.platforms)
    return [_candidate(load_settings(replace(options, arch=name))) for name in names]


def _candidate(settings: Settings) -> Candidate:
    """The bundle of one platform. Where it is not there, its check of a board is what it would be."""
    archive = settings.output / f"{settings.bundle_name}.tar.gz"
    if archive.is_file():
        return Candidate.of(archive)
    check = render_bundle(settings)[PurePosixPath(CHECK)].content
    return Candidate(settings.arch, archive, check.decode(errors="replace"))


@contextmanager
def _opened(settings: Settings, archive: Path) -> Iterator[Opened]:
    with scratch(settings.cache.work, "deploy") as folder:
        yield open_archive(archive, folder / "bundle")


def _roll_back(remote: Remote, request: Request) -> None:
    facts = ask(remote, request.to, {})
    require_place(remote, facts)
    with make_sink() as sink, held(remote, facts.to, sink, request.wait):
        there = roll_back(remote, facts, sink)
    print(f"{remote.name}: back to {there.release}; the one before is {there.previous}")


def _tell(remote: Remote, there: Deployed) -> None:
    if there.unpacked:
        print(f"{remote.name}: {there.release} is new there ({there.copied / 1e6:.1f} MB copied)")
    elif there.switched:
        print(f"{remote.name}: {there.release} was there, and is the current bundle again")
    else:
        print(f"{remote.name}: {there.release} is the current bundle: nothing to do")
    if there.previous:
        print(f"before: {there.previous} (invoke deploy --rollback goes back to it)")
    print(f"folder: {there.current}")


def _rules(remote: Remote, facts: Facts, there: Deployed, request: Request) -> None:
    """Install the udev rules where that was asked for and is needed."""
    if not request.rules:
        return
    commands = rules.needed(remote, facts, there.current)
    if not commands:
        print(f"udev rules: installed, and {facts.user} may use an Edge TPU")
        return
    text = rules.shown(facts, commands)
    terminal = has_terminal() and sys.stdin.isatty()
    if not request.yes and not terminal:
        raise user_error(
            "--install-rules asks before it runs anything as root, and there is no terminal to ask on",
            reason="no-terminal",
            details=text,
            remedy="add --yes if these commands may run there",
        )
    print(f"udev rules: on {remote.name} this is to be run:")
    print("\n".join(f"    {line}" for line in text.splitlines()))
    if not request.yes and not _agreed():
        print("udev rules: nothing was run")
        return
    rules.install(remote, facts, commands, terminal)
    again = f"; {facts.user} is in the group {rules.GROUP} from the next login on" if "usermod" in text else ""
    print(f"udev rules: installed{again}")


def _agreed() -> bool:
    try:
        return input("run it? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        print()
        return False
