"""Trees that stand for a system's /sys, /dev, /proc, /etc and /boot: one for each thing that lstpu can diagnose.

They are read by the programs of a bundle in the place of the root folder (CORAL_TEST_ROOT). Names and contents of
files are those of Linux; only nodes are ordinary files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

USB = "sys/bus/usb/devices"
NODE = "dev/bus/usb/002/004"
STICK = f"/{USB}/2-1"
KERNEL = "6.6.30+rpt-rpi-v8"
PI5 = "Raspberry Pi 5 Model B Rev 1.0\0"
DBUS = "0000:01:00.0"

Files = Mapping[str, str]


def text(entries: Mapping[str, object], folder: str) -> dict[str, str]:
    """Files of a folder of /sys, each with one line."""
    return {f"{folder}/{name}": f"{value}\n" for name, value in entries.items()}


def controllers(*speeds: int) -> dict[str, str]:
    """Root hubs, one for each speed in Mbit/s."""
    return {f"{USB}/usb{i}/speed": f"{speed}\n" for i, speed in enumerate(speeds, 1)}


def stick(firmware: bool = True, speed: int = 5000, name: str = "2-1", **more: object) -> dict[str, str]:
    """An accelerator on bus 2 as device 4; ``more`` are files of its port."""
    vendor, product = ("18d1", "9302") if firmware else ("1a6e", "089a")
    about = {"idVendor": vendor, "idProduct": product, "busnum": 2, "devnum": 4, "speed": speed}
    port = text(more, f"{USB}/{name}/port")
    return text(about, f"{USB}/{name}") | port | controllers(480, 5000)


def hub(version: str, attributes: str) -> dict[str, str]:
    """A hub at port 1 of bus 2."""
    return text({"product": "USB2.0 Hub", "version": f" {version}", "bmAttributes": attributes}, f"{USB}/2-1")


def card(driver: str = "", apex: str = "", address: str = DBUS, **more: object) -> Tree:
    """A PCI Edge TPU, with what its driver says of it."""
    folder = f"sys/bus/pci/devices/{address}"
    files = text({"vendor": "0x1ac1", "device": "0x089a"}, folder) | controllers(480, 5000)
    links = {f"{folder}/driver": f"../../drivers/{driver}"} if driver else {}
    if apex:
        files |= text({"status": "ALIVE"} | more, f"sys/class/apex/{apex}")
        links[f"sys/class/apex/{apex}/device"] = f"../../../{address}"
    return Tree(files, links)


@dataclass(frozen=True)
class Tree:
    """Files with their text, links with where they lead, and the mode of the node (None: there is no node)."""

    files: Files
    links: Mapping[str, str] = field(default_factory=dict)
    node: str = NODE
    mode: int | None = None

    def __or__(self, more: Files) -> Tree:
        return Tree(dict(self.files) | dict(more), self.links, self.node, self.mode)

    def write(self, root: Path) -> None:
        """Make it below ``root``."""
        for name, content in self.files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        for name, target in self.links.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).symlink_to(target)
        if self.mode is not None:
            (root / self.node).parent.mkdir(parents=True, exist_ok=True)
            (root / self.node).touch()
            (root / self.node).chmod(self.mode)


def usb(files: Files, mode: int | None = 0o666) -> Tree:
    return Tree(files, mode=mode)


def apex(tree: Tree, mode: int | None = 0o666) -> Tree:
    return Tree(tree.files, tree.links, "dev/apex_0", mode)


RULES = "etc/udev/rules.d"
BOTH = 'ATTRS{idVendor}=="1a6e", GROUP="plugdev"\nATTRS{idVendor}=="18d1", GROUP="plugdev"\n'
ONE = '# 18d1:9302 too?\nATTRS{idVendor}=="1a6e", ATTRS{idProduct}=="089a", GROUP="plugdev"\n'
PHONES = 'ATTR{idVendor}=="18d1", MODE="0666"\n'
UDEV = {"run/udev/control": "", "proc/self/comm": "lstpu\n"}
DOCKER = {".dockerenv": ""}
PODMAN = {"run/.containerenv": ""}
LXC = {"proc/self/cgroup": "11:devices:/lxc/101/ns\n"}
LXCFS = {"proc/self/mounts": "proc /proc proc rw 0 0\nlxcfs /proc/cpuinfo fuse.lxcfs rw 0 0\n"}
LXC_HOST = {"proc/self/mounts": "proc /proc proc rw 0 0\nlxcfs /var/lib/lxcfs fuse.lxcfs rw 0 0\n"}
NSPAWN = {"run/systemd/container": "systemd-nspawn\n"}
PODS = {"proc/1/cgroup": "0::/kubepods/besteffort/pod1\n"}
PI = {"proc/device-tree/model": PI5, "boot/firmware/config.txt": "dtparam=audio=on\n#dtparam=pciex1\n"}
PI_ON = PI | {"boot/firmware/config.txt": "[all]\ndtparam=pciex1\n"}
MODULE = {
    "proc/sys/kernel/osrelease": f"{KERNEL}\n",
    f"lib/modules/{KERNEL}/modules.dep": "kernel/drivers/a.ko:\nupdates/dkms/apex.ko.xz: updates/dkms/gasket.ko.xz\n",
}
LOADED = {"sys/module/apex/refcnt": "0\n"}


@dataclass(frozen=True)
class Case:
    """The diagnosis that a tree has to get: the first finding's id and code, and words of its cause or action."""

    id: str
    code: int
    tree: Tree
    words: tuple[str, ...] = ()
    listed: bool = True
    """Whether libedgetpu lists the stick."""
    also: tuple[str, ...] = ()
    """Other findings."""


def at_rest(id: str, tree: Tree, *words: str) -> Case:
    """A finding that keeps nobody from using the device."""
    return Case(id, 0, tree, words)


def cases() -> dict[str, Case]:
    """By name; the device of each is one that nothing but the case's cause keeps from being used."""
    sys = controllers(480, 5000)
    forbidden = usb(stick(), 0)
    return {
        "no-sysfs": Case("no-sysfs", 4, usb({"proc/self/comm": "x"}, None), ("mount -t sysfs",), listed=False),
        "none": Case("none", 4, usb(sys, None), ("1a6e:089a", "18d1:9302", "1ac1:089a"), listed=False),
        "none-pi5": Case("none", 4, usb(sys | PI, None), listed=False, also=("pi5-pcie-off",)),
        "none-pi5-on": Case("none", 4, usb(sys | PI_ON, None), listed=False),
        "no-usb": Case("no-usb-host", 4, usb({"sys/bus/pci/x": ""}, None), ("xHCI",), listed=False),
        "none-docker": Case("none-in-container", 4, usb(sys | DOCKER, None), ("docker", "189"), listed=False),
        "none-lxc": Case("none-in-container", 4, usb(sys | LXC, None), ("lxc.cgroup2.devices.allow",), listed=False),
        "none-lxcfs": Case("none-in-container", 4, usb(sys | LXCFS, None), ("lxc.mount.entry",), listed=False),
        "none-lxc-host": Case("none", 4, usb(sys | LXC_HOST, None), listed=False),
        "none-podman": Case("none-in-container", 4, usb(sys | PODMAN, None), ("keep-groups",), listed=False),
        "none-nspawn": Case("none-in-container", 4, usb(sys | NSPAWN, None), ("--bind=/dev/bus/usb",), listed=False),
        "none-pods": Case("none-in-container", 4, usb(sys | PODS, None), ("privileged",), listed=False),
        "no-node": Case("usb-no-node", 6, usb(stick(), None), ("/002/004", "devtmpfs")),
        "no-node-docker": Case(
            "usb-no-node-container", 6, usb(stick() | DOCKER, None),
            ("-v /dev/bus/usb:/dev/bus/usb", "--device-cgroup-rule='c 189:* rmw'", "another node with its firmware"),
        ),
        "no-node-lxc": Case(
            "usb-no-node-container", 6, usb(stick() | LXC, None),
            ("lxc.cgroup2.devices.allow: c 189:* rwm", "lxc.mount.entry: /dev/bus/usb dev/bus/usb none bind"),
        ),
        "unlisted": Case("usb-unlisted", 4, usb(stick()), ("2-1",), listed=False),
        "unlisted-no-node": Case("usb-no-node", 6, usb(stick(), None), ("2-1",), listed=False),
        "rules-missing": Case(
            "rules-missing", 6, forbidden | UDEV | {f"{RULES}/51-android.rules": PHONES},
            ("mode 0000", "70-coral-edgetpu.rules", "udevadm trigger", "usermod -aG plugdev"),
        ),
        "rules-one-id": Case("rules-one-id", 6, forbidden | UDEV | {f"{RULES}/99-my.rules": ONE}, ("99-my.rules",)),
        "rules-not-applied": Case(
            "rules-not-applied", 6, forbidden | UDEV | {"usr/lib/udev/rules.d/60-libedgetpu1-std.rules": BOTH},
            ("60-libedgetpu1-std.rules", "unplug it"),
        ),
        "no-udev": Case("no-udev", 6, forbidden | {"proc/self/comm": "x"}, ("chgrp plugdev", "chmod 664")),
        "container-rules": Case("container-rules", 6, forbidden | DOCKER, ("on the host",)),
        "usb-lost": Case("usb-lost", 8, Tree(stick(), {NODE: "004"}), ("cable", "power supply")),
        "vfio": Case("pci-vfio", 4, card("vfio-pci"), (DBUS, "virtual machine"), listed=False),
        "other-driver": Case("pci-other-driver", 4, card("uio_pci"), ("drivers/uio_pci/unbind",), listed=False),
        "no-module": Case("pci-no-module", 4, card(), ("gasket-dkms",), listed=False),
        "not-loaded": Case("pci-not-loaded", 4, card() | MODULE, ("modprobe apex",), listed=False),
        "probe-failed": Case("pci-probe", 4, card() | LOADED, ("MSI-X", "dmesg"), listed=False),
        "pi5-msi": Case(
            "pi5-msi", 4, card() | LOADED | PI_ON,
            ("kernel=kernel8.img", "dtoverlay=pineboards-hat-ai", "/boot/firmware/config.txt"), listed=False,
        ),
        "apex-no-node": Case("pci-no-node", 6, card("apex", "apex_0"), ("/dev/apex_0",), listed=False),
        "apex-docker": Case(
            "pci-no-node-container", 6, card("apex", "apex_0") | DOCKER, ("--device /dev/apex_0",), listed=False,
        ),
        "apex-lxc": Case(
            "pci-no-node-container", 6,
            card("apex", "apex_0") | LXC | {"proc/devices": "Character devices:\n  1 mem\n508 apex\n"},
            ("devices.allow: c 508:* rwm", "/dev/apex_0 dev/apex_0 none bind,optional,create=file"), listed=False,
        ),
        "apex-forbidden": Case(
            "rules-missing", 6, apex(card("apex", "apex_0"), 0) | UDEV | {f"{RULES}/60.rules": BOTH},
            ("pci apex_0", "70-coral-edgetpu.rules"), listed=False,
        ),
        "apex-rules": Case(
            "rules-not-applied", 6,
            apex(card("apex", "apex_0"), 0) | UDEV | {f"{RULES}/65-apex.rules": 'SUBSYSTEM=="apex", GROUP="apex"\n'},
            ("65-apex.rules",), listed=False,
        ),
        "apex-dead": Case(
            "pci-lost", 8, apex(card("apex", "apex_0", status="DEAD")), ("DEAD", "dmesg | grep apex"), listed=False
        ),
        "pi5-pages": Case(
            "pi5-pages", 5, apex(card("apex", "apex_0")) | PI_ON | {"proc/self/smaps": "KernelPageSize:   16 kB\n"},
            ("16 KiB", "kernel=kernel8.img"), listed=False,
        ),
        "firmware": at_rest("firmware", usb(stick(firmware=False)), "1a6e:089a", "cable"),
        "over-current": at_rest("over-current", usb(stick(over_current_count=3)), "3 times"),
        "undervoltage": at_rest(
            "undervoltage",
            usb(stick() | text({"name": "rpi_volt", "in0_lcrit_alarm": 1}, "sys/class/hwmon/hwmon1")),
            "power supply",
        ),
        "bus-power": at_rest("bus-power", usb(stick(name="2-1.4") | hub("2.10", "a0")), "USB2.0 Hub", "2-1.4"),
        "slow": at_rest("usb-slow", usb(stick(speed=480)), "USB 2 (480 Mbit/s)", "cable"),
        "slowest": at_rest("usb-slow", usb(stick(speed=12)), "USB 1 (12 Mbit/s)"),
        "slow-hub": at_rest("usb-slow-hub", usb(stick(speed=480, name="2-1.4") | hub("2.00", "e0")), "USB2.0 Hub"),
        "slow-hub-lpm": at_rest("usb-slow-hub", usb(stick(speed=480, name="2-1.4") | hub("2.01", "e0")), "USB2.0"),
        "slow-usb3-hub": at_rest("usb-slow", usb(stick(speed=480, name="2-1.4") | hub("2.10", "e0")), "cable"),
        "slow-board": at_rest("usb-slow-board", usb(stick(speed=480) | controllers(480, 480)), "no USB 3"),
        "hot": at_rest(
            "pci-hot", apex(card("apex", "apex_0", temp=91100, trip_point0_temp=84800)), "91 degrees", "85"
        ),
        "one-of-two": at_rest("pci-one-of-two", apex(card("apex", "apex_0", temp=50000)), "two PCIe x1 buses"),
    }  # fmt: skip
