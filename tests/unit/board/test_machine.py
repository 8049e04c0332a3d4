"""The virtual machine's command line: what keeps it apart from the host, and what it is plugged into."""

from __future__ import annotations

from pathlib import Path

import pytest

from coralforge.board import machine
from coralforge.board.machine import Machine, qemu_command
from tests.conftest import ROOT


def test_a_board_reaches_neither_the_host_nor_a_network() -> None:
    command = qemu_command(Machine("AAAA", kvm=False))
    [network] = [word for word in command if word.startswith("user,")]
    assert "restrict=on" in network.split(",")
    assert "-nodefaults" in command


def test_its_disk_forgets() -> None:
    [drive] = [word for word in qemu_command(Machine("AAAA", kvm=False)) if "if=none" in word]
    assert "snapshot=on" in drive.split(",")


def test_each_usb_port_has_a_socket() -> None:
    command = qemu_command(Machine("AAAA", kvm=False))
    for port in machine.USB_PORTS:
        assert any(f"path={machine.socket_of(port)}," in word for word in command)
        assert f"usb-redir,chardev=usb{port},bus=xhci.0,port={port}" in command


@pytest.mark.parametrize(("kvm", "accel", "cpu"), [(False, "tcg,thread=multi", "cortex-a72"), (True, "kvm", "host")])
def test_how_instructions_run(kvm: bool, accel: str, cpu: str) -> None:
    command = qemu_command(Machine("AAAA", kvm=kvm))
    assert command[command.index("-accel") + 1] == accel
    assert command[command.index("-cpu") + 1] == cpu


def test_another_architecture_is_translated_even_where_there_is_kvm(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "kvm").touch()
    monkeypatch.setattr(machine, "_KVM", tmp_path / "kvm")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert not machine.kvm_usable()
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert machine.kvm_usable()


def test_the_boards_init_says_what_is_waited_for() -> None:
    init = (ROOT / "docker" / "emulated-board" / "init").read_text()
    assert 'echo "board: $*' in init
    assert machine.READY == b"board: ready"
    assert init.index('say "ready"') > init.index("dropbear -r")
    assert "coralforge\\.key=" in init
