"""Models that are damaged in one of their layers, for the tests that look for what nobody thought of."""

from __future__ import annotations

from functools import cache

from coralforge.compile.simulator import compile_for_simulator
from coralforge.edgetpu.payload import Payload, write_payload
from coralforge.tflite.model import parse_model
from tests.support.compiled_maker import PLAIN, as_hardware, compiled, two_executables
from tests.support.model_maker import classifier, mixed
from tests.support.mutations import mutated
from tests.support.package_maker import custom_options

KINDS = ("plain", "mapped", "compiled", "simulated", "payload", "package", "options")
REAL = ("keras_lstm_mnist_ptq", "keras_lstm_mnist_ptq_edgetpu", "mobilenet_v1_0.25_128_quant_edgetpu")


def damaged(kind: str, seed: int) -> bytes:
    """A model that is damaged in one of its layers; those within a checksum are damaged before it is made."""
    if kind == "payload":
        return compiled(write_payload(Payload(mutated(classifier(), seed))))
    if kind == "package":
        return compiled(custom_options(mutated(two_executables(), seed)))
    if kind == "options":
        return compiled(mutated(custom_options(two_executables()), seed))
    return mutated(made(kind), seed)


@cache
def made(kind: str) -> bytes:
    if kind == "compiled":
        return as_hardware(mixed())
    if kind == "simulated":
        return compile_for_simulator(parse_model(PLAIN, mixed())).data
    return classifier() if kind == "mapped" else mixed()
