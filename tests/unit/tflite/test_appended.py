"""Labels behind a model: TensorFlow Lite's metadata tools append a zip archive, and it stays whole."""

from __future__ import annotations

import io
import random
import zipfile
from pathlib import Path

import pytest

from coralforge.compile.simulator import compile_for_simulator
from coralforge.tflite.appended import archive_in, with_archive
from coralforge.tflite.model import parse_model
from tests.support.model_maker import X, classifier

FILES = {"labels.txt": b"cat\ndog\n", "more/normalization.json": b"{}" * 50}


def labelled(model: bytes) -> bytes:
    """What TensorFlow Lite's MetadataPopulator does: Python's zipfile in append mode."""
    stream = io.BytesIO(model)
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_DEFLATED) as archive:
        for name, data in FILES.items():
            archive.writestr(name, data)
        archive.comment = b"made by a test"
    return stream.getvalue()


def files_of(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_archive_moves_to_another_model() -> None:
    archive = archive_in(labelled(classifier()))
    for other in (b"x" * 9, b"longer" * 10_000):
        moved = with_archive(other, archive)
        assert moved.startswith(other)
        assert files_of(moved) == FILES
        first = zipfile.ZipFile(io.BytesIO(moved)).infolist()[0]
        assert moved[first.header_offset :].startswith(b"PK\3\4")


def test_a_model_without_one_stays_as_it_is() -> None:
    assert archive_in(classifier()) == b""
    assert with_archive(classifier(), b"") == classifier()


def test_a_compiler_that_keeps_it_is_not_given_a_second_one() -> None:
    done = labelled(classifier())
    assert with_archive(done, archive_in(done)) == done


def test_compiling_for_the_simulator_keeps_it() -> None:
    model = parse_model(X, labelled(classifier()))
    made = compile_for_simulator(model).data
    assert files_of(made) == FILES
    assert parse_model(Path("made.tflite"), made).graph.operations


@pytest.mark.parametrize("seed", range(300))
def test_damaged_archives_are_none_or_whole(seed: int) -> None:
    chance = random.Random(seed)
    data = bytearray(labelled(b"model" * 10))
    for _ in range(chance.randint(1, 4)):
        data[chance.randrange(50, len(data))] = chance.randrange(256)
    cut = bytes(data[: chance.randint(0, len(data))] if chance.random() < 0.3 else data)
    archive = archive_in(cut)
    assert cut.endswith(archive)
    assert with_archive(b"other model", archive).startswith(b"other model")
