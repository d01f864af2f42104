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

    Outside the main thread, where signals cannot be caught, the request simply never comes.
    """
    interruption = Interruption()

    def request(number: int, frame: FrameType | None) -> None:
        if interruption.requested and number == signal.SIGINT:
            raise KeyboardInterrupt
        interruption.requested = True

    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return
    previous = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interruption
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
