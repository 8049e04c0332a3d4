"""pipeline.yaml and releases/*.yaml: what is accepted, and how what is not is explained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from coralforge.config.arch import Arch, Floor
from coralforge.config.base import Place, Variant
from coralforge.config.json_schema import SCHEMAS, render_schemas
from coralforge.config.load import load_pipeline, load_release
from coralforge.config.pipeline import Pipeline
from coralforge.config.release import Source
from coralforge.errors import CoralforgeError, ExitCode
from tests.conftest import ROOT
from tests.unit.config.test_document import NoAliases

SHA256 = "0" * 64
COMMIT = "99d80a9e254c9df7940b2902b14d15914dbbbcd9"
SAMPLE_FILE: dict[str, Any] = {"places": [{"url": "https://example.invalid/a/b", "sha256": SHA256}]}
SOURCE = {"version": "2.14.1", "commit": COMMIT, "licence": "Apache-2.0", **SAMPLE_FILE}
PIPELINE: dict[str, Any] = {
    "format": 1,
    "release": "2.14.1",
    "platforms": {"aarch64": {"glibc": "2.31"}},
    "variants": ["throttled"],
    "sample": {"name": "m", "model": SAMPLE_FILE, "labels": SAMPLE_FILE, "image": SAMPLE_FILE, "expected": 3},
}
RELEASE: dict[str, Any] = {
    "format": 1,
    "release": "2.14.1",
    "tensorflow_commit": COMMIT,
    "edgetpu_runtime": 14,
    "sources": {"tensorflow": SOURCE},
}


def load(folder: Path, **changes: Any) -> Pipeline:
    path = folder / "pipeline.yaml"
    kept = {key: value for key, value in {**PIPELINE, **changes}.items() if value is not ...}
    path.write_text(yaml.dump(kept, Dumper=NoAliases, sort_keys=False))
    return load_pipeline(path)


def refused_pipeline(folder: Path, **changes: Any) -> CoralforgeError:
    """The error for the valid pipeline with some keys replaced (or, with ``...``, left out)."""
    with pytest.raises(CoralforgeError) as caught:
        load(folder, **changes)
    assert caught.value.code is ExitCode.USER
    return caught.value


@pytest.mark.parametrize("wrong", ["xnnpack", ["xnnpack"], 3])
def test_what_is_no_mapping_is_told_its_keys(tmp_path: Path, wrong: object) -> None:
    error = refused_pipeline(tmp_path, cpu=wrong)
    assert "cpu: a mapping is expected, with ops, xnnpack" in error.brief


class TestTexts:
    """Each string that has no pattern of its own."""

    @pytest.mark.parametrize("text", ["dist", "a b", "it's", "R&D/x;y", "Größe", "C++ <x> (y) #z %s ~ !"])
    def test_a_line_of_text_is_taken(self, tmp_path: Path, text: str) -> None:
        assert load(tmp_path, output=text).output == text

    @pytest.mark.parametrize(
        "text", ["a\nb", "a\x1bb", "a\u2028b", "$HOME", "`id`", 'a"b', "a\\b", "{{x}}", "{%x", "{#x"]
    )
    def test_an_instruction_is_refused_where_it_stands(self, tmp_path: Path, text: str) -> None:
        error = refused_pipeline(tmp_path, output=text)
        assert error.reason == "config-invalid"
        assert "23:1: output: " in error.brief

    @pytest.mark.parametrize("path", ["../LICENSE", "/etc/passwd", "a/../../b"])
    def test_a_licence_text_stays_in_its_source(self, path: str) -> None:
        with pytest.raises(ValueError, match="is not a path below the source"):
            Source.model_validate({**SOURCE, "licence_files": [path]})


class TestPipeline:
    """What a user edits."""

    def test_the_projects_own_file_is_valid(self) -> None:
        pipeline = load_pipeline(ROOT / "pipeline.yaml")
        assert set(pipeline.platforms) >= {"aarch64"}
        assert pipeline.sample.compiled is not None and pipeline.sample.compiled.sha256

    def test_defaults(self, tmp_path: Path) -> None:
        pipeline = load(tmp_path)
        assert pipeline.output == "dist"
        assert pipeline.mirrors == []
        assert pipeline.variants == [Variant.THROTTLED]
        assert pipeline.platforms["aarch64"].floor(Arch.AARCH64) == Floor("2.31", "3.4.25", "1.3.11")

    def test_a_floor_is_what_is_said_of_it_and_else_the_architectures_own(self, tmp_path: Path) -> None:
        pipeline = load(tmp_path, platforms={"aarch64": {"glibc": "2.31"}})
        assert pipeline.platforms["aarch64"].floor(Arch.AARCH64) == Floor("2.31", "3.4.25", "1.3.11")

    @pytest.mark.parametrize(
        ("key", "version", "why"),
        [
            ("glibc", "2.36", "5:5: glibc 2.36 cannot be the floor: the sysroot that aarch64 is linked"),
            ("glibc", "2.5", "5:5: glibc 2.5 cannot be the floor: below 2."),
            ("glibcxx", "3.4.30", "the sysroot that aarch64 is linked against has 3.4.28"),
            ("cxxabi", "1.3.1", "cxxabi 1.3.1 cannot be the floor: below 1.3."),
        ],
    )  # fmt: skip
    def test_a_floor_that_cannot_be_met_is_one_error(self, tmp_path: Path, key: str, version: str, why: str) -> None:
        error = refused_pipeline(tmp_path, platforms={"aarch64": {key: version}})
        assert error.reason == "floor"
        assert why in error.brief
        assert f"or leave it out: then it is {getattr(Arch.AARCH64.row.floor, key)}" in error.remedy

    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({"variant": ["direct"]}, "23:1: unknown key 'variant'; did you mean 'variants'?"),
            ({"nonsense": 1}, "23:1: unknown key 'nonsense'"),
            ({"limits": {"cpu": 2}}, "24:3: unknown key 'limits.cpu'; did you mean 'cpus'?"),
            (
                {"platforms": {"aarch64": {"glib": "x"}}},
                "5:5: unknown key 'platforms.aarch64.glib'; did you mean 'glibc'?",
            ),
            ({"release": ...}, "1:1: 'release' is missing"),
            ({"release": 2.14}, "2:1: release: Input should be a valid string (found 2.14)"),
            ({"release": "2.14"}, "2:1: release: String should match pattern"),
            ({"release": "../../etc"}, "2:1: release: String should match pattern"),
            ({"platforms": {"armv6": {}}}, "unknown architecture 'armv6'; known: aarch64, x86_64, armv7"),
            (
                {"platforms": {"aarch64": {"glibc": "new"}}},
                "5:5: platforms.aarch64.glibc: String should match pattern",
            ),
            ({"platforms": {}}, "3:1: platforms: Dictionary should have at least 1 item"),
            ({"variants": []}, "variants: List should have at least 1 item"),
            ({"variants": "direct"}, "6:1: variants: Input should be a valid list (found 'direct')"),
            ({"variants": ["direct", "direct"]}, "variants: a variant is listed twice"),
            (
                {"variants": ["fast"]},
                "7:3: variants.0: Input should be 'direct', 'throttled' or 'simulated' (found 'fast')",
            ),
            ({"limits": {"cpus": "two"}}, "limits.cpus: Input should be a valid integer (found 'two')"),
            ({"limits": {"cpus": True}}, "limits.cpus: Input should be a valid integer (found True)"),
            (
                {"limits": {"memory_mb": 100}},
                "limits.memory_mb: Input should be greater than or equal to 2048 (found 100)",
            ),
            ({"remote": {"cache": "ftp://x"}}, "24:3: remote.cache: an address is grpcs://HOST:PORT"),
            ({"mirrors": [1]}, "mirrors.0: Input should be a valid string (found 1)"),
        ],
    )
    def test_a_mistake_is_named_where_it_stands(self, tmp_path: Path, changes: dict[str, Any], expected: str) -> None:
        error = refused_pipeline(tmp_path, **changes)
        assert error.reason == "config-invalid"
        assert f"{tmp_path}/pipeline.yaml:" in error.brief
        assert expected in error.brief
        assert "docs/configuration.md" in error.remedy

    def test_all_mistakes_are_listed_at_once(self, tmp_path: Path) -> None:
        error = refused_pipeline(tmp_path, release=1, variants=[], output=2)
        assert len([error.brief, *error.details.splitlines()]) == 3

    @pytest.mark.parametrize(("found", "remedy"), [(2, "update coralforge"), (0, "docs/configuration.md")])
    def test_another_format_is_not_guessed_at(self, tmp_path: Path, found: int, remedy: str) -> None:
        error = refused_pipeline(tmp_path, format=found, from_the_future=True)
        assert error.reason == "config-format"
        assert remedy in error.remedy

    @pytest.mark.parametrize("text", ["", "- a\n", "text\n", "1\n"])
    def test_a_file_must_be_a_mapping(self, tmp_path: Path, text: str) -> None:
        path = tmp_path / "pipeline.yaml"
        path.write_text(text)
        with pytest.raises(CoralforgeError, match="a mapping is expected"):
            load_pipeline(path)


class TestRelease:
    """What a release pins."""

    def refused(self, folder: Path, name: str = "2.14.1", **changes: Any) -> CoralforgeError:
        kept = {key: value for key, value in {**RELEASE, **changes}.items() if value is not ...}
        (folder / "2.14.1.yaml").write_text(yaml.dump(kept, Dumper=NoAliases))
        with pytest.raises(CoralforgeError) as caught:
            load_release(folder, name)
        return caught.value

    @pytest.mark.parametrize("path", sorted((ROOT / "releases").glob("*.yaml")), ids=lambda path: path.name)
    def test_every_release_of_the_project_is_valid(self, path: Path) -> None:
        release = load_release(path.parent, path.stem)
        assert {"tensorflow", "flatbuffers", "libedgetpu", "libusb"} <= set(release.sources)

    def test_an_unknown_name_is_answered_with_the_nearest(self, tmp_path: Path) -> None:
        error = self.refused(tmp_path, name="2.14.2")
        assert (error.reason, error.brief) == ("release-unknown", "unknown release '2.14.2'; did you mean '2.14.1'?")
        assert error.remedy == "known: 2.14.1"

    def test_without_any_release_that_is_said(self, tmp_path: Path) -> None:
        with pytest.raises(CoralforgeError) as caught:
            load_release(tmp_path, "2.14.1")
        assert caught.value.remedy == "there is no release at all"

    def test_a_file_says_the_release_it_is_named_for(self, tmp_path: Path) -> None:
        assert "but says release 2.16.1" in self.refused(tmp_path, release="2.16.1").brief

    def test_tensorflow_must_be_the_commit_of_the_release(self, tmp_path: Path) -> None:
        error = self.refused(tmp_path, tensorflow_commit="0" * 40)
        assert "crash at run time" in error.brief

    def test_tensorflow_must_be_there(self, tmp_path: Path) -> None:
        assert "no such source" in self.refused(tmp_path, sources={}).brief

    def test_the_runtime_is_stated_and_never_guessed(self, tmp_path: Path) -> None:
        assert "'edgetpu_runtime' is missing" in self.refused(tmp_path, edgetpu_runtime=...).brief

    def test_a_source_is_shipped_or_only_for_tests(self, tmp_path: Path) -> None:
        error = self.refused(tmp_path, test_sources={"tensorflow": SOURCE})
        assert "'tensorflow' is in both sources and test_sources" in error.brief

    @pytest.mark.parametrize("name", ["../x", "X", "", "a b"])
    def test_source_names_are_safe_in_paths(self, tmp_path: Path, name: str) -> None:
        error = self.refused(tmp_path, sources={"tensorflow": SOURCE, name: SOURCE})
        assert "String should match pattern" in error.brief


class TestPlace:
    """One place that a source can be had from."""

    @pytest.mark.parametrize(
        ("address", "message"),
        [
            ({}, "give exactly one of"),
            ({"url": "https://a.invalid/x", "debian": "pool/x"}, "give exactly one of"),
            ({"url": "ftp://a.invalid/x"}, "not an https, http or file address"),
            ({"url": "https://a.invalid"}, "not an https, http or file address"),
            ({"debian": "/pool/x"}, "not a path below pool/"),
            ({"debian": "pool/../../etc/passwd"}, "not a path below pool/"),
            ({"debian": "dists/sid"}, "not a path below pool/"),
            ({"url": "https://a.invalid/x", "sha256": "abc"}, "String should match pattern"),
            ({"url": "https://a.invalid/x", "sha256": SHA256.replace("0", "A")}, "String should match pattern"),
            ({"url": "https://a.invalid/x", "size": 0}, "greater than 0"),
        ],
    )
    def test_a_wrong_address_is_refused(self, address: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            Place.model_validate({"sha256": SHA256, **address})

    @pytest.mark.parametrize(
        ("place", "filename"),
        [
            ({"url": "https://github.com/google-coral/libedgetpu/archive/e35a.tar.gz"}, "libedgetpu-e35a.tar.gz"),
            (
                {"url": "https://github.com/google/flatbuffers/archive/refs/tags/v23.5.26.tar.gz"},
                "flatbuffers-23.5.26.tar.gz",
            ),
            ({"url": "https://a.invalid/dir/libusb-1.0.26.tar.bz2?download=1"}, "libusb-1.0.26.tar.bz2"),
            ({"debian": "pool/main/t/tf/tf_1.orig.tar.xz"}, "tf_1.orig.tar.xz"),
        ],
    )
    def test_its_name_in_a_mirror_folder(self, place: dict[str, Any], filename: str) -> None:
        assert Place.model_validate({"sha256": SHA256, **place}).filename == filename


class TestDocs:
    """The documentation says what the models say."""

    @pytest.mark.parametrize("name", SCHEMAS)
    def test_the_schemas_in_docs_are_the_models(self, name: str) -> None:
        text = (ROOT / "docs" / "schema" / name).read_text()
        assert text == render_schemas()[name], "run invoke format"

    @pytest.mark.parametrize("model", SCHEMAS.values())
    def test_every_key_is_in_docs_configuration(self, model: type[BaseModel]) -> None:
        text = (ROOT / "docs" / "configuration.md").read_text()
        schema = model.model_json_schema()
        for part in [schema, *schema["$defs"].values()]:
            for key, described in part.get("properties", {}).items():
                meaning = described.get("description", "")
                row = f"| `{key}` |"
                assert row in text, f"{part['title']}.{key} is not in docs/configuration.md"
                assert meaning.replace("``", "`") in text, f"docs/configuration.md does not say of {key}: {meaning}"
