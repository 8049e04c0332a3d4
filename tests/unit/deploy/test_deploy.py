"""Deploying to a board: the real scripts, on a board that is a folder here (tests/support/board_double.py)."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from coralforge.board.connection import Target, connect
from coralforge.board.remote import Remote
from coralforge.bundle.onboard import Candidate, ask_choosing, deployed
from coralforge.bundle.opened import open_archive
from coralforge.config.arch import Arch
from coralforge.deploy import lock
from coralforge.deploy.deploy import Deployed, roll_back
from coralforge.deploy.facts import ask, check_folder
from coralforge.errors import CoralforgeError, ExitCode
from coralforge.events import Note, Progress, Recorder
from tests.support.board_double import BoardDouble
from tests.support.patience import wait_until
from tests.support.small_bundle import make_bundle

Archives = tuple[Path, Path, Path]
COPYING = "if [ -f /dev/stdout ]"  # of cat: the archive's
REFUSES = "#!/bin/sh\necho 'this board cannot run programs for aarch64-linux-gnu: {}'\nexit 1\n"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class Desk:
    """A user with a board."""

    def __init__(self, board: BoardDouble, remote: Remote, scratch: Path) -> None:
        self.board, self.remote, self.sink = board, remote, Recorder()
        self._scratch = scratch

    def deploy(self, archive: Path, to: str = "coralforge") -> Deployed:
        facts, _ = ask_choosing(self.remote, to, [Candidate.of(archive)])
        opened = open_archive(archive, self._scratch / str(len(list(self._scratch.iterdir()))))
        with deployed(self.remote, facts, opened, self.sink) as there:
            return there

    def roll_back(self) -> Deployed:
        facts = ask(self.remote, "coralforge", {})
        with lock.held(self.remote, facts.to, self.sink):
            return roll_back(self.remote, facts, self.sink)

    @contextmanager
    def held(self, wait: int = lock.WAIT_SECONDS) -> Iterator[None]:
        with lock.held(self.remote, str(self.to), self.sink, wait):
            yield

    def releases(self) -> set[str]:
        return {path.name for path in (self.to / "releases").iterdir()}

    @property
    def to(self) -> Path:
        return self.board.home / "coralforge"

    @property
    def text(self) -> str:
        """The README of the current bundle."""
        return (self.to / "current/README.md").read_text()

    def notes(self) -> str:
        return "\n".join(event.text for event in self.sink.events if isinstance(event, Note))

    def fails(self, archive: Path, to: str = "coralforge") -> CoralforgeError:
        with pytest.raises(CoralforgeError) as caught:
            self.deploy(archive, to)
        return caught.value


@pytest.fixture
def desk(board: BoardDouble, tmp_path: Path) -> Iterator[Desk]:
    (tmp_path / "scratch").mkdir()
    with connect(Target("pi@board")) as remote:
        yield Desk(board, remote, tmp_path / "scratch")


def test_a_first_deploy(desk: Desk, archives: Archives) -> None:
    there = desk.deploy(archives[0])
    assert (there.copied, there.unpacked, there.switched) == (archives[0].stat().st_size, True, True)
    assert desk.text == "bundle 0\n"
    assert (desk.to / "current").readlink() == Path("releases") / there.release
    assert os.access(desk.to / "current/smoke.sh", os.X_OK)
    assert names(desk.to) == ["current", "incoming", "releases"]
    assert names(desk.to / "incoming") == []
    done = [event.done for event in desk.sink.events if isinstance(event, Progress)]
    assert done[-1] == archives[0].stat().st_size


def test_a_second_one_copies_nothing(desk: Desk, archives: Archives) -> None:
    desk.deploy(archives[0])
    inode = (desk.to / "current").lstat().st_ino
    there = desk.deploy(archives[0])
    assert (there.copied, there.unpacked, there.switched, there.previous) == (0, False, False, "")
    assert (desk.to / "current").lstat().st_ino == inode


def test_the_bundle_before_is_kept_and_older_ones_are_not(desk: Desk, archives: Archives) -> None:
    first, second = desk.deploy(archives[0]), desk.deploy(archives[1])
    (desk.to / "releases/mine").mkdir()
    assert second.previous == first.release
    third = desk.deploy(archives[2])
    assert desk.releases() == {second.release, third.release, "mine"}
    assert f"removed on the board: {first.release}" in desk.notes()
    assert desk.text == "bundle 2\n"


def test_back_and_forth(desk: Desk, archives: Archives) -> None:
    desk.deploy(archives[0])
    desk.deploy(archives[1])
    assert desk.roll_back().switched
    assert desk.text == "bundle 0\n"
    desk.roll_back()
    assert desk.text == "bundle 1\n"


def test_without_a_bundle_before_there_is_no_way_back(desk: Desk, archives: Archives) -> None:
    desk.deploy(archives[0])
    with pytest.raises(CoralforgeError) as caught:
        desk.roll_back()
    assert (caught.value.reason, caught.value.code) == ("no-previous", ExitCode.USER)
    assert desk.text == "bundle 0\n"


def test_a_connection_that_is_lost_midway_goes_on_where_it_ended(desk: Desk, archives: Archives) -> None:
    desk.deploy(archives[0])
    desk.board.tool("cat", f'{COPYING}; then head -c 1000; exit 255; fi\nexec {{real}} "$@"')
    error = desk.fails(archives[1])
    assert (error.reason, error.code) == ("board-ssh", ExitCode.BOARD)
    assert desk.text == "bundle 0\n"
    desk.board.tool("cat", 'exec {real} "$@"')
    there = desk.deploy(archives[1])
    assert there.copied == archives[1].stat().st_size - 1000
    assert "are there from an earlier run" in desk.notes()
    assert desk.text == "bundle 1\n"


def test_what_arrived_is_not_believed(desk: Desk, archives: Archives) -> None:
    opened = Candidate.of(archives[0])
    digest = opened.archive.with_name(opened.archive.name + ".sha256").read_text().split()[0]
    (desk.to / "incoming").mkdir(parents=True)
    (desk.to / "incoming" / digest).write_bytes(b"something else")
    desk.deploy(archives[0])
    assert "is copied again" in desk.notes()
    assert desk.text == "bundle 0\n"


def test_what_always_arrives_damaged_is_given_up(desk: Desk, archives: Archives) -> None:
    desk.deploy(archives[0])
    desk.board.tool("cat", f'{COPYING}; then exec tr a b; fi\nexec {{real}} "$@"')
    assert desk.fails(archives[1]).reason == "board-digest"
    assert desk.text == "bundle 0\n"
    assert names(desk.to / "incoming") == []


def test_too_little_space_is_said_before_anything_is_copied(desk: Desk, archives: Archives) -> None:
    desk.board.tool(
        "df", "printf 'Filesystem 1024-blocks Used Available Capacity Mounted on\\n/dev/x 99 99 1234 99%% /\\n'"
    )
    error = desk.fails(archives[0])
    assert error.reason == "board-space"
    assert "has 1 MiB free" in error.brief
    assert names(desk.to / "incoming") == []


@pytest.mark.parametrize("tool", ["cat", "tar"])
def test_a_disk_that_is_full_midway_leaves_what_was_there(desk: Desk, archives: Archives, tool: str) -> None:
    desk.deploy(archives[0])
    full = f"echo '{tool}: write error: No space left on device' >&2; exit 1"
    when = COPYING if tool == "cat" else "if true"
    desk.board.tool(tool, f'{when}; then {full}; fi\nexec {{real}} "$@"')
    error = desk.fails(archives[1])
    assert (error.reason, error.code) == ("board-space", ExitCode.BOARD)
    assert desk.text == "bundle 0\n"
    assert len(desk.releases()) == 1
    assert not [name for name in names(desk.to / "incoming") if name.endswith(".new")]
    if tool == "cat":
        assert names(desk.to / "incoming") == []


def test_a_damaged_bundle_is_made_again(desk: Desk, archives: Archives) -> None:
    desk.deploy(archives[0])
    (desk.to / "current/README.md").write_text("changed\n")
    assert desk.deploy(archives[0]).unpacked
    assert "is damaged" in desk.notes()
    assert desk.text == "bundle 0\n"
    assert names(desk.to / "incoming") == []


def test_a_folder_in_the_place_of_a_link_is_left_alone(desk: Desk, archives: Archives) -> None:
    (desk.to / "current").mkdir(parents=True)
    (desk.to / "current/mine").touch()
    error = desk.fails(archives[0])
    assert "is no symbolic link" in error.details
    assert names(desk.to / "current") == ["mine"]


def test_an_old_mv_has_a_gap_that_is_told(desk: Desk, archives: Archives) -> None:
    desk.board.tool("mv", 'case "$*" in *-T*) echo "mv: invalid option -- T" >&2; exit 1 ;; esac\nexec {real} "$@"')
    desk.deploy(archives[0])
    desk.deploy(archives[1])
    assert desk.text == "bundle 1\n"
    assert "knows no -T" in desk.notes()
    assert names(desk.to) == ["current", "incoming", "previous", "releases"]


def test_a_bundle_that_does_not_fit_is_one_line_and_nothing_is_made(desk: Desk, tmp_path: Path) -> None:
    error = desk.fails(make_bundle(tmp_path / "unfit", check=REFUSES.format("its C library is musl")))
    assert (error.reason, error.code) == ("board-unfit", ExitCode.BOARD)
    assert "the board pi@board cannot run programs for aarch64-linux-gnu: its C library is musl" in error.brief
    assert names(desk.board.home) == []


def candidates(tmp_path: Path, verdicts: dict[Arch, str]) -> list[Candidate]:
    return [
        Candidate(arch, tmp_path / f"{arch.value}.tar.gz", REFUSES.format(why) if why else "#!/bin/sh\nexit 0\n")
        for arch, why in verdicts.items()
    ]


def test_the_bundle_of_the_programs_word_size_is_chosen(desk: Desk, tmp_path: Path) -> None:
    bits = ask(desk.remote, "coralforge", {}).bits
    both = candidates(tmp_path, {Arch.ARMV7: "", Arch.AARCH64: ""})
    for one in both:
        one.archive.touch()
    chosen = ask_choosing(desk.remote, "coralforge", both)[1]
    assert chosen.arch.row.bits == bits
    other = candidates(tmp_path, {Arch.ARMV7: "it is aarch64", Arch.AARCH64: ""})
    assert ask_choosing(desk.remote, "coralforge", other)[1].arch is Arch.AARCH64


def test_a_bundle_that_fits_and_is_not_there_is_named(desk: Desk, tmp_path: Path) -> None:
    with pytest.raises(CoralforgeError) as caught:
        ask_choosing(desk.remote, "coralforge", candidates(tmp_path, {Arch.AARCH64: ""}))
    assert (caught.value.reason, caught.value.code) == ("bundle-missing", ExitCode.USER)
    assert "invoke bundle --arch aarch64" in caught.value.remedy


def test_of_several_reasons_the_board_s_own_is_told(desk: Desk, tmp_path: Path) -> None:
    other = "it is aarch64: take coralforge-2.14.1-aarch64-linux-gnu.tar.gz"
    several = candidates(tmp_path, {Arch.ARMV7: other, Arch.AARCH64: "they need glibc 2.27 or newer"})
    with pytest.raises(CoralforgeError, match="they need glibc"):
        ask_choosing(desk.remote, "coralforge", several)


@pytest.mark.parametrize("tool", ["tar", "sha256sum"])
def test_a_program_that_is_missing_is_named(desk: Desk, archives: Archives, tool: str) -> None:
    (desk.board.tools / tool).unlink()
    error = desk.fails(archives[0])
    assert error.reason == "board-tools"
    assert f"has no {tool}" in error.brief


def test_a_board_may_say_anything(desk: Desk, archives: Archives) -> None:
    flood = "printf '\\033[2Jevil\\007\\n'; yes 'coralforge: to /etc' | head -c 3000000; printf '%090000d' 0"
    desk.board.tool("uname", flood)
    (desk.board.tools / "yes").symlink_to("/usr/bin/yes")
    facts = ask(desk.remote, "coralforge", {})
    assert facts.summary().isprintable()
    assert len(facts.summary()) < 1000
    assert facts.to == str(desk.to) or facts.to == "/etc"


@pytest.mark.parametrize(
    "to", ["", "/", "~", "~/", ".", "./", "~/.", "/./", "-x", "../x", "a/../b", "a\nb", "a ", "~/ ", "~other/x"]
)
def test_no_folder_for_bundles(to: str) -> None:
    with pytest.raises(CoralforgeError) as caught:
        check_folder(to)
    assert (caught.value.reason, caught.value.code) == ("board-folder", ExitCode.USER)


@pytest.mark.parametrize("to", ['it\'s a "folder" & $HOME', "a\\b", "~/in home/x"])
def test_a_folder_may_have_any_name(desk: Desk, archives: Archives, to: str) -> None:
    there = desk.deploy(archives[0], check_folder(to))
    assert Path(there.to) == desk.board.home / to.removeprefix("~/")
    assert Path(there.current, "README.md").read_text() == "bundle 0\n"


def test_a_second_one_waits_and_says_for_whom(desk: Desk, archives: Archives) -> None:
    done: list[Deployed] = []
    with desk.held():
        second = threading.Thread(target=lambda: done.append(desk.deploy(archives[0])))
        second.start()
        wait_until(lambda: "deploys there: waiting" in desk.notes())
        assert done == []
        assert not (desk.to / "current").exists()
    second.join()
    assert done[0].switched
    assert not (desk.to / "lock").is_symlink()


def test_who_holds_it_too_long_is_named(desk: Desk) -> None:
    with desk.held(), pytest.raises(CoralforgeError) as caught, desk.held(wait=1):
        pass
    assert (caught.value.reason, caught.value.code) == ("board-busy", ExitCode.BUSY)
    assert str(os.getpid()) not in caught.value.brief.split("since")[0]
    assert "UTC" in caught.value.brief
    assert not (desk.to / "lock").is_symlink()


@pytest.mark.parametrize("boot", ["this one", "another one"])
def test_a_lock_that_nobody_holds_is_taken_away(desk: Desk, archives: Archives, boot: str) -> None:
    desk.to.mkdir()
    now = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    process = f"{os.getpid()} 1" if boot == "this one" else f"{os.getpid()} {began(os.getpid())}"
    where = now if boot == "this one" else "00000000-0000-0000-0000-000000000000"
    (desk.to / "lock").symlink_to(f"{where} {process} there 1 1 eve@there since 2026-01-01 00:00:00 UTC")
    desk.deploy(archives[0])
    assert "eve@there" in desk.notes()
    assert desk.text == "bundle 0\n"
    assert names(desk.to) == ["current", "incoming", "releases"]


def test_whoever_comes_between_is_waited_for_too(desk: Desk, archives: Archives) -> None:
    done: list[Deployed] = []
    desk.to.mkdir()
    now = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    link = desk.to / "lock"
    with subprocess.Popen(["sleep", "1000"]) as holder:
        mine = f"{now} {holder.pid} {began(holder.pid)} elsewhere 1 1"
        link.symlink_to(f"{mine} eve@one since then")
        waiting = threading.Thread(target=lambda: done.append(desk.deploy(archives[0])))
        waiting.start()
        wait_until(lambda: "eve@one" in desk.notes())
        (desk.to / "next").symlink_to(f"{mine} bob@two since now")
        (desk.to / "next").rename(link)
        wait_until(lambda: "bob@two" in desk.notes())
        assert done == []
        link.unlink()
        waiting.join()
        holder.kill()
    assert done[0].switched


def began(process: int) -> str:
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]


def test_a_lock_whose_deploy_died_here_is_taken_away(desk: Desk, archives: Archives) -> None:
    """The board does not notice a cable that was pulled; this machine knows that the process is gone."""
    desk.to.mkdir()
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    with subprocess.Popen(["sleep", "1000"]) as session:  # as the board's side of a connection that hangs
        me = f"{lock._machine()} {dead.pid} 12345 me@here since 2026-01-01 00:00:00 UTC"
        now = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        (desk.to / "lock").symlink_to(f"{now} {session.pid} {began(session.pid)} {me}")
        desk.deploy(archives[0])
        assert session.wait() != 0, "the board's side is ended too"
    assert "me@here" in desk.notes()
    assert desk.text == "bundle 0\n"


def rsync(board: BoardDouble, script: str) -> None:
    """TEST DOUBLE of rsync here; there it is only looked for."""
    program = board.root / "bin/rsync"
    program.write_text(f"#!/bin/sh\nfor word; do from=$to to=$word; done\n{script}\n")
    program.chmod(0o755)
    board.tool("rsync", "exit 1")


def test_rsync_copies_where_both_have_it(desk: Desk, archives: Archives) -> None:
    copy = 'printf "  1,000  50%%  1MB/s\\r  2,000 100%%\\r\\nTotal bytes sent: 1,234\\n"; cp "$from" "${to#board:}"'
    rsync(desk.board, f'echo "$*" >"{desk.board.root}/rsync"; {copy}')
    assert desk.deploy(archives[0]).copied == 1234
    assert desk.text == "bundle 0\n"
    words = (desk.board.root / "rsync").read_text()
    assert "--partial" in words and "--inplace" in words
    assert "StrictHostKeyChecking" not in words, "it goes over the connection that stands"


def test_a_board_may_say_anything_in_rsync(desk: Desk, archives: Archives) -> None:
    rsync(desk.board, 'echo "Total bytes sent: ."; cp "$from" "${to#board:}"')
    assert desk.deploy(archives[0]).copied == archives[0].stat().st_size
    assert desk.text == "bundle 0\n"


def test_an_rsync_that_fails_is_replaced(desk: Desk, archives: Archives) -> None:
    rsync(desk.board, "echo 'protocol version mismatch'; exit 2")
    assert desk.deploy(archives[0]).copied == archives[0].stat().st_size
    assert "rsync ended with exit status 2" in desk.notes()


def test_a_connection_that_is_lost_in_rsync_is_no_reason_for_another_way(desk: Desk, archives: Archives) -> None:
    rsync(desk.board, f': >"{desk.board.root}/lost"; exit 12')
    assert desk.fails(archives[0]).reason == "board-ssh"


def test_the_limit_on_waiting_for_the_lock_ends_with_the_waiting(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends the process that holds the lock, and an unpacking or a smoke test may take half an hour."""
    limits: list[LateTimer] = []
    monkeypatch.setattr(lock, "threading", SimpleNamespace(Timer=partial(LateTimer, limits)))
    with desk.held():
        assert [limit.cancelled for limit in limits] == [True]


class LateTimer:
    """TEST DOUBLE of threading.Timer: its time is never over."""

    def __init__(self, all_of_them: list[LateTimer], _seconds: float, _end: Callable[[], object]) -> None:
        self.cancelled = self.daemon = False
        all_of_them.append(self)

    def start(self) -> None: ...

    def cancel(self) -> None:
        self.cancelled = True


def test_a_folder_in_the_place_of_the_lock_is_none(desk: Desk) -> None:
    (desk.to / "lock").mkdir(parents=True)
    with pytest.raises(CoralforgeError) as caught, desk.held():
        pass
    assert (caught.value.reason, caught.value.code) == ("board-command", ExitCode.BOARD)
    assert "lock" in caught.value.details
    assert names(desk.to / "lock") == []


def test_a_user_without_a_name_holds_a_lock_too(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container with a uid of its own there may be no such user."""

    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 4711")

    monkeypatch.setattr("getpass.getuser", nobody)
    with desk.held():
        assert " unknown@" in str((desk.to / "lock").readlink())


@pytest.mark.parametrize("name", ["mine.txt", "new", "f" * 63, "F" * 64])
def test_what_is_not_ours_in_the_folders_is_left_alone(desk: Desk, archives: Archives, name: str) -> None:
    mine = desk.to / "incoming" / name
    mine.mkdir(parents=True)
    (mine / "file").touch()
    for stale in ("e" * 64, "d" * 64 + ".new"):  # did not arrive; was not unpacked to its end
        (desk.to / "incoming" / stale).mkdir()
    desk.deploy(archives[0])
    assert names(mine) == ["file"]
    assert names(desk.to / "incoming") == [name]


def test_back_to_what_is_no_bundle_of_ours_is_refused(desk: Desk, archives: Archives) -> None:
    desk.deploy(archives[0])
    (desk.to / "other").mkdir()
    (desk.to / "previous").symlink_to("other")
    with pytest.raises(CoralforgeError) as caught:
        desk.roll_back()
    assert (caught.value.reason, caught.value.code) == ("board-command", ExitCode.BOARD)
    assert "releases/other" in caught.value.details
    assert desk.text == "bundle 0\n"
