"""The same bytes, whoever builds, where and when."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from coralforge.config.arch import Arch
from coralforge.containers.docker import DockerRunner
from coralforge.containers.toolchain import builder
from coralforge.plan import Stage
from tests.integration.conftest import Checkout, copy_project
from tests.support.chain import Chain, Elsewhere
from tests.support.docker_proxy import DockerProxy
from tests.support.killed import Plan
from tests.support.promises import Promise, Trial, promised
from tests.support.variation import SINGLE, Variation, build_shim, preload, together

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("ctrl_c")]
SAME = Promise(
    "Reproducible",
    "Bundle and Debian packages have the same bytes, whatever differs between two builds (the libraries given)",
    f"each of {', '.join(one.name for one in SINGLE)}, and all at once; clock, hostname, processors and directory "
    "order also in the containers, where the programs are then compiled anew; for each architecture",
    "the bundle's entries are packed as they are found, with the time of the clock: another digest each time",
)


@dataclass(frozen=True)
class Case:
    """One variation for one architecture."""

    arch: Arch
    variation: Variation


def cases() -> tuple[list[Case], list[Case]]:
    """The one with all at once for the default architecture; and all others."""
    first = [Case(Arch.AARCH64, together())]
    others = [Case(arch, one) for arch in Arch for one in (*SINGLE, together()) if one.possible]
    return first, [case for case in others if case not in first]


@pytest.fixture
def build(chain: Chain, client: Any, tmp_path: Path) -> Callable[[Case], dict[str, str]]:
    """Makes a chain's products elsewhere; gives their digests."""

    def made(case: Case) -> dict[str, str]:
        variation = case.variation
        folder = tmp_path / case.arch.value / variation.name / variation.folder
        folder.mkdir(parents=True)
        kept = (Stage.LIBRARIES,) if variation.compiles else chain.kept
        elsewhere = Elsewhere(variation.command(), variation.umask, variation.environment)
        root = copy_project(folder / "coralforge").root
        other = chain.copy(root, folder / "runs", arch=case.arch, kept=kept, elsewhere=elsewhere)
        own: dict[str, str] = {}
        edit = partial(lambda call, body: body)
        if variation.shim:
            image = builder(other.settings).tag
            place = tmp_path / f"shim-{case.arch.value}-{variation.name}"
            library = build_shim(DockerRunner(client), image, variation.shim, place)
            own["LD_PRELOAD"], edit = str(library), partial(preload, library)
        if variation.warm:
            assert other.run(other.bundle).status == 0
            other.forget(Stage.BUNDLE)
        with DockerProxy(edit=edit) as proxy:
            ran = other.run(other.bundle, None, DOCKER_HOST=proxy.host, **own)
        assert ran.status == 0, f"{variation.name}: {ran.said}"
        assert (Stage.PROGRAMS in kept) == ("-> programs" not in ran.said)
        products = other.made()
        shutil.rmtree(tmp_path / case.arch.value)
        return products

    return made


@promised(SAME)
def test_the_same_bytes_elsewhere(
    chain: Chain, golden: dict[str, str], build: Callable[[Case], dict[str, str]], trial: Trial
) -> None:
    known = {Arch.AARCH64: golden}
    first, others = cases()
    quick = [case for case in others if case.arch is Arch.AARCH64 and not case.variation.compiles]
    for case in [*trial.cases(first, short=1), *trial.cases(others if trial.long else quick, short=1)]:
        if case.arch not in known:
            known[case.arch] = made_plainly(chain, case.arch)
        assert build(case) == known[case.arch], case


def made_plainly(chain: Chain, arch: Arch) -> dict[str, str]:
    """The digests of an architecture's products, in the chain's own checkout."""
    built = Checkout(chain.root).invoke("bundle", "--arch", arch.value, "--variant", "simulated")
    assert built.status == 0, built.stderr
    other = chain.copy(chain.root, chain.folder / arch.value, arch=arch)
    other.rewind()
    assert other.run(other.bundle).status == 0
    return other.made()


@promised(SAME, control=True)
def test_without_an_order_and_a_time_of_its_own_a_bundle_differs(chain: Chain, golden: dict[str, str]) -> None:
    found = [golden]
    for _ in range(2):
        chain.forget(Stage.BUNDLE)
        ran = chain.run(chain.bundle, Plan(without=("sorted entries",)))
        assert ran.status == 0, ran.said
        found.append(chain.made())
    chain.rewind()
    [archive] = [name for name in golden if name.endswith(".tar.gz")]
    assert len({made[archive] for made in found}) == 3
