"""``invoke release`` and ``invoke verify``: releases that strangers can check."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from coralforge import __version__
from coralforge.commands.options import Said
from coralforge.commands.pipeline import ROOT, load_settings
from coralforge.config.arch import Arch
from coralforge.console import make_sink
from coralforge.errors import gate_error, missing_error, user_error
from coralforge.events import Note, Sink
from coralforge.publish import draft
from coralforge.publish.difference import differing, explain, same
from coralforge.publish.names import ARCHIVE, PROVENANCE, beside
from coralforge.publish.origin import Origin, find
from coralforge.publish.parts import Part, build_bundle, finish, fresh_cache, make_part
from coralforge.publish.sign import require_key
from coralforge.publish.verify import Check, read_statement
from coralforge.publish.verify import verify as verify_bundle
from coralforge.settings import Options, Settings
from coralforge.util.fingerprint import of_file
from coralforge.util.paths import absence, typed


@dataclass(frozen=True)
class ReleaseRequest:
    """The options of ``invoke release``."""

    dest: str | None
    sign: str | None
    twice: bool
    finish: bool
    matrix: bool
    publish: bool
    dry_run: bool

    @classmethod
    def of(cls, said: Said) -> ReleaseRequest:
        """The request of the task's options."""
        flags = (said.twice, said.finish, said.matrix, said.publish, said.dry_run)
        return cls(said.dest, said.sign, *flags)


def release(options: Options, request: ReleaseRequest) -> None:
    """All parts of a release and what completes it; with ``--arch`` one part, with ``--finish`` only the rest."""
    settings = load_settings(options)
    platforms = [options.arch] if options.arch else list(settings.pipeline.platforms)
    _require_fitting(options, request)
    if request.matrix:
        print(json.dumps({"include": [{"arch": arch, "platform": Arch(arch).row.docker} for arch in platforms]}))
        return
    key = typed(request.sign).absolute() if request.sign else None
    if key is not None:
        require_key(key)
    origin = find(ROOT)
    _require_origin(origin, request)
    folder = typed(request.dest).absolute() if request.dest else settings.output / f"release-{__version__}"
    if not request.finish:
        _make(folder)
    with make_sink() as sink:
        if not request.finish:
            for arch in platforms:
                part = make_part(load_settings(replace(options, arch=arch)), origin, folder, sink, request.twice)
                print(f"part: {part.archive}\nsha256: {part.digest}")
        if not options.arch:
            _complete(folder, origin, request, key, sink)


def _require_fitting(options: Options, request: ReleaseRequest) -> None:
    """Options of what completes a release are not passed over where one part is made, and the other way round.

    Raises:
        CoralforgeError: ``release-options``, exit code 2.
    """
    rest = {"--finish": request.finish, "--publish": request.publish, "--sign": request.sign is not None}
    made = {**rest, "--twice": request.twice, "--dry-run": request.dry_run, "--dest": request.dest is not None}
    if request.matrix and (given := [name for name, there in made.items() if there]):
        brief = f"--matrix only prints the platforms; {given[0]} is for making a release"
    elif options.arch and (given := [name for name, there in rest.items() if there]):
        brief = f"--arch makes one part of a release; {given[0]} is for what completes it"
    elif request.finish and request.twice:
        brief = "--finish completes the parts that are there; --twice is for making them"
    else:
        return
    raise user_error(brief, reason="release-options", remedy="leave one of them out")


def _make(folder: Path) -> None:
    """Make the folder of a release, before anything is built for it.

    Raises:
        CoralforgeError: ``bundle-write``, exit code 3.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise missing_error(
            f"{folder} cannot be written: {error.strerror or error}",
            reason="bundle-write",
            remedy="make room, or choose another folder with --dest",
        ) from error


def _require_origin(origin: Origin, request: ReleaseRequest) -> None:
    if request.publish and not request.dry_run:
        draft.require_ready(ROOT, origin)


def _complete(folder: Path, origin: Origin, request: ReleaseRequest, key: Path | None, sink: Sink) -> None:
    parts = finish(folder, ROOT, origin, key)
    for sentence in _caveats(parts, origin, request):
        sink.emit(Note(sentence, "warning"))
    print(f"release: {folder} ({len(parts)} bundle{'s' if len(parts) > 1 else ''})")
    if request.dry_run:
        print(f"dry run, nothing was published; it would be with\n  {draft.shown(folder)}")
    elif request.publish:
        draft.make_draft(ROOT, folder)


def _caveats(parts: tuple[Part, ...], origin: Origin, request: ReleaseRequest) -> list[str]:
    found = [f"{p.archive.name} is SIMULATED: it drives no hardware" for p in parts if p.manifest.simulated]
    found += [
        f"{part.archive.name} is made of sources that are not pinned: {', '.join(part.manifest.unpinned)}"
        for part in parts
        if part.manifest.unpinned
    ]
    if not origin.clean:
        found.append("its commit does not say all about it: no git checkout, or files differ from the commit")
    if request.sign is None:
        found.append("it is not signed: no --sign KEY was given")
    return found


@dataclass(frozen=True)
class VerifyRequest:
    """The options of ``invoke verify``."""

    bundle: str
    signers: str | None
    rebuild: bool

    @classmethod
    def of(cls, said: Said) -> VerifyRequest:
        """The request of the task's options."""
        return cls(said.bundle, said.signers, said.rebuild)


def verify(options: Options, request: VerifyRequest) -> None:
    """Check a bundle against what came with it; with ``--rebuild`` also build it again and compare all bytes.

    Raises:
        CoralforgeError: ``verify-failed`` (exit code 6), ``bundle-missing``, ``signers-missing``,
            ``rebuild-provenance``, ``rebuild-commit`` (2), ``rebuild-differs`` (6).
    """
    if not request.bundle:
        raise user_error("--bundle is missing", reason="option-missing", remedy="--bundle FILE.tar.gz")
    archive = typed(request.bundle).absolute()
    if not archive.is_file():
        raise user_error(f"{archive} {absence(archive)}", reason="bundle-missing", remedy="give --bundle FILE.tar.gz")
    signers = typed(request.signers).absolute() if request.signers else None
    if signers is not None and not signers.is_file():
        raise user_error(
            f"{signers} {absence(signers)}",
            reason="signers-missing",
            remedy="give OpenSSH's file of allowed signers: lines of NAME and public key (ssh-keygen(1))",
        )
    settings = load_settings(options)
    checks = verify_bundle(archive, settings.cache.work, signers)
    print("\n".join(str(check) for check in checks))
    wrong = [check for check in checks if check.good is False]
    if wrong:
        raise gate_error(
            f"{archive.name} is not what it is said to be",
            reason="verify-failed",
            details="\n".join(str(check) for check in wrong),
            remedy="do not use it; download it again, and tell whoever published it if that does not help",
        )
    if request.rebuild:
        _rebuild(options, archive)
    _say_result(checks, request)


def _say_result(checks: tuple[Check, ...], request: VerifyRequest) -> None:
    missing = [check.name for check in checks if check.good is None]
    missing += [] if request.rebuild else ["rebuild (--rebuild)"]
    print(f"verify: all that was checked is right; not checked: {', '.join(missing) or 'nothing'}")


def _rebuild(options: Options, archive: Path) -> None:
    try:
        statement = read_statement(archive)
    except (OSError, ValueError) as error:
        missing = isinstance(error, FileNotFoundError)
        why = f"{beside(archive, PROVENANCE).name} does not exist" if missing else str(error)
        raise user_error(
            f"the provenance of {archive.name} cannot be read: {why}",
            reason="rebuild-provenance",
            remedy="--rebuild builds what it says, so it has to be beside the bundle",
        ) from error
    here = find(ROOT)
    if statement.commit != here.commit or not here.clean:
        raise user_error(
            f"{archive.name} was built from commit {statement.commit or 'unknown'}, "
            f"this checkout is at {here.commit or 'none'}{' with changes' if here.changed else ''}",
            reason="rebuild-commit",
            remedy=f"git worktree add ../again {statement.commit or 'COMMIT'}, and run it there",
        )
    said = statement.parameters
    chosen = replace(
        options, arch=said.arch.value, release=said.release, variants=tuple(v.value for v in said.variants)
    )
    settings = load_settings(chosen)
    with make_sink() as sink, fresh_cache(settings) as fresh:
        result = _compare(settings, archive, build_bundle(fresh, sink))
    print(f"rebuild: ok: built again on this machine alone, from an empty cache: {result}")


def _compare(settings: Settings, archive: Path, again: Path) -> str:
    if of_file(archive) == of_file(again):
        return "the same bytes"
    if same(archive, again):
        return "the same bytes in every file, but MANIFEST.json, which says of the bundle that other machines helped"
    settings.output.mkdir(parents=True, exist_ok=True)
    report = settings.output / f"{archive.name.removesuffix(ARCHIVE)}.diffoscope.txt"
    sentence = explain(archive, again, report)
    raise gate_error(
        f"{archive.name} has other bytes when it is built again",
        reason="rebuild-differs",
        details="\n".join([*differing(archive, again)[:20], sentence]),
        remedy="the places of its sources may have answered with other forms of the same files (--mirror); "
        "otherwise please report it",
    )
