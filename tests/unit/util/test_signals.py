"""A stop that comes while it is held back comes at the end."""

from __future__ import annotations

import signal
import threading

import pytest

from coralforge.util.signals import STOPPING, stop_held_back

pytestmark = pytest.mark.usefixtures("ctrl_c")


@pytest.mark.parametrize("number", STOPPING)
def test_it_comes_at_the_end(number: signal.Signals) -> None:
    came: list[str] = []

    def handler(_number: int, _frame: object) -> None:
        came.append("stop")

    signal.signal(number, handler)
    with stop_held_back():
        signal.raise_signal(number)
        came.append("end of the block")
    assert came == ["end of the block", "stop"]
    assert signal.getsignal(number) is handler


def test_it_comes_after_an_error_too() -> None:
    with pytest.raises(KeyboardInterrupt) as caught, stop_held_back():
        signal.raise_signal(signal.SIGINT)
        raise ValueError("in the block")
    assert isinstance(caught.value.__context__, ValueError)


def test_what_is_ignored_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with stop_held_back():
        signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_in_another_thread_there_is_nothing_to_hold_back() -> None:
    seen: list[object] = []

    def work() -> None:
        with stop_held_back():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]
