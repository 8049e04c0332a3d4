"""What a model file is, is told by its content; any bytes are a model or one clear error."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coralforge.errors import CoralforgeError, ExitCode
from coralforge.quantize.worker import hdf5
from coralforge.quantize.worker.model_config import check_code, unknown_layers
from coralforge.quantize.worker.model_files import Kind, ModelFile, recognise
from tests.conftest import ROOT
from tests.support.keras_maker import lambda_model, layer, plain_model, sequential, write_h5, write_keras
from tests.support.patience import NET

FUZZER = ROOT / "tests/support/h5_fuzzer.py"
CASES = 2000


def refused(path: Path) -> CoralforgeError:
    with pytest.raises(CoralforgeError) as raised:
        recognise(path)
    assert raised.value.code is ExitCode.USER
    assert str(path) in raised.value.brief
    return raised.value


class TestKinds:
    """Names of files say nothing."""

    @pytest.mark.parametrize(("version", "legacy"), [("2.15.0", True), ("3.12.0", False), ("3.0.0.dev2", False)])
    def test_a_keras_archive(self, tmp_path: Path, version: str, legacy: bool) -> None:
        file = recognise(write_keras(tmp_path / "m.h5", version=version))
        assert (file.kind, file.version, file.legacy) == (Kind.KERAS, version, legacy)
        assert file.config == plain_model()

    @pytest.mark.parametrize(
        ("version", "legacy"), [("2.13.1", True), ("2.2.4-tf", True), ("3.4.1", False), (None, True)]
    )
    def test_an_h5_file(self, tmp_path: Path, version: str | None, legacy: bool) -> None:
        file = recognise(write_h5(tmp_path / "m.keras", version=version))
        assert (file.kind, file.legacy) == (Kind.H5, legacy)

    def test_texts_of_an_h5_file_may_be_bytes(self, tmp_path: Path) -> None:
        config = json.dumps(plain_model()).encode()
        file = recognise(write_h5(tmp_path / "m.h5", model_config=config, keras_version=b"2.3.0"))
        assert (file.version, file.config) == ("2.3.0", plain_model())

    @pytest.mark.parametrize("name", ["saved_model.pb", "saved_model.pbtxt"])
    def test_a_saved_model(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).touch()
        assert recognise(tmp_path).kind is Kind.SAVED_MODEL


class TestRefusals:
    """What is none of these, says what it is."""

    def test_absent(self, tmp_path: Path) -> None:
        assert refused(tmp_path / "m.keras").reason == "model-missing"

    def test_a_folder_without_a_model(self, tmp_path: Path) -> None:
        assert "no saved_model.pb" in refused(tmp_path).brief

    @pytest.mark.parametrize(
        ("data", "said"),
        [
            (b"", "it is empty"),
            (b"GIF89a" + bytes(20), "it starts with b'GIF89a"),
            (b"PK\x03\x04 and no more", "archive is damaged"),
            (hdf5.SIGNATURE, "HDF5 is damaged"),
        ],
    )
    def test_other_bytes(self, tmp_path: Path, data: bytes, said: str) -> None:
        (tmp_path / "m.keras").write_bytes(data)
        error = refused(tmp_path / "m.keras")
        assert error.reason == "model-invalid"
        assert said in str(error)

    def test_another_archive(self, tmp_path: Path) -> None:
        for name, said in {"readme.txt": "config.json"}.items():
            with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
                archive.writestr(name, b"")
            assert said in refused(tmp_path / "m.keras").brief

    @pytest.mark.parametrize("config", [b"[1]", b"{", b"[" * 100_000, b'"\xff"'])
    def test_a_config_that_is_none(self, tmp_path: Path, config: bytes) -> None:
        assert refused(write_keras(tmp_path / "m.keras", config__json=config)).reason == "model-invalid"

    @pytest.mark.parametrize("version", [None, 3, "", "x", "\x1b[2J", "3." + "1" * 99])
    def test_a_version_that_is_none(self, tmp_path: Path, version: object) -> None:
        assert refused(write_keras(tmp_path / "m.keras", version=version)).reason == "model-invalid"

    @pytest.mark.parametrize("version", ["1.2.2", "4.0.0"])
    def test_a_keras_that_nobody_has(self, tmp_path: Path, version: str) -> None:
        assert refused(write_keras(tmp_path / "m.keras", version=version)).reason == "model-keras-version"
        assert refused(write_h5(tmp_path / "m.h5", version=version)).reason == "model-keras-version"

    def test_weights_without_a_model(self, tmp_path: Path) -> None:
        error = refused(write_h5(tmp_path / "m.h5", model_config=None, layer_names=["dense"]))
        assert (error.reason, "only weights" in error.brief) == ("model-weights-only", True)

    def test_an_archive_that_unpacks_to_too_much(self, tmp_path: Path) -> None:
        path = write_keras(tmp_path / "m.keras", bomb=b"A" * 100)
        data = path.read_bytes()
        entry = data.rindex(b"PK\x01\x02")
        path.write_bytes(data[: entry + 24] + b"\xf0\xff\xff\xff" + data[entry + 28 :])
        error = refused(path)
        assert (error.reason, "4.0 GiB" in error.brief) == ("model-too-large", True)

    def test_a_config_that_is_huge(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "m.keras", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("metadata.json", '{"keras_version": "3.0.0"}')
            archive.writestr("config.json", bytes(65 << 20))
        assert "larger than 64 MiB" in refused(tmp_path / "m.keras").brief


class TestHdf5:
    """Nothing outside of the file is read, and nothing larger than what it may be."""

    def test_a_link_to_another_file(self, tmp_path: Path) -> None:
        path = write_h5(tmp_path / "m.h5")
        with h5py.File(path, "a") as file:
            file["model_weights/other"] = h5py.ExternalLink("/etc/passwd", "/")
        assert "link to somewhere else" in refused(path).brief

    def test_data_in_another_file(self, tmp_path: Path) -> None:
        path = write_h5(tmp_path / "m.h5")
        with h5py.File(path, "a") as file:
            file.create_dataset("other", (8,), "u1", external=[("/etc/passwd", 0, 8)])
        assert "lies in another file" in refused(path).brief

    def test_weights_that_are_only_declared(self, tmp_path: Path) -> None:
        path = write_h5(tmp_path / "m.h5")
        with h5py.File(path, "a") as file:
            file.create_dataset("huge", (1 << 20, 1 << 20), "f4", chunks=(64, 64))
        assert "declares 4096.0 GiB" in refused(path).brief

    def test_a_group_that_holds_itself(self, tmp_path: Path) -> None:
        path = write_h5(tmp_path / "m.h5")
        with h5py.File(path, "a") as file:
            file["model_weights/again"] = file["model_weights"]
        assert "more objects than a model has" in refused(path).brief


class TestCode:
    """What would run when Keras loads a file is found before."""

    def check(self, config: object, trust: bool = False) -> CoralforgeError | None:
        try:
            check_code(ModelFile(Path("m.keras"), Kind.KERAS, "3.0.0", config), trust)
        except CoralforgeError as error:
            return error
        return None

    def test_an_ordinary_model_has_none(self) -> None:
        assert self.check(plain_model()) is None

    @pytest.mark.parametrize(
        "config",
        [
            lambda_model(),
            sequential(sequential(layer("Lambda", "evil"))),
            sequential(layer("Lambda", "evil", config={"function": ["4wAAAA==", None, None]})),
            sequential(layer("TFOpLambda", "evil", config={"function": "io.write_file"})),
            sequential(layer("TorchModuleWrapper", "evil")),
            sequential(layer("Dense", "x", config={"activation": {"class_name": "__lambda__", "name": "evil"}})),
        ],
    )
    def test_code_is_named_and_needs_trust(self, config: object) -> None:
        error = self.check(config)
        assert error is not None
        assert (error.reason, "evil" in error.details, "--trust" in error.remedy) == ("model-code", True, True)
        assert self.check(config, trust=True) is None

    @pytest.mark.parametrize(
        "more",
        [
            {"module": "my.layers", "registered_name": "Mine>Swish"},
            {"module": None, "registered_name": "Custom>Swish"},
            {"module": "os"},
            {"module": "kerasx.layers"},
        ],
    )
    def test_a_class_of_another_package_is_named(self, more: dict[str, str]) -> None:
        error = self.check(sequential(layer("Swish", "mine", **more)))
        assert error is not None
        assert (error.reason, error.details.startswith("mine: ")) == ("model-custom-layer", True)
        assert "model.export(DIR)" in error.remedy

    def test_nesting_costs_no_stack(self) -> None:
        config: dict[str, object] = lambda_model()
        for _ in range(50_000):
            config = {"config": [config]}
        error = self.check(config)
        assert error is not None
        assert error.reason == "model-code"

    @pytest.mark.parametrize(
        ("message", "names"),
        [
            ("Unknown layer: 'Swish'. Please ensure you are using a `keras.utils.custom_object_scope`", ["Swish"]),
            ("Could not locate class 'Swish'. Make sure custom classes are decorated", ["Swish"]),
            ("Unable to open file", []),
        ],
    )
    def test_keras_own_words_are_understood(self, message: str, names: list[str]) -> None:
        assert unknown_layers(message) == names


def is_told(path: Path) -> None:
    """The file is a model, or one clear error of the user's."""
    try:
        check_code(recognise(path), trust=False)
    except CoralforgeError as error:
        assert error.code is ExitCode.USER
        assert error.reason.startswith("model-")


@settings(max_examples=CASES)
@given(changes=st.lists(st.tuples(st.integers(0, 999), st.integers(0, 255)), max_size=8), cut=st.integers(0, 4000))
def test_any_archive_is_a_model_or_one_clear_error(
    changes: list[tuple[int, int]], cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole, path = (tmp_path_factory.getbasetemp() / name for name in ("whole.keras", "fuzzed.keras"))
    data = bytearray((whole if whole.exists() else write_keras(whole)).read_bytes())
    for place, value in changes:
        data[place * len(data) // 1000] = value
    path.write_bytes(data[:cut])
    is_told(path)


def test_any_hdf5_is_a_model_an_error_or_the_end_of_a_process_that_is_not_ours(tmp_path: Path) -> None:
    """HDF5's library crashes or hangs for a few damaged files in a thousand; the product too keeps it apart."""
    write_h5(tmp_path / "whole.h5")
    done, ends = 0, 0
    while done < CASES:
        ran = subprocess.run(
            [sys.executable, FUZZER, tmp_path, str(done), str(CASES)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            timeout=NET,
            check=False,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)),
        )
        done = int((tmp_path / "case").read_text()) + 1
        ends += ran.returncode < 0
        assert ran.returncode <= 0, f"case {done - 1}: {ran.stderr}"
    assert ends < CASES / 100
