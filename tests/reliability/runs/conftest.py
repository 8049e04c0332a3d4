"""The run that is broken again and again."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from coralforge.config.arch import Arch
from coralforge.containers.engine import connect
from coralforge.plan import Stage
from coralforge.settings import Options, Project, resolve
from tests.integration.conftest import copy_project
from tests.support.chain import Chain
from tests.support.docker_proxy import DockerProxy
from tests.support.killed import Plan
from tests.support.second_engine import ABSENT, SecondEngine


@pytest.fixture(scope="session")
def client() -> Iterator[Any]:
    """The real engine, past any proxy."""
    client = connect()
    yield client
    client.close()


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """One for all tests; each rewinds it."""
    checkout = copy_project(tmp_path_factory.mktemp("chain") / "coralforge")
    # Built where the user's cache has it not.
    ran = checkout.invoke("bundle", "--arch", Arch.AARCH64.value, "--variant", "simulated")
    assert ran.status == 0, ran.stderr[-4000:]
    chain = Chain(checkout.root, resolve(Project(checkout.root), Options()).cache, tmp_path_factory.mktemp("runs"))
    chain.prepare()
    return chain


@dataclass(frozen=True)
class Undisturbed:
    """A run that nothing disturbs."""

    products: dict[str, str]
    """Digests of what it makes."""
    points: list[str]
    """The names of its points, in order."""
    seconds: float
    """How long it took, in the time of the day."""


@pytest.fixture(scope="session")
def undisturbed(chain: Chain, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    record = tmp_path_factory.mktemp("points") / "names.json"
    chain.rewind()
    began = time.monotonic()
    ran = chain.run(chain.bundle, Plan(record=str(record)))
    seconds = time.monotonic() - began
    assert ran.status == 0, ran.said
    assert chain.leftovers() == []
    return Undisturbed(chain.made(), json.loads(record.read_text()), seconds)


@pytest.fixture(scope="session")
def golden(undisturbed: Undisturbed) -> dict[str, str]:
    """The digests that each later run has to come to."""
    return undisturbed.products


@pytest.fixture(scope="session")
def second_engine(tmp_path_factory: pytest.TempPathFactory, client: Any) -> Iterator[SecondEngine]:
    """An engine that may be killed. Needs the machine's own, for the base image."""
    engine = SecondEngine(tmp_path_factory.mktemp("engine"))
    try:
        if not engine.start():
            pytest.skip(ABSENT)
        engine.load()
        yield engine
    finally:
        engine.close()


@pytest.fixture(scope="session")
def calls(chain: Chain, golden: dict[str, str]) -> list[str]:
    """The calls of a run that has everything but the packages."""
    chain.forget(Stage.DEB)
    with DockerProxy() as proxy:
        ran = chain.run(chain.bundle, DOCKER_HOST=proxy.host)
    assert ran.status == 0, ran.said
    return proxy.calls
