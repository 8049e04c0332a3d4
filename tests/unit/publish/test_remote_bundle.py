"""A bundle whose libraries other machines helped to build says so; a local build is compared in all else."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from coralforge.bundle.assemble import assemble
from coralforge.bundle.describe import BundleInputs
from coralforge.bundle.manifest import REMOTE, RemoteUsed, read_manifest
from coralforge.bundle.pack import pack
from coralforge.config.load import load_toolchain
from coralforge.config.remote import Remote
from coralforge.errors import CoralforgeError
from coralforge.publish.difference import same
from coralforge.publish.origin import Origin
from coralforge.publish.parts import fresh_cache
from coralforge.publish.provenance import write_provenance
from coralforge.settings import Options, Project, resolve
from tests.conftest import ROOT
from tests.support.bundle_maker import make_inputs

USED = RemoteUsed(cache="grpcs://cache.example:8980", executor=None, instance="main")


def packed(inputs: BundleInputs, folder: Path) -> Path:
    bundle = folder / "coralforge-2.14.1-aarch64-linux-gnu"
    bundle.mkdir(parents=True)
    assemble(inputs, bundle)
    pack(bundle, folder / "bundle.tar.gz")
    return folder / "bundle.tar.gz"


@pytest.fixture
def inputs(tmp_path: Path) -> BundleInputs:
    return make_inputs(tmp_path / "inputs")


def test_manifest_and_provenance_say_where_and_what_that_means(inputs: BundleInputs, tmp_path: Path) -> None:
    (inputs.sdk / REMOTE).write_text(USED.model_dump_json())
    packed(inputs, tmp_path / "made")
    manifest = read_manifest(tmp_path / "made/coralforge-2.14.1-aarch64-linux-gnu")
    assert manifest.remote == USED
    (sentence,) = (text for text in manifest.not_verified if "other machines" in text)
    assert (
        "grpcs://cache.example:8980" in sentence and "believed" in sentence and "invoke verify --rebuild" in sentence
    )
    toolchain = load_toolchain(ROOT / "toolchains" / "toolchain.yaml")
    statement = json.loads(write_provenance({"x": "0" * 64}, manifest, toolchain, Origin("c" * 40, False, 0)))
    internal = statement["predicate"]["buildDefinition"]["internalParameters"]
    assert internal["remote"] == {"cache": "grpcs://cache.example:8980", "instance": "main"}


def test_a_damaged_record_is_no_local_build(inputs: BundleInputs, tmp_path: Path) -> None:
    (inputs.sdk / REMOTE).write_text("{}")
    with pytest.raises(CoralforgeError) as caught:
        packed(inputs, tmp_path / "made")
    assert REMOTE in str(caught.value)


def test_it_is_the_same_as_a_local_build_but_for_what_it_says_of_others(inputs: BundleInputs, tmp_path: Path) -> None:
    alone = packed(inputs, tmp_path / "alone")
    (inputs.sdk / REMOTE).write_text(USED.model_dump_json())
    helped = packed(inputs, tmp_path / "helped")
    assert alone.read_bytes() != helped.read_bytes()
    assert same(alone, helped) and same(helped, helped)


def test_a_file_that_differs_is_a_difference_whoever_helped(inputs: BundleInputs, tmp_path: Path) -> None:
    alone = packed(inputs, tmp_path / "alone")
    (inputs.sdk / REMOTE).write_text(USED.model_dump_json())
    library = inputs.sdk / "include/edgetpu_c.h"
    library.chmod(0o644)
    library.write_bytes(b"#pragma once\n// another\n")
    assert not same(alone, packed(inputs, tmp_path / "helped"))


def test_two_local_builds_that_differ_are_different(inputs: BundleInputs, tmp_path: Path) -> None:
    alone = packed(inputs, tmp_path / "alone")
    library = inputs.sdk / "include/edgetpu_c.h"
    library.chmod(0o644)
    library.write_bytes(b"#pragma once\n// another\n")
    assert not same(alone, packed(inputs, tmp_path / "again"))


def test_a_second_build_asks_nobody(tmp_path: Path) -> None:
    """It would get the very results that it is to be compared with."""
    found = resolve(Project(ROOT), Options(), {"CORALFORGE_CACHE": str(tmp_path / "cache")})
    found.cache.downloads.mkdir(parents=True)
    said = found.pipeline.model_copy(update={"remote": Remote(cache="grpcs://cache.example:8980")})
    found = replace(found, pipeline=said)
    with fresh_cache(found) as fresh:
        assert not fresh.pipeline.remote.used
