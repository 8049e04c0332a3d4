"""Models that are damaged in one of their layers, for the tests that look for what nobody thought of."""

from __future__ import annotations

from functools import cache

from coralforge.compile.simulator import compile_for_simulator
from coralforge.edgetpu.payload import Payload, write_payload
from coralforge.tflite.model import parse_model
from tests.support import foreign_files
from tests.support.compiled_maker import PLAIN, as_hardware, compiled, two_executables
from tests.support.metadata_maker import AXIS_LABELS, about, described, metadata, with_files
from tests.support.model_maker import classifier, mixed
from tests.support.mutations import mutated
from tests.support.package_maker import custom_options

KINDS = ("plain", "mapped", "compiled", "simulated", "payload", "package", "options")
STATED = ("described", "metadata", "appended", "ultralytics")
"""Models that say something of themselves, damaged as a whole or just there."""
FOREIGN = tuple(foreign_files.files())
"""Files of other kinds, by name."""
REAL = ("keras_lstm_mnist_ptq", "keras_lstm_mnist_ptq_edgetpu", "mobilenet_v1_0.25_128_quant_edgetpu")


def damaged(kind: str, seed: int) -> bytes:
    """A model that is damaged in one of its layers; those within a checksum are damaged before it is made."""
    if kind == "payload":
        return compiled(write_payload(Payload(mutated(classifier(), seed))))
    if kind == "package":
        return compiled(custom_options(mutated(two_executables(), seed)))
    if kind == "options":
        return compiled(mutated(custom_options(two_executables()), seed))
    if kind == "metadata":
        return described(classifier(), mutated(_said(), seed), {"labels.txt": foreign_files.LABELS})
    if kind == "appended":
        return classifier() + mutated(with_files(classifier(), {"labels.txt": foreign_files.LABELS}), seed)[-200:]
    if kind == "ultralytics":
        return with_files(classifier(), {"temp_meta.txt": mutated(_YOLO, seed)})
    if kind in FOREIGN:
        return mutated(foreign_files.files()[kind], seed)
    return mutated(made(kind), seed)


_YOLO = repr({"description": "YOLO", "task": "detect", "names": {0: "person", 1: "car"}}).encode()


def _said() -> bytes:
    inputs = [about("image", content=(2, 1), mean=[127.5], std=[127.5])]
    return metadata("Animals", inputs, [about("scores", files=[("labels.txt", AXIS_LABELS, "")], calibrated=True)])


@cache
def made(kind: str) -> bytes:
    if kind == "compiled":
        return as_hardware(mixed())
    if kind == "described":
        return described(classifier(), _said(), {"labels.txt": foreign_files.LABELS})
    if kind == "simulated":
        return compile_for_simulator(parse_model(PLAIN, mixed())).data
    return classifier() if kind == "mapped" else mixed()
