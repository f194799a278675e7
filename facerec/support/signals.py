"""SIGTERM and SIGUSR2 as requests to stop: SLURM sends them before preemption and at the time limit."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from facerec.errors import Interrupted

SIGNALS = (signal.SIGTERM, signal.SIGUSR2)


class StopRequest:
    """Records a request to stop; the program checks it where it can stop cleanly."""

    def __init__(self) -> None:
        self._signal: str | None = None

    def set(self, number: int) -> None:
        """Record the signal `number`."""
        self._signal = signal.Signals(number).name

    def check(self) -> None:
        """Raise Interrupted if a signal was recorded."""
        if self._signal:
            raise Interrupted(f"stopped by {self._signal}; run the same command again to continue")


@contextmanager
def stop_on_signals(immediately: bool = False) -> Iterator[StopRequest]:
    """Record `SIGNALS` in a `StopRequest` during the block.

    Outside the main thread, where Python allows no signal handlers, nothing is recorded.

    Args:
        immediately: raise Interrupted as soon as a signal arrives, wherever the program is.
    """
    stop = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def handle(number: int, _frame: object) -> None:
        stop.set(number)
        if immediately:
            stop.check()

    previous = {number: signal.signal(number, handle) for number in SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
