"""A run may end at any moment, in any way: nothing half is believed, and the next run goes on from there."""

from __future__ import annotations

import os
import pty
import random
import signal
import subprocess
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from coralforge.plan import Stage
from tests.reliability.runs.conftest import Undisturbed
from tests.support.chain import Chain, containers_of
from tests.support.docker_proxy import DockerProxy, Fault, How
from tests.support.killed import STEPS, Plan
from tests.support.patience import NET
from tests.support.promises import Promise, Trial, promised

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("ctrl_c")]
RUN = "a run of fetch, unpack, prefix, model, bundle and deb"
KILLED = Promise(
    "Endings",
    "A run that is killed is taken up by the next one: the same bytes, and no container, folder or half file left",
    f"kill -9 of {RUN}: at its steps (words to the user, renames, removed folders, locks, connections; about 340), "
    "between them where files change (about 3,600) and at any time: 200 drawn in all",
    "artifacts are copied into the store, and not compared with their records: half a bundle is used. Containers of "
    "dead processes are not removed, nor folders: they stay",
)
STOPPED = Promise(
    "Endings",
    "Ctrl-C, SIGTERM or a terminal that is closed stops a run with exit code 130: no container, folder or half file "
    "is left. A second one leaves at once, and the next run removes what that left, and makes the same bytes",
    f"SIGINT, SIGTERM and SIGHUP at steps of {RUN} and where files change; SIGINT again while it stops",
    "signals do what they do to any program: a container and a folder are left",
)
UNREAD = Promise(
    "Endings",
    "A pipe or terminal that is closed ends no work halfway with exit code 0",
    f"{RUN} with stdout, stderr or both into a pipe without a reader; in a terminal that is closed at any time",
    "the work is ended by the first word that nobody reads: no bundle",
)


def chosen(names: Sequence[str], source: random.Random, count: int) -> list[int]:
    """``count`` points, in the order of a draw: four of five at steps, the rest between them."""
    steps = [number for number, name in enumerate(names) if name in STEPS]
    others = [number for number, name in enumerate(names) if name not in STEPS]
    at_steps = min(len(steps), count * 4 // 5)
    drawn = source.sample(steps, at_steps) + source.sample(others, count - at_steps)
    source.shuffle(drawn)
    return drawn


def require_whole(chain: Chain, client: Any, golden: dict[str, str], pid: int) -> None:
    """The next run makes it all, and nothing is left."""
    ran = chain.run(chain.bundle)
    assert ran.status == 0, ran.said
    assert chain.made() == golden
    assert chain.leftovers() == []
    assert containers_of(client, pid) == []


@promised(KILLED)
def test_kill_at_a_point(chain: Chain, client: Any, undisturbed: Undisturbed, trial: Trial) -> None:
    for point in trial.cases(chosen(undisturbed.points, trial.random("kill"), 150), short=2):
        chain.rewind()
        ran = chain.run(chain.bundle, Plan((point,), (signal.SIGKILL,)))
        assert ran.status in (-signal.SIGKILL, 0), f"point {point}: {ran.said}"
        require_whole(chain, client, undisturbed.products, ran.pid)


@promised(KILLED)
def test_kill_at_any_time(chain: Chain, client: Any, undisturbed: Undisturbed, trial: Trial) -> None:
    source = trial.random("time")
    for _ in trial.times(long=50, short=1):
        chain.rewind()
        process = chain.start(chain.bundle)
        timer = threading.Timer(source.random() * undisturbed.seconds, process.kill)
        timer.start()
        process.communicate(timeout=NET)
        timer.cancel()
        require_whole(chain, client, undisturbed.products, process.pid)


@promised(KILLED, control=True)
def test_without_one_rename_and_records_half_a_bundle_is_used(chain: Chain, golden: dict[str, str]) -> None:
    chain.forget(Stage.BUNDLE, Stage.DEB)
    assert chain.run(chain.bundle, Plan(without=("one rename",))).status == -signal.SIGKILL
    ran = chain.run(chain.bundle, Plan(without=("damage",)))
    assert ran.status != 0 or chain.made() != golden


@promised(KILLED, control=True)
def test_without_reaping_and_sweeping_container_and_folder_stay(
    chain: Chain, client: Any, golden: dict[str, str], calls: list[str]
) -> None:
    chain.forget(Stage.DEB)
    process = stop_in_container(chain, calls, signal.SIGKILL)
    assert chain.run(chain.bundle, Plan(without=("reap", "sweep"))).status == 0
    assert containers_of(client, process.pid) != []
    assert chain.leftovers() != []
    chain.forget(Stage.DEB)
    require_whole(chain, client, golden, process.pid)


def stop_in_container(
    chain: Chain, calls: list[str], number: signal.Signals, plan: Plan | None = None
) -> subprocess.Popen[str]:
    """A run that got a signal while its container was there, and has ended."""
    with DockerProxy(Fault(calls.index("POST /containers/X/wait"), How.STALLED)) as proxy:
        process = chain.start(chain.bundle, plan, DOCKER_HOST=proxy.host)
        assert proxy.failed.wait(NET)
        process.send_signal(number)
        process.communicate(timeout=NET)
    return process


STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@promised(STOPPED)
def test_a_stop_at_a_point(chain: Chain, client: Any, undisturbed: Undisturbed, trial: Trial) -> None:
    points, golden = undisturbed.points, undisturbed.products
    drawn = chosen(points, trial.random("stop"), 60)
    for point, number in trial.cases(zip(drawn, STOPS * len(drawn), strict=False), short=3):
        chain.rewind()
        ran = chain.run(chain.bundle, Plan((point,), (number,)))
        where = f"point {point} ({points[point]}), signal {number}: {ran.status}\n{ran.said}"
        assert ran.status in (130, 0), where
        assert "Traceback" not in ran.said, where
        assert ran.status == 130 or chain.made() == golden, where
        assert chain.leftovers() == [], where
        assert containers_of(client, ran.pid) == [], where
        require_whole(chain, client, golden, ran.pid)


@promised(STOPPED, control=True)
def test_without_handlers_something_is_left(
    chain: Chain, client: Any, golden: dict[str, str], calls: list[str]
) -> None:
    chain.forget(Stage.DEB)
    process = stop_in_container(chain, calls, signal.SIGHUP, Plan(without=("stops",)))
    assert process.returncode != 130
    assert containers_of(client, process.pid) != []
    assert chain.leftovers() != []
    require_whole(chain, client, golden, process.pid)


@promised(STOPPED)
def test_a_second_ctrl_c(chain: Chain, client: Any, undisturbed: Undisturbed, trial: Trial) -> None:
    source = trial.random("twice")
    for point in trial.cases(chosen(undisturbed.points, source, 40), short=1):
        chain.rewind()
        plan = Plan((point, point + 1 + source.randrange(4)), (signal.SIGINT, signal.SIGINT))
        ran = chain.run(chain.bundle, plan)
        assert ran.status in (130, 0), f"{plan}: {ran.said}"
        assert "Traceback" not in ran.said, f"{plan}: {ran.said}"
        require_whole(chain, client, undisturbed.products, ran.pid)


def run_into_closed_pipe(chain: Chain, streams: Sequence[str], plan: Plan) -> int:
    """The exit status of a run, some of whose streams lead into a pipe that nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.Popen(
        plan.command(chain.bundle),
        cwd=chain.root,
        env=chain.env(),
        stdin=subprocess.DEVNULL,
        stdout=writer if "stdout" in streams else subprocess.DEVNULL,
        stderr=writer if "stderr" in streams else subprocess.DEVNULL,
    )
    os.close(writer)
    return process.wait(NET)


@promised(UNREAD)
def test_a_pipe_without_a_reader(chain: Chain, golden: dict[str, str], trial: Trial) -> None:
    ways = [("stdout",), ("stderr",), ("stdout", "stderr")]
    for streams in trial.cases(ways, short=1):
        chain.rewind()
        assert run_into_closed_pipe(chain, streams, Plan()) == 0
        assert chain.made() == golden
        assert chain.leftovers() == []


@promised(UNREAD, control=True)
def test_without_lasting_output_the_first_word_ends_the_work(chain: Chain, golden: dict[str, str]) -> None:
    chain.forget(Stage.BUNDLE, Stage.DEB)
    run_into_closed_pipe(chain, ("stderr",), Plan(without=("lasting output",)))
    assert chain.made() == {}


@promised(UNREAD)
def test_a_terminal_that_is_closed(chain: Chain, client: Any, golden: dict[str, str], trial: Trial) -> None:
    source = trial.random("terminal")
    for _ in trial.times(long=20, short=1):
        chain.rewind()
        child, terminal = pty.fork()
        if child == 0:
            os.chdir(chain.root)
            os.execve(Plan().command(())[0], Plan().command(chain.bundle), chain.env())
        shown = 0
        wanted = source.randrange(1, 3000)
        while shown < wanted:
            try:
                shown += len(os.read(terminal, 256))
            except OSError:  # it has ended
                break
        os.close(terminal)
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        assert code in (130, 0, -signal.SIGHUP)  # the last one when all is done, and nobody listens any more
        assert code == 130 or chain.made() == golden
        assert chain.leftovers() == []
        assert containers_of(client, child) == []
        require_whole(chain, client, golden, child)
