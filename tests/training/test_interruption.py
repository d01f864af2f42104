"""Signals while a model is trained."""

import os
import signal

import pytest

from headway.training.interruption import watch_signals


@pytest.fixture
def handlers():
    """The tests' own process hears both signals, and gets its handlers back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_a_request_and_the_old_handler_comes_back(handlers, number):
    heard = []

    def handler(number, frame):
        heard.append(number)

    signal.signal(number, handler)
    with watch_signals() as interruption:
        assert not interruption.requested
        os.kill(os.getpid(), number)
        assert interruption.requested
    assert not heard
    assert signal.getsignal(number) is handler


def test_a_second_ctrl_c_stops_at_once(handlers):
    with watch_signals():
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_what_the_parent_process_had_ignored_stays_ignored(handlers):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with watch_signals() as interruption:
        os.kill(os.getpid(), signal.SIGINT)
        assert not interruption.requested
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
