"""The cascade: command line, environment, pipeline.yaml; each wrong word gives one clear error."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from coralforge.config.arch import Arch
from coralforge.config.base import Variant
from coralforge.errors import CoralforgeError, ExitCode
from coralforge.settings import Options, Project, Settings, resolve
from tests.conftest import ROOT
from tests.support.project_maker import DEFAULT_RELEASE


def load_settings(environ: dict[str, str] | None = None, **options: Any) -> Settings:
    return resolve(Project(ROOT), Options(**options), environ or {})


def refused(**options: Any) -> CoralforgeError:
    with pytest.raises(CoralforgeError) as caught:
        load_settings(**options)
    assert caught.value.code is ExitCode.USER
    return caught.value


def test_defaults_come_from_pipeline_yaml() -> None:
    settings = load_settings()
    assert settings.arch is Arch.AARCH64
    assert settings.variants == (Variant.THROTTLED, Variant.DIRECT)
    assert settings.bundle_name == f"coralforge-{DEFAULT_RELEASE}-aarch64-linux-gnu"


def test_variants_on_the_command_line_replace_the_list_and_keep_their_order() -> None:
    assert load_settings(variants=("simulated", "direct", "simulated")).variants == (
        Variant.SIMULATED,
        Variant.DIRECT,
    )


@pytest.mark.parametrize(
    ("options", "reason", "hint"),
    [
        ({"arch": "arch64"}, "arch-unknown", "did you mean 'aarch64'?"),
        ({"release": "2.14"}, "release-unknown", "did you mean '2.14.1'?"),
        ({"release": "../../etc/passwd"}, "release-unknown", "known: "),
        ({"variants": ("simulate",)}, "variant-unknown", "did you mean 'simulated'?"),
        ({"sources": ("libedgetpi=.",)}, "source-unknown", "did you mean 'libedgetpu'?"),
        ({"sources": ("libedgetpu",)}, "source-option", "NAME=DIR"),
        ({"sources": ("libedgetpu=",)}, "source-option", "NAME=DIR"),
        ({"sources": ("libedgetpu=/nonexistent",)}, "source-folder", "/nonexistent"),
        ({"mirrors": ("/nonexistent",)}, "mirror-folder", "/nonexistent"),
    ],
)
def test_a_wrong_word_is_named_with_a_hint(options: dict[str, Any], reason: str, hint: str) -> None:
    error = refused(**options)
    assert error.reason == reason
    assert hint in str(error)


def test_a_bare_repository_is_no_source(tmp_path: Path) -> None:
    for name in ("objects", "refs"):
        (tmp_path / name).mkdir()
    (tmp_path / "HEAD").write_text("ref: refs/heads/main\n")
    error = refused(sources=(f"libedgetpu={tmp_path}",))
    assert error.reason == "source-folder"
    assert "git clone" in error.remedy


def test_an_empty_checkout_is_no_source(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    assert refused(sources=(f"libedgetpu={tmp_path}",)).reason == "source-folder"


def test_the_same_source_twice(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    error = refused(sources=(f"libedgetpu={tmp_path}", f"libedgetpu={tmp_path}"))
    assert error.reason == "source-option"


def test_the_cache_can_be_moved() -> None:
    assert load_settings({"CORALFORGE_CACHE": "/somewhere"}).cache.root == Path("/somewhere")
    assert load_settings({"XDG_CACHE_HOME": "/xdg"}).cache.root == Path("/xdg/coralforge")


def test_the_output_may_be_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    settings = load_settings({})
    places = {"dist": ROOT / "dist", "/srv/bundles": Path("/srv/bundles"), "~/b": Path("/home/someone/b")}
    for output, place in places.items():
        pipeline = settings.pipeline.model_copy(update={"output": output})
        assert replace(settings, pipeline=pipeline).output == place


def test_mirrors_are_asked_in_the_order_they_were_said(tmp_path: Path) -> None:
    environ = {"CORALFORGE_MIRROR": f"http://127.0.0.1:1/m {tmp_path}"}
    said = load_settings(environ, mirrors=(str(tmp_path / ".."), "http://127.0.0.1:2"))
    assert said.mirrors == (
        str(tmp_path.parent),
        "http://127.0.0.1:2",
        "http://127.0.0.1:1/m",
        str(tmp_path),
    )
