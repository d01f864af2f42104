"""Ctrl-C and SIGTERM as a question that the loop asks between two steps."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Interruption", "watch_signals"]


class Interruption:
    """Whether the user, or the machine's scheduler, has asked the run to stop."""

    requested = False


@contextmanager
def watch_signals() -> Iterator[Interruption]:
    """Turn the first Ctrl-C or SIGTERM into a request; a second Ctrl-C stops at once, as it always does.

    Outside the main thread, where signals cannot be caught, the request simply never comes. A signal that the parent
    process has set to be ignored stays ignored: a shell does so for background jobs, which a Ctrl-C meant for the job
    in the foreground must not stop.
    """
    interruption = Interruption()

    def request(number: int, frame: FrameType | None) -> None:
        if interruption.requested and number == signal.SIGINT:
            raise KeyboardInterrupt
        interruption.requested = True

    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    # None is a handler that was not installed from Python: it could not be put back.
    watched = {number: handler for number, handler in previous.items() if handler not in (signal.SIG_IGN, None)}
    for number in watched:
        signal.signal(number, request)
    try:
        yield interruption
    finally:
        for number, handler in watched.items():
            signal.signal(number, handler)
