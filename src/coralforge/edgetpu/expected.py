"""How long an inference of a compiled model should take on hardware, by how the Edge TPU is connected.

It is the estimate of ``estimate.py``, with the sizes that stand in the compiled file in the place of those that had
to be guessed. docs/inspect.md says how far off it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from coralforge.edgetpu.estimate import PCI, USB2, USB3, estimate
from coralforge.edgetpu.package import Executable, Package
from coralforge.edgetpu.partition import partition, suppose
from coralforge.tflite.graph import Graph

_RATES = {"usb3": USB3, "usb2": USB2, "pci": PCI}


def expected_ms(plain: Graph, packages: Iterable[Package]) -> dict[str, float]:
    """Milliseconds, by the connections that ``benchmark --expect`` knows; nothing where it is not known.

    It is for a model of which all is on the Edge TPU: the part on the CPU is not in it.
    """
    # All of it is there, whatever the prediction would be.
    guessed = estimate(plain, suppose(plain, partition(plain), range(len(plain.operations))))
    if guessed is None:
        return {}
    each = [one for package in packages for one in package.executables if one.kind != "PARAMETER_CACHING"]
    known = replace(
        guessed,
        streamed=sum(one.parameter_bytes for one in each),
        transfers=sum(_transfers(one) for one in each),
    )
    return {connection: round(known.seconds(rate) * 1e3, 2) for connection, rate in _RATES.items()}


def _transfers(one: Executable) -> int:
    return one.instruction_bytes + sum(layer.size for layer in (*one.inputs, *one.outputs))
