"""scripts/bootstrap: what it sets up, what it installs only with leave, and what it says when it cannot."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.support.machine_maker import Machine, make_machine

PACKAGES = "docker.io mmdebstrap gpg uidmap debian-archive-keyring"
ROOT_USER, PLAIN_USER = 0, 1000


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = make_machine(tmp_path)
    yield machine
    machine.stop()


def shell_scripts() -> list[Path]:
    first_lines = (b"#!/bin/sh", b"#!/bin/bash", b"#!/usr/bin/env bash")
    files = [ROOT / ".ci" / "run", *(path for path in sorted((ROOT / "scripts").iterdir()) if path.is_file())]
    return [path for path in files if path.read_bytes().startswith(first_lines)]


@pytest.mark.parametrize("path", shell_scripts(), ids=lambda path: path.name)
def test_shellcheck_finds_nothing(path: Path) -> None:
    shellcheck = Path(sys.executable).parent / "shellcheck"
    done = subprocess.run([shellcheck, path], capture_output=True, text=True, check=False)
    assert done.stdout == ""


class TestCommandLine:
    """Its own options, and what it hands over."""

    def test_help_changes_nothing(self, machine: Machine) -> None:
        done = machine.bootstrap("--help")
        assert done.status == 0
        assert "--install" in done.stdout
        assert not (machine.project / ".venv").exists()

    def test_without_a_task_it_shows_how_to_call_it(self, machine: Machine) -> None:
        done = machine.bootstrap()
        assert (done.status, done.stdout) == (2, "")
        assert done.stderr.startswith("usage: scripts/bootstrap")

    def test_the_task_and_its_arguments_reach_invoke_in_the_projects_folder(self, machine: Machine) -> None:
        done = machine.bootstrap("template", "--dest", "a  b", "--help")
        assert (done.status, done.stdout) == (0, f"in {machine.project}: template --dest a  b --help\n")

    def test_a_link_to_it_works_too(self, machine: Machine, tmp_path: Path) -> None:
        link = tmp_path / "link"
        link.symlink_to(machine.command()[0])
        done = subprocess.run([link, "doctor"], env=machine.environment, capture_output=True, text=True, check=False)
        assert done.stdout == f"in {machine.project}: doctor\n"


class TestVirtualEnvironment:
    """.venv is made once for each state of requirements.lock."""

    def test_it_has_the_locked_packages_and_the_engines_source(self, machine: Machine) -> None:
        machine.bootstrap("doctor")
        [pip] = [line for line in machine.ran("python") if "-m pip" in line]
        for option in ("--require-hashes", "--no-deps", "--only-binary=:all:", f"--requirement {machine.project}"):
            assert option in pip
        [pth] = machine.project.glob(".venv/lib/python3*/site-packages/coralforge.pth")
        assert pth.read_text() == f"{machine.project}/src\n"

    def test_the_second_run_does_nothing_but_run_the_task(self, machine: Machine) -> None:
        machine.bootstrap("doctor")
        machine.forget()
        done = machine.bootstrap("doctor", umask=0o077)
        assert (done.status, done.stderr) == (0, "")
        assert machine.ran("python3") == machine.ran("python") == []

    def test_a_changed_lock_makes_it_anew(self, machine: Machine) -> None:
        machine.bootstrap("doctor")
        (machine.project / "requirements.lock").write_text("invoke==2 --hash=sha256:0\n")
        assert "making .venv" in machine.bootstrap("doctor").stderr

    def test_a_moved_project_makes_it_anew(self, machine: Machine) -> None:
        machine.bootstrap("doctor")
        moved = Machine(machine.project.rename(machine.project.with_name("elsewhere")), machine.state, machine.stubs)
        assert "making .venv" in moved.bootstrap("doctor").stderr

    def test_what_was_cut_short_is_made_again(self, machine: Machine) -> None:
        machine.has("no-index")
        done = machine.bootstrap("doctor")
        assert done.status == 3
        assert "error: the packages of requirements.lock could not be installed" in done.stderr
        (machine.state / "no-index").unlink()
        assert machine.bootstrap("doctor").status == 0

    def test_two_runs_at_a_time_make_one(self, machine: Machine) -> None:
        with ThreadPoolExecutor(2) as pool:
            runs = [pool.submit(machine.bootstrap, "doctor") for _ in range(2)]
        assert [run.result().status for run in runs] == [0, 0]
        assert len([line for line in machine.ran("python3") if "-m venv" in line]) == 1

    def test_without_a_lock_nothing_is_installed(self, machine: Machine) -> None:
        (machine.project / "requirements.lock").unlink()
        done = machine.bootstrap("doctor")
        assert (done.status, machine.ran("python")) == (3, [])
        assert "requirements.lock is missing" in done.stderr

    def test_python_is_installed_where_root_has_none(self, machine: Machine) -> None:
        machine.has("no-python")
        done = machine.bootstrap("doctor")
        assert done.status == 0
        assert "needed from this machine's own package archive: python3 python3-venv" in done.stderr

    def test_other_users_are_told_the_command(self, machine: Machine) -> None:
        machine.has("no-python")
        machine.is_used_by(PLAIN_USER)
        done = machine.bootstrap("doctor")
        assert (done.status, machine.ran("apt-get")) == (3, [])
        assert "what to do: sudo apt-get install -y --no-install-recommends python3 python3-venv" in done.stderr


class TestModels:
    """.venv-models, with TensorFlow, is made only for what needs it."""

    @pytest.mark.parametrize("args", [["quantize", "--random", "9"], ["test"], ["--models", "doctor"]])
    def test_who_gets_it(self, machine: Machine, args: list[str]) -> None:
        machine.start_engine()
        done = machine.bootstrap(*args)
        assert done.status == 0
        assert "making .venv-models with Python 3.11.2 (TensorFlow: downloads 0.4 GB" in done.stderr
        pips = [line for line in machine.ran("python") if "-m pip" in line]
        locks = ["requirements.lock", "requirements-models.lock", "requirements-convert.lock"]
        assert [line.rpartition("/")[2] for line in pips] == locks[: 3 if args == ["test"] else 2]
        assert all("--require-hashes" in line for line in pips)
        assert (machine.project / ".venv-models" / "coralforge.stamp").exists()
        machine.forget()
        machine.bootstrap(*args)
        assert not any("-m venv" in line for line in machine.ran("python3")), "once"

    @pytest.mark.parametrize(
        "args", [["doctor"], ["quantize", "--help"], ["test", "--unit"], ["--list"], ["compile"]]
    )
    def test_who_does_not(self, machine: Machine, args: list[str]) -> None:
        assert machine.bootstrap(*args).status == 0
        assert not (machine.project / ".venv-models").exists()

    def test_a_python_that_is_too_new_for_tensorflow_is_told(self, machine: Machine) -> None:
        machine.has("new-python")
        done = machine.bootstrap("quantize")
        assert done.status == 3
        assert "error: TensorFlow needs a Python from 3.10 to 3.13, and none was found" in done.stderr
        assert machine.bootstrap("doctor").status == 0, "the others work"

    def test_a_changed_lock_makes_it_anew_and_leaves_the_other(self, machine: Machine) -> None:
        machine.bootstrap("quantize")
        (machine.project / "requirements-models.lock").write_text("tensorflow==2 --hash=sha256:0\n")
        said = machine.bootstrap("quantize").stderr
        assert "making .venv-models" in said
        assert "making .venv with" not in said


class TestConvert:
    """.venv-convert, with onnx2tf, stands on top of .venv-models, and is made only for what needs it."""

    @pytest.mark.parametrize(
        "args",
        [["quantize", "--model", "m.onnx", "--random", "9"], ["quantize", "-m", "a b.onnx"], ["--convert", "doctor"]],
    )
    def test_who_gets_it(self, machine: Machine, args: list[str]) -> None:
        assert machine.bootstrap(*args).status == 0
        folder = machine.project / ".venv-convert"
        [made] = [line for line in machine.ran("python") if "-m venv" in line]
        assert made.endswith(str(folder)), "by the Python of .venv-models"
        [pth] = folder.glob("lib/python3*/site-packages/coralforge.pth")
        base = machine.project / ".venv-models/lib/python3.11/site-packages"
        assert pth.read_text() == f"{machine.project}/src\n{base}\n"
        machine.forget()
        machine.bootstrap(*args)
        assert machine.ran("python") == [], "once"

    @pytest.mark.parametrize("args", [["quantize", "--model", "m.keras"], ["quantize", "--model=m.onnx", "--help"]])
    def test_who_does_not(self, machine: Machine, args: list[str]) -> None:
        assert machine.bootstrap(*args).status == 0
        assert not (machine.project / ".venv-convert").exists()

    def test_it_is_made_anew_with_what_it_stands_on(self, machine: Machine) -> None:
        machine.bootstrap("--convert", "doctor")
        (machine.project / "requirements-models.lock").write_text("tensorflow==2 --hash=sha256:0\n")
        said = machine.bootstrap("--convert", "doctor").stderr
        assert "making .venv-models" in said
        assert "making .venv-convert" in said


class TestEngine:
    """Docker Engine: asked for, installed only with leave, started where nothing else does."""

    @pytest.mark.parametrize(
        "args", [["doctor"], ["fetch"], ["--list"], ["build", "--help"], ["bundle", "--dry-run"], ["test", "--unit"]]
    )
    def test_not_every_task_needs_it(self, machine: Machine, args: list[str]) -> None:
        assert machine.bootstrap(*args).status == 0
        assert machine.ran("apt-get") == []

    @pytest.mark.parametrize("user", [ROOT_USER, PLAIN_USER])
    def test_one_that_answers_is_used(self, machine: Machine, user: int) -> None:
        machine.start_engine()
        (machine.stubs / "mmdebstrap").symlink_to("cat")
        machine.is_used_by(user)
        done = machine.bootstrap("build", "--arch", "aarch64")
        assert (done.status, done.stdout) == (0, f"in {machine.project}: build --arch aarch64\n")
        assert machine.ran("apt-get") == []

    def test_root_without_a_terminal_gets_it_installed_and_started(self, machine: Machine) -> None:
        done = machine.bootstrap("bundle")
        assert (done.status, done.stdout) == (0, f"in {machine.project}: bundle\n")
        assert (
            f"there is no Docker Engine on this machine; needed from this machine's own package archive: {PACKAGES}"
            in (done.stderr)
        )
        [apt] = machine.ran("apt-get")
        assert apt.endswith(f"install -y --no-install-recommends {PACKAGES}")
        machine.forget()
        assert machine.bootstrap("bundle").status == 0, "the engine outlives the script"
        assert machine.ran("apt-get") == machine.ran("dockerd") == []

    def test_a_kernel_with_apparmor_needs_its_parser(self, machine: Machine) -> None:
        (machine.state / "apparmor").write_text("Y\n")
        machine.bootstrap("bundle")
        assert machine.ran("apt-get")[0].endswith(f"{PACKAGES} apparmor")

    @pytest.mark.parametrize(("answer", "status"), [("n", 3), ("", 3), ("y", 0), ("Yes", 0)])
    def test_root_at_a_terminal_is_asked(self, machine: Machine, answer: str, status: int) -> None:
        done = machine.bootstrap_at_terminal(answer, "bundle")
        assert done.status == status
        assert "install them now? [y/N]" in done.stderr
        assert len(machine.ran("apt-get")) == (status == 0)

    def test_with_the_flag_nobody_is_asked(self, machine: Machine) -> None:
        done = machine.bootstrap_at_terminal("", "--install", "doctor")
        assert done.status == 0
        assert "[y/N]" not in done.stderr

    def test_other_users_are_told_the_commands(self, machine: Machine) -> None:
        machine.is_used_by(PLAIN_USER)
        done = machine.bootstrap("--install", "bundle")
        assert (done.status, machine.ran("apt-get")) == (3, [])
        assert (
            f"sudo apt-get install -y --no-install-recommends {PACKAGES} && sudo usermod -aG docker tester"
            in done.stderr
        )

    def test_other_users_are_told_how_to_start_it(self, machine: Machine) -> None:
        machine.is_used_by(PLAIN_USER)
        machine.stubs.joinpath("dockerd").symlink_to("cat")
        assert "what to do: sudo sh -c 'setsid dockerd" in machine.bootstrap("bundle").stderr
        (machine.state / "systemd").mkdir()
        assert "what to do: sudo systemctl start docker" in machine.bootstrap("bundle").stderr

    def test_an_engine_of_the_users_own_choice_is_never_replaced(self, machine: Machine) -> None:
        done = machine.bootstrap("bundle", DOCKER_HOST="unix:///nonexistent/docker.sock")
        assert (done.status, machine.ran("apt-get")) == (3, [])
        assert "at unix:///nonexistent/docker.sock (DOCKER_HOST) does not answer" in done.stderr

    def test_package_lists_are_renewed_only_when_that_is_needed(self, machine: Machine) -> None:
        machine.has("stale-lists")
        assert machine.bootstrap("bundle").status == 0
        assert [line.split()[-1] for line in machine.ran("apt-get")] == [
            PACKAGES.rsplit(maxsplit=1)[-1],
            "update",
            PACKAGES.rsplit(maxsplit=1)[-1],
        ]

    def test_without_a_package_archive_that_is_said(self, machine: Machine) -> None:
        machine.has("stale-lists")
        machine.has("no-network")
        done = machine.bootstrap("bundle")
        assert done.status == 3
        assert f"E: Unable to locate package\nerror: apt-get could not install {PACKAGES}\n" in done.stderr

    def test_an_engine_that_does_not_start_shows_its_log(self, machine: Machine) -> None:
        machine.has("no-kernel")
        done = machine.bootstrap("bundle")
        assert done.status == 3
        assert (
            "failed to start daemon: no cgroups\nerror: Docker Engine does not start on this machine\n" in done.stderr
        )

    def test_pid_files_of_a_machine_that_was_stopped_hard_are_removed(self, machine: Machine) -> None:
        stale = machine.state / "engine.pid"
        stale.write_text("1\n")
        machine.bootstrap("bundle")
        assert not stale.exists()

    @pytest.mark.parametrize(
        ("args", "installed"),
        [
            (["board", "--status"], True),
            (["smoke", "--board", "emulated"], True),
            (["smoke", "--board=emulated"], True),
            (["test"], True),
            (["smoke"], False),
            (["board", "--help"], False),
            (["bundle"], False),
        ],
    )
    def test_an_ssh_client_is_for_what_uses_the_whole_board(
        self, machine: Machine, args: list[str], installed: bool
    ) -> None:
        machine.start_engine()
        (machine.stubs / "mmdebstrap").symlink_to("cat")
        assert machine.bootstrap(*args).status == 0
        assert [line.split()[-1] for line in machine.ran("apt-get")] == ["openssh-client"] * installed
        machine.forget()
        (machine.stubs / "ssh").symlink_to("cat")
        machine.bootstrap(*args)
        assert machine.ran("apt-get") == [], "once"

    def test_without_an_ssh_client_the_board_is_refused_and_the_tests_go_on(self, machine: Machine) -> None:
        machine.start_engine()
        machine.is_used_by(PLAIN_USER)
        refused = machine.bootstrap("board", "--status")
        assert refused.status == 3
        assert "sudo apt-get install -y --no-install-recommends openssh-client" in refused.stderr
        assert machine.bootstrap("test").status == 0

    def test_the_base_makers_absence_is_no_error(self, machine: Machine) -> None:
        machine.start_engine()
        machine.has("stale-lists")
        machine.has("no-network")
        done = machine.bootstrap("bundle")
        assert done.status == 0
        assert "going on without it" in done.stderr
