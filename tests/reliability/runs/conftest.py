"""The run that is broken again and again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from coralforge.config.arch import Arch
from coralforge.containers.engine import connect
from coralforge.settings import Options, Project, resolve
from tests.integration.conftest import copy_project
from tests.support.chain import Chain
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


@pytest.fixture(scope="session")
def golden(chain: Chain) -> dict[str, str]:
    """The digests of what a run makes that nothing disturbs."""
    chain.rewind()
    ran = chain.run(chain.bundle)
    assert ran.status == 0, ran.said
    assert chain.leftovers() == []
    return chain.made()


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
