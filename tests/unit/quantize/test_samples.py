"""Samples: what is taken, how it is scaled, and that any bytes are samples or one clear error."""

from __future__ import annotations

import io
import math
import struct
import sys
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from coralforge.errors import CoralforgeError, ExitCode
from coralforge.quantize.worker.pictures import find_pictures, read_picture
from coralforge.quantize.worker.preprocess import NAMES, RAW, Preprocess, parse
from coralforge.quantize.worker.request import Request
from coralforge.quantize.worker.sample_sources import open_samples
from coralforge.quantize.worker.samples import Feed, Input, Samples, choose, split

IMAGE = (Input("image", (1, 4, 6, 3), "float32"),)
TWO = (Input("a", (1, 3), "float32"), Input("b", (1, 2), "int32"))
CASES = 2000


def feeds(text: str, inputs: tuple[Input, ...] = IMAGE, scaling: Preprocess | None = RAW, **more: Any) -> list[Feed]:
    """All samples that a text of ``--samples`` gives."""
    chosen = bound(text, inputs, scaling, **more)
    return [chosen.load(i) for i in range(chosen.count)]


def bound(text: str, inputs: tuple[Input, ...] = IMAGE, scaling: Preprocess | None = RAW, **more: Any) -> Samples:
    return open_samples(Request("m", "s", text, **more)).bind(inputs, scaling)


def refused(call: Callable[[], object], reason: str) -> str:
    """The text of the error that a call ends with."""
    with pytest.raises(CoralforgeError) as raised:
        call()
    assert (raised.value.reason, raised.value.code) == (reason, ExitCode.USER)
    return str(raised.value)


@contextmanager
def memory_below(limit: float) -> Iterator[None]:
    """What Python allocates meanwhile, at its peak, is less than ``limit`` bytes."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < limit
    finally:
        tracemalloc.stop()


class TestChoice:
    """Deterministic, spread over all there is, a fifth held out."""

    def test_it_is_a_shuffled_part_evenly_spread(self) -> None:
        chosen = choose(1000, 10)
        assert sorted(chosen) == list(range(0, 1000, 100))
        assert chosen != sorted(chosen)
        assert chosen == choose(1000, 10)

    def test_few_are_all_taken(self) -> None:
        assert sorted(choose(7, 500)) == list(range(7))

    @pytest.mark.parametrize(("count", "held_out"), [(1, 0), (2, 1), (4, 1), (5, 1), (10, 2), (99, 19), (500, 100)])
    def test_a_fifth_is_held_out(self, count: int, held_out: int) -> None:
        calibrated, held = split(count)
        assert len(held) == held_out
        assert sorted(calibrated + held) == list(range(count))
        assert calibrated


class TestPreprocess:
    """What a pixel becomes."""

    @pytest.mark.parametrize(
        ("text", "black", "white"),
        [
            ("raw", [0, 0, 0], [255, 255, 255]),
            ("none", [0, 0, 0], [255, 255, 255]),
            ("0..1", [0, 0, 0], [1, 1, 1]),
            ("-1..1", [-1, -1, -1], [1, 1, 1]),
            ("torch", [-2.1179, -2.0357, -1.8044], [2.2489, 2.4286, 2.64]),
            ("caffe", [-103.939, -116.779, -123.68], [151.061, 138.221, 131.32]),
            ("mean=10,std=2.5", [-4, -4, -4], [98, 98, 98]),
            ("mean=0:10:20,std=1:2:4", [0, -5, -5], [255, 122.5, 58.75]),
            ("mean=0,std=1:2:4", [0, 0, 0], [255, 127.5, 63.75]),
        ],
    )
    def test_values(self, text: str, black: list[float], white: list[float]) -> None:
        scaling = parse(text)
        assert scaling is not None
        pixels = np.array([[[0, 0, 0], [255, 255, 255]]], np.uint8)
        np.testing.assert_allclose(scaling.apply(pixels)[0], [black, white], atol=1e-4)
        assert scaling.apply(pixels).dtype == np.float32

    def test_caffe_turns_the_channels(self) -> None:
        scaling = parse("caffe")
        assert scaling is not None
        red = scaling.apply(np.array([255, 0, 0], np.uint8))
        np.testing.assert_allclose(red, [-103.939, -116.779, 131.32], atol=1e-3)

    @pytest.mark.parametrize("text", ["", "0-1", "mean=1", "mean=1,std=0", "mean=1:2,std=1:2:3", "mean=-1,std=1"])
    def test_what_is_unknown_is_named(self, text: str) -> None:
        message = refused(lambda: parse(text), "preprocess-unknown")
        assert all(name in message for name in NAMES)


class TestPictures:
    """A folder of images of any size, kind and depth of folders."""

    def save(
        self, path: Path, size: tuple[int, int] = (30, 20), colour: object = (200, 100, 50), mode: str = "RGB"
    ) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new(mode, size, colour).save(path)  # type: ignore[arg-type]
        return path

    def test_they_are_found_below_and_scaled(self, tmp_path: Path) -> None:
        for name in ("a.png", "cats/b.JPG", "cats/old/c.bmp", "d.gif", "e.webp", "f.tiff", "g.ppm"):
            self.save(tmp_path / name)
        for other in ("readme.txt", "._a.png", "cats/labels.csv"):
            (tmp_path / other).write_text("not an image")
        found = feeds(str(tmp_path), scaling=parse("0..1"))
        assert len(found) == 7
        for feed in found:
            assert feed["image"].shape == (1, 4, 6, 3)
            np.testing.assert_allclose(feed["image"][0, 0, 0], [200 / 255, 100 / 255, 50 / 255], atol=0.02)

    def test_no_more_than_wanted_are_read(self, tmp_path: Path) -> None:
        for number in range(10):
            self.save(tmp_path / f"{number}.png")
        bound = open_samples(Request("m", "s", str(tmp_path), max_samples=4)).bind(IMAGE, RAW)
        assert (bound.count, bound.available) == (4, 10)

    @pytest.mark.parametrize(
        ("mode", "colour", "channels", "expected"),
        [
            ("L", 90, 3, [90, 90, 90]),
            ("RGB", (255, 0, 0), 1, [76]),
            ("RGBA", (9, 8, 7, 0), 3, [9, 8, 7]),
            ("P", 0, 3, [0, 0, 0]),
            ("1", 1, 1, [255]),
            ("RGB", (9, 8, 7), 4, [9, 8, 7, 255]),
        ],
    )
    def test_colours(self, tmp_path: Path, mode: str, colour: object, channels: int, expected: list[int]) -> None:
        path = self.save(tmp_path / "x.png", colour=colour, mode=mode)
        assert read_picture(path, 2, 2, channels)[0, 0].tolist() == expected

    def test_a_photo_taken_sideways_is_put_upright(self, tmp_path: Path) -> None:
        image = Image.new("RGB", (40, 20), (0, 0, 0))
        image.paste((255, 255, 255), (0, 0, 20, 20))
        exif = Image.Exif()
        exif[0x0112] = 6  # turn by 90 degrees
        image.save(tmp_path / "x.png", exif=exif)
        pixels = read_picture(tmp_path / "x.png", 4, 2, 1)
        assert (pixels[0, 0, 0], pixels[3, 0, 0]) == (255, 0)

    def test_what_is_no_image_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "x.png").write_text("not an image")
        assert "x.png is not an image" in refused(lambda: feeds(str(tmp_path)), "samples-invalid")

    def test_a_format_that_runs_programs_is_no_image(self, tmp_path: Path) -> None:
        (tmp_path / "x.png").write_bytes(
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
        )
        refused(lambda: feeds(str(tmp_path)), "samples-invalid")

    def test_more_than_8_bits_are_refused(self, tmp_path: Path) -> None:
        self.save(tmp_path / "x.png", mode="I;16", colour=4000)
        assert "more than 8 bits" in refused(lambda: feeds(str(tmp_path)), "samples-invalid")

    def test_a_bomb_is_refused_by_its_head(self, tmp_path: Path) -> None:
        head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
        chunk = struct.pack(">I", 13) + b"IHDR" + head + struct.pack(">I", zlib.crc32(b"IHDR" + head))
        (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + b"\0\0\0\0IDAT")
        with memory_below(10e6):
            assert "3600000000 pixels" in refused(lambda: feeds(str(tmp_path)), "samples-too-large")

    def test_without_a_known_scaling_none_is_guessed(self, tmp_path: Path) -> None:
        self.save(tmp_path / "x.png")
        assert "--preprocess" in refused(lambda: feeds(str(tmp_path), scaling=None), "preprocess-missing")

    @pytest.mark.parametrize(
        "inputs", [TWO, (Input("x", (1, 10), "float32"),), (Input("x", (1, 4, 4, 7), "float32"),)]
    )
    def test_they_are_for_models_that_take_images(self, tmp_path: Path, inputs: tuple[Input, ...]) -> None:
        self.save(tmp_path / "x.png")
        refused(lambda: feeds(str(tmp_path), inputs), "samples-mismatch")

    @pytest.mark.parametrize("name", ["torch", "caffe"])
    def test_a_scaling_for_three_channels_is_for_no_other(self, tmp_path: Path, name: str) -> None:
        self.save(tmp_path / "x.png")
        gray = (Input("x", (1, 4, 4, 1), "float32"),)
        refused(lambda: feeds(str(tmp_path), gray, parse(name)), "samples-mismatch")

    def test_a_folder_without_images(self, tmp_path: Path) -> None:
        assert "no images" in refused(lambda: find_pictures(tmp_path, 5), "samples-missing")


class TestArrays:
    """.npz and .npy: the first axis is the samples."""

    def test_an_npy_is_for_a_model_with_one_input(self, tmp_path: Path) -> None:
        data = np.arange(5 * 72, dtype=np.float64).reshape(5, 4, 6, 3)
        np.save(tmp_path / "x.npy", data)
        found = feeds(str(tmp_path / "x.npy"))
        assert {feed["image"].dtype.name for feed in found} == {"float32"}
        assert sorted(feed["image"][0, 0, 0, 0] for feed in found) == [0, 72, 144, 216, 288]

    @pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
    def test_an_npz_goes_by_names(self, tmp_path: Path, save: Callable[..., None]) -> None:
        save(tmp_path / "x.npz", b=np.arange(8).reshape(4, 2), a=np.ones((4, 3), np.float16), labels=np.zeros(4))
        found = feeds(str(tmp_path / "x.npz"), TWO)
        assert len(found) == 4
        assert [feed["b"].dtype.name for feed in found] == ["int32"] * 4

    def test_only_chosen_rows_take_memory(self, tmp_path: Path) -> None:
        np.savez_compressed(tmp_path / "x.npz", x=np.zeros((4000, 100, 100), np.float32))
        with memory_below(30e6):  # the array has 160 MB
            found = feeds(str(tmp_path / "x.npz"), (Input("x", (1, 100, 100), "float32"),), max_samples=10)
        assert len(found) == 10

    def test_memory_does_not_grow_with_the_number_of_samples(self, tmp_path: Path) -> None:
        """160 MB of samples, all of them chosen: as an array, and from a function."""
        np.savez_compressed(tmp_path / "x.npz", x=np.zeros((4000, 100, 100), np.float32))
        (tmp_path / "made.py").write_text(
            "import numpy as np\ndef give():\n    for i in range(4000):\n        yield np.full((100, 100), i, 'f4')\n"
        )
        inputs = (Input("x", (1, 100, 100), "float32"),)
        for text in (str(tmp_path / "x.npz"), f"{tmp_path / 'made.py'}:give"):
            with memory_below(30e6):
                chosen = bound(text, inputs, max_samples=4000)
                assert chosen.count == 4000
                seen = {float(chosen.load(index)["x"].max()) for index in range(4000)}
            assert len(seen) == (1 if text.endswith("npz") else 4000)

    def test_a_batch_of_one_may_stand_in_each_sample(self, tmp_path: Path) -> None:
        np.save(tmp_path / "x.npy", np.zeros((3, 1, 4, 6, 3), np.float32))
        assert len(feeds(str(tmp_path / "x.npy"))) == 3

    def test_pixels_need_a_scaling(self, tmp_path: Path) -> None:
        np.save(tmp_path / "x.npy", np.full((2, 4, 6, 3), 255, np.uint8))
        path = str(tmp_path / "x.npy")
        refused(lambda: feeds(path, scaling=None), "preprocess-missing")
        assert feeds(path, scaling=parse("0..1"))[0]["image"].max() == 1

    def test_floats_are_taken_as_they_are(self, tmp_path: Path) -> None:
        np.save(tmp_path / "x.npy", np.full((2, 4, 6, 3), 0.5, np.float32))
        assert feeds(str(tmp_path / "x.npy"), scaling=None)[0]["image"].max() == 0.5

    @pytest.mark.parametrize(
        ("array", "reason", "said"),
        [
            (np.array([{}] * 3), "samples-invalid", "a pickle"),
            (np.array(["a", "b"]), "samples-invalid", "no numbers"),
            (np.zeros(3, [("a", "f4")]), "samples-invalid", "no numbers"),
            (np.zeros((3, 4, 6, 3), np.complex64), "samples-invalid", "no numbers"),
            (np.asfortranarray(np.zeros((3, 4, 6, 3))), "samples-invalid", "Fortran"),
            (np.zeros((0, 4, 6, 3)), "samples-missing", "no samples"),
            (np.float64(3), "samples-missing", "no samples"),
            (np.zeros((3, 6, 4, 3)), "samples-mismatch", "6x4x3"),
            (np.full((3, 4, 6, 3), math.nan), "samples-invalid", "not finite"),
            (np.full((3, 4, 6, 3), 1e300), "samples-invalid", "too large for float32"),
        ],
    )
    def test_what_is_refused(self, tmp_path: Path, array: Any, reason: str, said: str) -> None:
        np.save(tmp_path / "x.npy", array, allow_pickle=True)
        assert said in refused(lambda: feeds(str(tmp_path / "x.npy")), reason)

    def test_integers_have_to_fit(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "x.npz", a=np.zeros((2, 3)), b=np.array([[1, 2], [1 << 40, 0]]))
        assert "cannot hold" in refused(lambda: feeds(str(tmp_path / "x.npz"), TWO), "samples-mismatch")

    def test_names_have_to_be_those_of_the_inputs(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "x.npz", a=np.zeros((2, 3)), c=np.zeros((2, 2)))
        assert "the arrays a, c; the model's inputs: a, b" in refused(
            lambda: feeds(str(tmp_path / "x.npz"), TWO), "samples-mismatch"
        )

    def test_all_arrays_have_as_many_samples(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "x.npz", a=np.zeros((2, 3)), b=np.zeros((3, 2)))
        assert "a: 2, b: 3" in refused(lambda: feeds(str(tmp_path / "x.npz"), TWO), "samples-mismatch")

    @pytest.mark.parametrize("shape", ["(1 << 40, 4)", "(9, 999999999, 9)", "(2, 268435457)"])
    def test_sizes_that_are_only_declared(self, tmp_path: Path, shape: str) -> None:
        head = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape.replace('1 << 40', str(1 << 40))}, }}"
        text = head.ljust(118 - 1) + "\n"
        (tmp_path / "x.npy").write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode())
        assert "declares the shape" in refused(lambda: feeds(str(tmp_path / "x.npy")), "samples-too-large")

    def test_one_that_ends_early(self, tmp_path: Path) -> None:
        np.save(tmp_path / "x.npy", np.zeros((9, 4, 6, 3), np.float32))
        path = tmp_path / "x.npy"
        path.write_bytes(path.read_bytes()[:-1])
        assert "ends early" in refused(lambda: feeds(str(path)), "samples-invalid")

    def test_an_archive_without_arrays(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
            archive.writestr("readme", "")
        refused(lambda: feeds(str(tmp_path / "x.npz")), "samples-missing")


class TestFunctions:
    """The user's own code."""

    @pytest.fixture(autouse=True)
    def modules(self) -> Iterator[None]:
        before, path = set(sys.modules), list(sys.path)
        yield
        sys.path[:] = path
        for name in set(sys.modules) - before:
            if name.startswith("mine"):
                del sys.modules[name]

    def write(self, folder: Path, body: str, name: str = "mine") -> Path:
        path = folder / f"{name}.py"
        path.write_text(f"import numpy as np\ndef samples():\n    {body}\n")
        return path

    def test_by_file_or_by_module(self, tmp_path: Path) -> None:
        self.write(tmp_path, "return (np.full((4, 6, 3), i) for i in range(7))")
        for text in ("mine.py:samples", "mine:samples"):
            found = feeds(text, folder=str(tmp_path))
            assert sorted(feed["image"][0, 0, 0, 0] for feed in found) == list(range(7))

    @pytest.mark.parametrize(
        "body",
        [
            "yield {'b': [1, 2], 'a': [1, 2, 3]}",
            "yield [1, 2, 3], [1, 2]",
            "return [[np.ones((1, 3)), np.ones((1, 2))]]",
        ],
    )
    def test_several_inputs(self, tmp_path: Path, body: str) -> None:
        self.write(tmp_path, body)
        [feed] = feeds("mine.py:samples", TWO, folder=str(tmp_path))
        assert feed["b"].shape == (1, 2)

    def test_one_that_never_ends(self, tmp_path: Path) -> None:
        self.write(tmp_path, "while True: yield np.zeros((4, 6, 3))")
        bound = open_samples(Request("m", "s", "mine.py:samples", max_samples=20, folder=str(tmp_path)))
        assert (bound.bind(IMAGE, None).count, bound.bind(IMAGE, None).available) == (20, None)

    @pytest.mark.parametrize(
        ("body", "said"),
        [
            ("raise KeyError('a')", "mine.py:3: KeyError: 'a'"),
            ("raise SystemExit(3)", "mine.py:3: SystemExit: 3"),
            ("yield np.zeros(1) / None", "mine.py:3: TypeError"),
            ("import absent_package", "No module named 'absent_package'"),
            ("return 3", "TypeError"),
            ("+", "SyntaxError"),
        ],
    )
    def test_what_it_raises_is_told_with_its_line(self, tmp_path: Path, body: str, said: str) -> None:
        self.write(tmp_path, body)
        assert said in refused(lambda: feeds("mine.py:samples", folder=str(tmp_path)), "samples-function")

    @pytest.mark.parametrize("text", ["mine.py:other", "mine:other", "mine_absent:samples", "sub/mine.py:samples"])
    def test_what_is_not_there(self, tmp_path: Path, text: str) -> None:
        self.write(tmp_path, "return []")
        refused(lambda: feeds(text, folder=str(tmp_path)), "samples-function")

    @pytest.mark.parametrize(
        ("body", "reason"),
        [
            ("return []", "samples-missing"),
            ("yield np.zeros((4, 6))", "samples-mismatch"),
            ("yield 'text'", "samples-mismatch"),
            ("yield {'other': 1}", "samples-mismatch"),
            ("yield np.full((4, 6, 3), np.inf)", "samples-invalid"),
            ("yield np.zeros((4, 6, 3), np.uint8)", "preprocess-missing"),
        ],
    )
    def test_what_it_gives_is_checked(self, tmp_path: Path, body: str, reason: str) -> None:
        self.write(tmp_path, body)
        refused(lambda: feeds("mine.py:samples", scaling=None, folder=str(tmp_path)), reason)

    def test_a_file_of_the_users_never_stands_in_for_a_package(self, tmp_path: Path) -> None:
        self.write(tmp_path, "return [np.zeros((4, 6, 3))]", "mine")
        (tmp_path / "numpy.py").write_text("raise RuntimeError")
        assert len(feeds("mine:samples", folder=str(tmp_path))) == 1


class TestRandom:
    """For trying out: always the same, in the range that the scaling says."""

    def test_they_are_the_same_every_time(self) -> None:
        for one, other in zip(feeds("", random=3), feeds("", random=3), strict=True):
            np.testing.assert_array_equal(one["image"], other["image"])

    @pytest.mark.parametrize(("scaling", "low", "high"), [(None, 0, 1), (RAW, 0, 255), (parse("-1..1"), -1, 1)])
    def test_their_range(self, scaling: Preprocess | None, low: float, high: float) -> None:
        values = np.concatenate([feed["image"] for feed in feeds("", scaling=scaling, random=50)])
        assert low <= values.min() < low + 0.1 * (high - low)
        assert high - 0.1 * (high - low) < values.max() <= high

    def test_whole_numbers_for_inputs_of_such(self) -> None:
        assert {feed["b"].dtype.name for feed in feeds("", TWO, None, random=3)} == {"int32"}


@pytest.mark.parametrize("text", ["absent", "absent.npz", "a:b:", "c:\\pictures"])
def test_samples_that_are_not_there(text: str, tmp_path: Path) -> None:
    refused(lambda: open_samples(Request("m", "s", text, folder=str(tmp_path))), "samples-missing")


# --- any bytes ---


@cache
def seeds(kind: str) -> bytes:
    """A small valid file."""
    buffer = io.BytesIO()
    array = np.arange(3 * 72, dtype=np.float32).reshape(3, 4, 6, 3)
    if kind == "npy":
        np.save(buffer, array)
    elif kind == "npz":
        np.savez_compressed(buffer, image=array, labels=np.arange(3))
    else:
        Image.new("RGB", (9, 7), (1, 200, 3)).save(buffer, kind)
    return buffer.getvalue()


CHANGES = st.lists(st.tuples(st.integers(0, 999), st.integers(0, 255)), max_size=6)


def mutated(data: bytes, changes: list[tuple[int, int]], cut: int) -> bytes:
    changed = bytearray(data)
    for place, value in changes:
        changed[place * len(data) // 1000] = value
    return bytes(changed[: cut * len(data) // 1000])


def are_told(path: Path, text: Path) -> None:
    """The file gives samples, or one clear error."""
    try:
        feeds(str(text))
    except CoralforgeError as error:
        assert error.code is ExitCode.USER
        assert error.reason.startswith("samples-")
        assert str(path) in error.brief


@pytest.mark.parametrize("kind", ["npy", "npz"])
@settings(max_examples=CASES)
@given(changes=CHANGES, cut=st.integers(0, 1200))
def test_any_arrays_are_samples_or_one_clear_error(
    kind: str, changes: list[tuple[int, int]], cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / f"fuzzed.{kind}"
    path.write_bytes(mutated(seeds(kind), changes, cut))
    are_told(path, path)


@settings(max_examples=CASES)
@given(kind=st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"]), changes=CHANGES, cut=st.integers(0, 1200))
def test_any_picture_is_a_sample_or_one_clear_error(
    kind: str, changes: list[tuple[int, int]], cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp() / "fuzzed-pictures"
    folder.mkdir(exist_ok=True)
    path = folder / "x.png"
    path.write_bytes(mutated(seeds(kind), changes, cut))
    are_told(path, folder)
