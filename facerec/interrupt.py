"""SIGTERM and SIGUSR2 as a request: SLURM sends them before it takes a node away or time runs out."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from facerec.errors import Interrupted

SIGNALS = (signal.SIGTERM, signal.SIGUSR2)


class Stop:
    """Whether this process was asked to stop; looked at where stopping is clean."""

    def __init__(self) -> None:
        self._asked: str | None = None

    def ask(self, number: int, _frame: object = None) -> None:
        self._asked = signal.Signals(number).name

    def check(self) -> None:
        """Raise Interrupted if a signal has come."""
        if self._asked:
            raise Interrupted(
                f"stopped by {self._asked} at a clean point; run the same command again to go on"
            )


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """Turn `SIGNALS` into a `Stop` for the length of the block; outside the main thread none arrives."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, stop.ask) for number in SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
