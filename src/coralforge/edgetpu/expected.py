"""How long one inference of a compiled model should take on real hardware, by how the Edge TPU is connected.

Two parts: what goes over the wire for each inference, which stands in the compiled file, at the rate of the
connection; and the rest, which is a constant. docs/device.md says where the numbers are from and how far off they
are. It is for small models that run on the Edge TPU as a whole: how long the chip itself computes is not known.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from coralforge.edgetpu.package import Package


class Connection(str, Enum):
    """How an Edge TPU is connected, by the names of ``benchmark --expect``."""

    USB3 = "usb3"
    USB2 = "usb2"
    PCI = "pci"


RATES = {Connection.USB3: 420.0, Connection.USB2: 38.0, Connection.PCI: 350.0}
"""Megabytes a second."""
REST = 1.8
"""Milliseconds for everything else: of the 2.4 that coral.ai publishes for MobileNet v1 224, 0.57 are transfers."""


def bytes_per_inference(package: Package) -> int:
    """Bytes that are sent and received each time, once the parameters that stay on the chip are there."""
    return sum(
        one.instruction_bytes + one.parameter_bytes + sum(layer.size for layer in (*one.inputs, *one.outputs))
        for one in package.executables
        if one.kind != "PARAMETER_CACHING"
    )


def expected_ms(packages: Iterable[Package]) -> dict[Connection, float]:
    """Milliseconds per inference of a model with these programs, by connection."""
    sent = sum(bytes_per_inference(package) for package in packages)
    return {connection: round(sent / rate / 1e3 + REST, 2) for connection, rate in RATES.items()}
