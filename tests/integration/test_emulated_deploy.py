"""Deploying by SSH to a whole emulated board: dropbear; as a user with GNU programs, and as one with busybox alone.

Small bundles are enough for all but the smoke test. ``stall`` holds a copy up midway, so that nothing depends on
time.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pytest

from coralforge.board.board import Board
from coralforge.board.ssh import ROOT, USER
from coralforge.config.arch import Arch
from coralforge.settings import Options, Project, resolve
from coralforge.templates import render_bundle
from tests.conftest import ROOT as PROJECT
from tests.integration.conftest import Checkout, Ran
from tests.support.patience import NET, wait_until
from tests.support.small_bundle import make_bundle

pytestmark = [
    pytest.mark.docker,
    pytest.mark.emulated_board,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

SMALL = "small"
"""A user who has busybox and nothing else: no rsync, bash, getconf or udevadm."""

# A copy stops after a kilobyte as long as /tmp/stall is there.
MAKE_USER = f"""
set -e
mkdir -p /opt/{SMALL} /home/{SMALL}/.ssh
/bin/busybox --install -s /opt/{SMALL}
cat >/opt/{SMALL}-login <<'END'
#!/bin/busybox sh
case $2 in
"cat >>"*)
    wait='dd bs=1 count=1000 2>/dev/null; : >/tmp/stalled; while [ -e /tmp/stall ]; do sleep 0.1; done'
    if [ -e /tmp/stall ]; then set -- -c "{{ $wait; cat; }} ${{2#cat}}"; fi
    ;;
esac
PATH=/opt/{SMALL} exec /bin/busybox sh "$@"
END
chmod 755 /opt/{SMALL}-login
echo '{SMALL}:x:1002:1002::/home/{SMALL}:/opt/{SMALL}-login' >>/etc/passwd
echo '{SMALL}:x:1002:' >>/etc/group
echo '{SMALL}:*:19000:0:99999:7:::' >>/etc/shadow
echo /opt/{SMALL}-login >>/etc/shells
cp ~{USER}/.ssh/authorized_keys /home/{SMALL}/.ssh/
chown -R 1002:1002 /home/{SMALL}
chmod -R go-rwx /home/{SMALL}
"""
# Ends the process of the server that carries the connection of the copy.
LOSE = """
process=$(pgrep -u 1002 -f tmp/stalled | head -n 1)
while [ "$(cat /proc/$process/comm)" != dropbear ]; do process=$(ps -o ppid= -p $process | tr -d ' '); done
kill -KILL $process
"""


@dataclass(frozen=True)
class Desk:
    """A machine from which a board is deployed to."""

    cli: Checkout
    board: Board
    config: Path
    scratch: Path

    def command(self, verb: str, host: str, *words: str) -> list[str]:
        return [verb, "--board", host, "--ssh-config", str(self.config), *words]

    def deploy(self, archive: Path, *words: str, host: str = SMALL) -> Ran:
        return self.cli.invoke(*self.command("deploy", host, "--bundle", str(archive), *words), timeout=NET)

    @contextmanager
    def deploying(self, archive: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
        """A deploy that goes on beside; its output is on stdout."""
        program = Path(sys.executable).parent / "invoke"
        command = self.command("deploy", SMALL, "--bundle", str(archive), *words)
        with subprocess.Popen(
            [program, *command],
            cwd=self.cli.root,
            env=self.cli.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()
                self.root("rm -f /tmp/stall /tmp/stalled")

    def stalled(self, *processes: subprocess.Popen[str]) -> None:
        """Until a copy has come to the point where it stops."""

        def there() -> bool:
            assert all(process.poll() is None for process in processes), processes[0].communicate()
            return self.board.ssh.run("test -e /tmp/stalled", user=ROOT, seconds=NET).status == 0

        wait_until(there)

    def root(self, script: str) -> str:
        return self.board.ssh.check(script, user=ROOT, seconds=NET)

    def text(self, folder: str = f"/home/{SMALL}/coralforge") -> str:
        """The README of the current bundle."""
        return self.root(f"cat {folder}/current/README.md")


@pytest.fixture(scope="module")
def desk(cli: Checkout, emulated_board: Board, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    scratch = tmp_path_factory.mktemp("desk")
    emulated_board.ssh.check(MAKE_USER, user=ROOT, seconds=NET)
    settings = emulated_board.place.ssh.config.read_text()
    inner = settings.split("\n", 1)[1].replace(f"User {USER}", f"User {SMALL}")
    config = scratch / "config"
    through = inner.replace(f"Port {emulated_board.ssh_port}", "Port 22").replace(
        "IdentitiesOnly", "ProxyJump board\n  IdentitiesOnly"
    )
    known = (emulated_board.place.folder / "known_hosts").read_text().split(None, 1)[1]
    (scratch / "known").write_text(f"inner {known}")
    through = through.replace(str(emulated_board.place.folder / "known_hosts"), str(scratch / "known"))
    config.write_text(f"{settings}\nHost {SMALL}\n{inner}\nHost inner\n  HostKeyAlias inner\n{through}\n")
    return Desk(cli, emulated_board, config, scratch)


@pytest.fixture(scope="module")
def archives(desk: Desk) -> tuple[Path, Path]:
    """Two bundles, the second one of more than a window of SSH."""
    check = check_of(Arch.AARCH64)
    return (
        make_bundle(desk.scratch / "one", text="one\n", check=check),
        make_bundle(desk.scratch / "two", text="two\n", check=check, padding=300_000),
    )


def check_of(arch: Arch) -> str:
    settings = resolve(Project(PROJECT), Options(arch=arch.value))
    return render_bundle(settings)[PurePosixPath("check-board.sh")].content.decode()


def test_there_and_back_through_another_host(desk: Desk, archives: tuple[Path, Path]) -> None:
    one, two = archives
    first = desk.deploy(one)
    assert first.status == 0, first.stdout + first.stderr
    assert "is new there" in first.stdout
    again = desk.deploy(one, host="inner")
    assert again.status == 0, again.stdout + again.stderr
    assert "nothing to do" in again.stdout
    assert "copy" not in again.stderr
    second = desk.deploy(two)
    assert second.status == 0, second.stdout + second.stderr
    assert desk.text() == "two"
    back = desk.cli.invoke(*desk.command("deploy", SMALL, "--rollback"), timeout=NET)
    assert back.status == 0, back.stdout + back.stderr
    assert desk.text() == "one"
    assert desk.root(f"cd /home/{SMALL}/coralforge && ls && ls incoming").split() == [
        "current", "incoming", "previous", "releases",
    ]  # fmt: skip


def test_another_architecture_is_one_line(desk: Desk) -> None:
    archive = make_bundle(desk.scratch / "x86", check=check_of(Arch.X86_64), arch=Arch.X86_64)
    ran = desk.deploy(archive, "--to", "~/other")
    assert ran.status == 9
    assert "it is aarch64: take coralforge-2.14.1-aarch64-linux-gnu.tar.gz" in ran.stderr
    assert "[board-unfit, exit 9]" in ran.stderr
    assert "other" not in desk.root(f"ls /home/{SMALL}")


def test_a_lost_connection_goes_on_in_the_next_run(desk: Desk, archives: tuple[Path, Path]) -> None:
    desk.root("touch /tmp/stall")
    with desk.deploying(archives[1], "--to", "lost") as process:
        desk.stalled(process)
        desk.root(LOSE)
        said, _ = process.communicate(timeout=NET)
        assert process.returncode == 9, said
        assert "[board-ssh, exit 9]" in said
    assert desk.root(f"ls /home/{SMALL}/lost").split() == ["incoming", "releases"]
    ran = desk.deploy(archives[1], "--to", "lost")
    assert ran.status == 0, ran.stderr
    assert "are there from an earlier run" in ran.stderr
    assert desk.text(f"/home/{SMALL}/lost") == "two"


def test_the_second_of_two_waits_and_says_for_whom(desk: Desk, archives: tuple[Path, Path]) -> None:
    desk.root("touch /tmp/stall")
    to = ("--to", "both", "--wait", str(NET))
    with desk.deploying(archives[1], *to) as one, desk.deploying(archives[0], *to) as other:
        assert one.stdout is not None and other.stdout is not None
        lines = [iter(process.stdout.readline, "") for process in (one, other) if process.stdout]
        desk.stalled(one, other)
        running = [next((line for line in own if "-> copy" in line or "waiting" in line), "") for own in lines]
        assert sorted("waiting" in line for line in running) == [False, True], running
        desk.root("rm -f /tmp/stall")
        for process in (one, other):
            rest, _ = process.communicate(timeout=NET)
            assert process.returncode == 0, rest
    assert len(desk.root(f"ls /home/{SMALL}/both/releases").split()) == 2
    assert "lock" not in desk.root(f"ls /home/{SMALL}/both")


def test_a_disk_that_gets_full_keeps_the_old_bundle(desk: Desk, archives: tuple[Path, Path]) -> None:
    desk.root("mkdir -p /mnt/little && mount -t tmpfs -o size=12m tmpfs /mnt/little && chown 1002 /mnt/little")
    to = ("--to", "/mnt/little/cf")
    assert desk.deploy(archives[0], *to).status == 0
    desk.root("touch /tmp/stall")
    with desk.deploying(archives[1], *to) as process:
        desk.stalled(process)
        desk.root("dd if=/dev/zero of=/mnt/little/more bs=64k 2>/dev/null; rm -f /tmp/stall")
        said, _ = process.communicate(timeout=NET)
        assert process.returncode == 9, said
        assert "[board-space, exit 9]" in said
    before = desk.deploy(archives[1], *to)
    assert before.status == 9
    assert "MiB free" in before.stderr
    assert desk.text("/mnt/little/cf") == "one"
    assert desk.root("ls /mnt/little/cf/incoming").split() == []


def test_what_cannot_be_written_is_said(desk: Desk, archives: tuple[Path, Path]) -> None:
    desk.root("mkdir -p /mnt/fixed && mount -t tmpfs -o ro,size=1m tmpfs /mnt/fixed")
    ran = desk.deploy(archives[0], "--to", "/mnt/fixed/cf")
    assert ran.status == 9
    assert "/mnt/fixed: it is mounted read-only" in ran.stderr
    assert "[board-write, exit 9]" in ran.stderr


@pytest.mark.parametrize("known", ["", "another"])
def test_a_host_key_that_is_not_known_is_refused(desk: Desk, archives: tuple[Path, Path], known: str) -> None:
    """Also where the configuration would take any."""
    hosts = desk.scratch / f"known-{known}"
    if known:
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", desk.scratch / "other"], check=True)
        key = (desk.scratch / "other.pub").read_text()
        hosts.write_text(f"[127.0.0.1]:{desk.board.ssh_port} {key}")
    text = desk.config.read_text().replace("accept-new", "no")
    folder = desk.board.place.folder / "known_hosts"
    careless = desk.scratch / "careless"
    careless.write_text(text.replace(str(folder), str(hosts)))
    ran = desk.cli.invoke(
        "deploy", "--board", SMALL, "--ssh-config", str(careless), "--bundle", str(archives[0]), timeout=NET
    )
    assert ran.status == 9
    assert "[board-host-key, exit 9]" in ran.stderr
    assert shlex.join(["ssh", "-F", str(careless), SMALL]) in ran.stderr
    assert not hosts.exists() or hosts.read_text().count("\n") == 1


def test_udev_rules_are_installed_when_somebody_says_so(desk: Desk, archives: tuple[Path, Path]) -> None:
    rules = "/etc/udev/rules.d/70-coral-edgetpu.rules"
    desk.root(f"rm -f {rules}")
    refused = desk.deploy(archives[0], "--install-rules", host="board")
    assert refused.status == 2
    assert f"sudo cp /home/{USER}/coralforge/current/share/udev" in refused.stderr
    desk.root(f"test ! -e {rules}")
    ran = desk.deploy(archives[0], "--install-rules", "--yes", host="board")
    assert ran.status == 0, ran.stderr
    assert "sudo udevadm control --reload-rules" in ran.stdout
    assert desk.root(f"cat {rules}") == "# no rules"
    desk.root(f"rm {rules} && udevadm control --reload-rules")


def test_the_smoke_test_of_a_board_comes_back(desk: Desk, bundle: Path, tmp_path: Path) -> None:
    report, page = tmp_path / "report.json", tmp_path / "page.html"
    options = ("--bundle", str(bundle), "--report", str(report), "--html", str(page))
    ran = desk.cli.invoke(*desk.command("smoke", "board", *options), timeout=NET)
    assert ran.status == 0, ran.stdout + ran.stderr
    data = json.loads(report.read_text())
    assert data["ok"] and data["passed"]
    assert data["target"] == "board"
    assert data["board"]["kernel"].endswith("-arm64")
    assert "Smoke test of" in page.read_text()
    assert "is new there" not in desk.deploy(bundle, host="board").stdout
