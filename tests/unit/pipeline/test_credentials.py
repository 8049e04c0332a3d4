"""What is shown to a remote server: where it comes from, what is refused, and who can see it."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from coralforge.config.load import load_pipeline
from coralforge.errors import CoralforgeError, ExitCode
from coralforge.pipeline.remote.credentials import read_credentials, write_credentials
from coralforge.settings import Project
from tests.conftest import ROOT
from tests.support.pki import Authority

SECRET = "s3cret-of-the-test"
CACHE = "grpcs://cache.example:8980"


def project(folder: Path, remote: Mapping[str, object]) -> Project:
    text = (ROOT / "pipeline.yaml").read_text() + yaml.safe_dump({"remote": remote})
    (folder / "pipeline.yaml").write_text(text)
    return Project(folder)


def refused(made: Project, environ: dict[str, str] | None = None) -> CoralforgeError:
    with pytest.raises(CoralforgeError) as caught:
        read_credentials(made, load_pipeline(made.pipeline).remote, environ or {})
    assert (caught.value.reason, caught.value.code) == ("remote-credentials", ExitCode.USER)
    lines = made.pipeline.read_text().splitlines()
    number = int(caught.value.brief.removeprefix(f"{made.pipeline}:").split(":")[0])
    assert any(word in lines[number - 1] for word in ("env", "file", "ca:", "certificate", "key")), "not the line"
    return caught.value


def test_a_header_comes_from_the_environment_or_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(SECRET + "\n")
    headers = {"authorization": {"env": "TOKEN", "prefix": "Bearer "}, "x-key": {"file": "token"}}
    made = project(tmp_path, {"cache": CACHE, "headers": headers})
    found = read_credentials(made, load_pipeline(made.pipeline).remote, {"TOKEN": SECRET})
    assert found.headers == {"authorization": f"Bearer {SECRET}", "x-key": SECRET}
    assert SECRET not in repr(found)


@pytest.mark.parametrize("value", ["", "a\nx-other: b", "a\r\nb", "é", "a\x00", " leading", "a" * 9000])
def test_a_value_that_is_no_header_is_refused_and_not_shown(tmp_path: Path, value: str) -> None:
    made = project(tmp_path, {"cache": CACHE, "headers": {"authorization": {"env": "TOKEN"}}})
    error = refused(made, {"TOKEN": value})
    assert "TOKEN" in error.brief
    assert not value or value not in str(error)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    made = project(tmp_path, {"cache": CACHE, "headers": {"authorization": {"env": "TOKEN"}}})
    assert "the environment variable TOKEN is not set" in refused(made).brief
    made = project(tmp_path, {"cache": CACHE, "headers": {"authorization": {"file": "token"}}})
    assert f"{tmp_path}/token cannot be read: no such file" in refused(made).brief
    made = project(tmp_path, {"cache": CACHE, "ca": "."})
    assert "cannot be read: is a directory" in refused(made).brief
    made = project(tmp_path, {"cache": CACHE, "ca": "/dev/zero"})
    assert "/dev/zero is not a regular file" in refused(made).brief
    os.mkfifo(tmp_path / "pipe")
    made = project(tmp_path, {"cache": CACHE, "ca": "pipe"})
    assert "pipe is not a regular file" in refused(made).brief


def test_certificates_have_to_be_some(tmp_path: Path) -> None:
    authority, other = Authority.make(tmp_path), Authority.make(tmp_path, "other")
    mine = authority.sign(tmp_path, "mine")
    (tmp_path / "text").write_text("no certificate")
    assert "is not a PEM file" in refused(project(tmp_path, {"cache": CACHE, "ca": "text"})).brief
    (tmp_path / "text").write_text("-----BEGIN CERTIFICATE-----\nx\n")
    assert "cannot be used" in refused(project(tmp_path, {"cache": CACHE, "ca": "text"})).brief
    pair = {"cache": CACHE, "ca": "authority.pem", "certificate": mine.certificate.name, "key": other.pair.key.name}
    assert "no pair" in refused(project(tmp_path, pair)).brief


def test_only_the_containers_user_can_read_them(tmp_path: Path) -> None:
    authority = Authority.make(tmp_path)
    mine = authority.sign(tmp_path, "mine")
    said = {
        "cache": CACHE,
        "ca": "authority.pem",
        "certificate": mine.certificate.name,
        "key": mine.key.name,
        "headers": {"authorization": {"env": "TOKEN"}},
    }
    made = project(tmp_path, said)
    folder = tmp_path / "shown"
    folder.mkdir(mode=0o700)
    found = read_credentials(made, load_pipeline(made.pipeline).remote, {"TOKEN": SECRET})
    options = write_credentials(found, (), "local", folder, (os.getuid(), os.getgid()))
    assert options == ("--credential_helper=/remote/helper",)
    assert all(stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 for path in (folder, *folder.iterdir()))
    assert json.loads((folder / "headers.json").read_text()) == {"headers": {"authorization": [SECRET]}}
    assert (folder / "key.pem").read_bytes() == mine.key.read_bytes()
    assert json.loads((folder / "run.json").read_text())["shown"]["key"] == "/remote/key.pem"
