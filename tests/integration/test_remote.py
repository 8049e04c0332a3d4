"""A real remote cache (BuildGrid), with TLS and a token: nothing is built twice, and refusals are said.

One small target stands for all, libusb: eleven actions that compile, archive and link.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from coralforge.containers.docker import DockerRunner
from coralforge.errors import CoralforgeError
from coralforge.settings import Cache
from tests.support.buildgrid import INSTANCE, OLDEST, Server, bridge, install, serve
from tests.support.pki import Authority
from tests.support.small_build import ACTIONS, Built, SmallBuild

pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(sys.version_info < OLDEST, reason="BuildGrid needs Python 3.11"),
]


@dataclass(frozen=True)
class Bench:
    """Builds libusb, each time with an empty Bazel cache in a folder of its own."""

    small: SmallBuild
    server: Server
    scratch: Path

    def build(self, name: str, **changes: Any) -> Built:
        """With ``remote:`` of pipeline.yaml as the server wants it, and ``changes``; ``cache=None``: without it.

        The disk cache is on, which is for builds without it.
        """
        said = {
            "cache": self.server.address,
            "instance": INSTANCE,
            "ca": str(self.server.authority.certificate),
            "headers": {"authorization": {"env": "TOKEN_OF_THE_TEST", "prefix": "Bearer "}},
            **changes,
        }
        text = self.small.project.pipeline.read_text().partition("\nlimits:")[0]
        text += "\n" + yaml.safe_dump({"limits": {"disk_cache_mb": 64}})
        if said["cache"] is not None:
            text += "\n" + yaml.safe_dump({"remote": said})
        self.small.project.pipeline.write_text(text)
        return self.small.run(Cache(self.scratch / name / "cache"), self.scratch / name / "staging")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("buildgrid")
    client = DockerRunner().client
    host = bridge(client)
    client.close()
    with serve(install(folder / "venv"), folder, host) as made:
        yield made


@pytest.fixture(scope="module")
def bench(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    scratch = tmp_path_factory.mktemp("remote")
    runner = DockerRunner()
    yield Bench(SmallBuild.prepare(scratch / "project", runner), server, scratch)
    runner.client.close()


@pytest.fixture(autouse=True)
def known_token(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN_OF_THE_TEST", server.token)


def remote_hits(built: Built) -> int:
    found = re.search(r"(\d+) remote cache hit", " ".join(built.notes))
    return int(found[1]) if found else 0


def test_a_second_build_takes_all_from_the_cache_and_gives_the_same_bytes(bench: Bench) -> None:
    alone = bench.build("alone", cache=None)
    assert alone.notes == []
    first = bench.build("first")
    assert remote_hits(first) == 0
    second = bench.build("second")
    assert remote_hits(second) == ACTIONS and "local" not in second.notes[-1]
    assert alone.digest == first.digest == second.digest
    secret = bench.server.token.encode()
    assert [path for path in bench.scratch.rglob("*") if path.is_file() and secret in path.read_bytes()] == []


def test_without_a_server_the_disk_cache_has_what_was_built_here(bench: Bench) -> None:
    if not (kept := bench.scratch / "alone/cache/results").exists():
        bench.build("alone", cache=None)
    (bench.scratch / "filled/cache").mkdir(parents=True)
    subprocess.run(["cp", "-a", kept, bench.scratch / "filled/cache"], check=True)  # with its owner
    bench.build("filled", cache=None)
    [log] = (bench.scratch / "filled/cache/logs").iterdir()
    assert f"{ACTIONS} disk cache hit" in log.read_text()


def test_a_wrong_token_ends_the_build_at_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN_OF_THE_TEST", "another")
    with pytest.raises(CoralforgeError) as caught:
        bench.build("token")
    assert caught.value.reason == "remote-refused"
    assert caught.value.brief.startswith(f"remote {bench.server.address} (instance {INSTANCE}): it refuses")
    assert "UNAUTHENTICATED" in caught.value.brief


def test_nothing_is_sent_to_a_server_that_another_authority_signed(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(CoralforgeError) as caught:
        bench.build("authority", ca=str(Authority.make(tmp_path).certificate))
    assert caught.value.reason == "remote-untrusted"


def test_without_a_server_this_machine_builds_or_not_as_is_said(bench: Bench) -> None:
    nobody = f"{bench.server.address.rpartition(':')[0]}:9"
    with pytest.raises(CoralforgeError) as caught:
        bench.build("stop", cache=nobody, away="fail")
    assert caught.value.reason == "remote-away"
    [note] = bench.build("go-on", cache=nobody).notes
    assert note.startswith(f"remote {nobody}: connection refused. All is built on this machine alone")
