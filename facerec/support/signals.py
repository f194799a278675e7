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

    def ask(self, number: int) -> None:
        """Note that the signal `number` has come."""
        self._asked = signal.Signals(number).name

    def check(self) -> None:
        """Raise Interrupted if a signal has come."""
        if self._asked:
            raise Interrupted(f"stopped by {self._asked}; run the same command again to go on")


@contextmanager
def stop_on_signals(at_once: bool = False) -> Iterator[Stop]:
    """Turn `SIGNALS` into a `Stop` for the length of the block; outside the main thread none arrives.

    Args:
        at_once: raise Interrupted wherever the program is, for what need not be finished.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def ask(number: int, _frame: object) -> None:
        stop.ask(number)
        if at_once:
            stop.check()

    before = {number: signal.signal(number, ask) for number in SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
