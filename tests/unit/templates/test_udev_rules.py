"""The udev rules reach both ids of an Edge TPU, and are read when their tags still count."""

from __future__ import annotations

import re

from tests.conftest import ROOT

FOLDER = ROOT / "templates/bundle/share/udev"


def rules() -> list[str]:
    [path] = FOLDER.glob("*.rules")
    return [line for line in path.read_text().splitlines() if line and not line.startswith("#")]


def test_the_file_is_read_before_uaccess_is_acted_on_and_after_the_drivers_own() -> None:
    [path] = FOLDER.glob("*.rules")
    assert "60-gasket-dkms.rules" < path.name < "73-seat-late.rules"


def test_both_usb_ids_and_pci_devices_get_group_and_uaccess() -> None:
    for match in (
        'SUBSYSTEM=="usb", ATTRS{idVendor}=="1a6e", ATTRS{idProduct}=="089a"',
        'SUBSYSTEM=="usb", ATTRS{idVendor}=="18d1", ATTRS{idProduct}=="9302"',
        'SUBSYSTEM=="apex"',
    ):
        given = [line.removeprefix(match) for line in rules() if line.startswith(match)]
        assert any('TAG+="uaccess"' in line for line in given)
        assert ', GROUP="plugdev"' in given


def test_a_group_that_is_not_there_costs_nothing_else() -> None:
    """udev may leave out a whole line for it, so nothing else stands on one with a group."""
    for line in rules():
        if "GROUP=" in line:
            assert re.search(r"MODE=|TAG", line) is None


def test_what_is_said_of_the_file_names_it() -> None:
    [path] = FOLDER.glob("*.rules")
    for name in ("templates/bundle/README.md.j2", "templates/consumer/udev.h", "templates/consumer/advice.h"):
        named = set(re.findall(r"\d\d-coral-edgetpu\.rules", (ROOT / name).read_text()))
        assert named == {path.name}
    assert set(re.findall(r"\d\d-coral-edgetpu\.rules", path.read_text())) == {path.name}
