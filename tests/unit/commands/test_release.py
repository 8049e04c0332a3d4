"""The options of ``invoke release``: one that would do nothing is refused, so that nobody believes that it did."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from coralforge.commands import release as verb
from coralforge.commands.release import ReleaseRequest, release
from coralforge.errors import CoralforgeError, ExitCode
from coralforge.settings import Options

NOTHING = ReleaseRequest(None, None, twice=False, finish=False, matrix=False, publish=False, dry_run=False)


@pytest.mark.parametrize(
    ("arch", "request_"),
    [
        ("aarch64", replace(NOTHING, finish=True)),
        ("aarch64", replace(NOTHING, publish=True)),
        ("aarch64", replace(NOTHING, sign="key")),
        (None, replace(NOTHING, finish=True, twice=True)),
        (None, replace(NOTHING, matrix=True, publish=True)),
        ("aarch64", replace(NOTHING, matrix=True, twice=True)),
    ],
)
def test_options_that_exclude_each_other(
    arch: str | None, request_: ReleaseRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("make_part", "finish"):
        monkeypatch.setattr(verb, name, lambda *_given: pytest.fail("it is begun"))
    with pytest.raises(CoralforgeError) as caught:
        release(Options(arch=arch), replace(request_, dest=str(tmp_path)))
    assert (caught.value.reason, caught.value.code) == ("release-options", ExitCode.USER)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_said_before_anything_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verb, "make_part", lambda *_given: pytest.fail("it is begun"))
    (tmp_path / "file").touch()
    with pytest.raises(CoralforgeError) as caught:
        release(Options(arch="aarch64"), replace(NOTHING, dest=str(tmp_path / "file")))
    assert (caught.value.reason, caught.value.code) == ("bundle-write", ExitCode.MISSING)


@pytest.mark.parametrize("there", [False, True])
def test_what_is_no_key_is_said_before_anything_is_built(
    there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verb, "make_part", lambda *_given: pytest.fail("it is begun"))
    key = tmp_path / "key"
    if there:
        key.write_text("no key")
    with pytest.raises(CoralforgeError) as caught:
        release(Options(), replace(NOTHING, sign=str(key), dest=str(tmp_path / "out")))
    assert (caught.value.reason, caught.value.code) == ("sign-key", ExitCode.USER)
    assert not (tmp_path / "out").exists()
