"""Generators that run ahead of their reader, each in a thread of its own, with bounded queues between.

Decoding, inference, and compressing pictures all release Python's lock, so a chain of stages takes as
long as its slowest one alone, and holds no more than `depth` items between two of them.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")

_POLL_S = 0.1  # how soon a stage notices that nobody reads it any more


class Profile:
    """Busy seconds of each stage of a pipeline; waiting for a neighbour does not count."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def time(self, stage: str) -> Iterator[None]:
        """Count the block as work of `stage`. Each stage is timed by one thread only."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - begun

    def timed(self, stage: str, items: Iterable[Item]) -> Iterator[Item]:
        """`items`, with the time it takes to make each counted as work of `stage`."""
        source = iter(items)
        while True:
            with self.time(stage):
                try:
                    item = next(source)
                except StopIteration:
                    return
            yield item


@contextmanager
def prefetch(items: Iterator[Item], depth: int) -> Iterator[Iterator[Item]]:
    """Run a generator in a thread, at most `depth` items ahead of its reader.

    What the generator raises is raised at the reader. Leaving the block stops the thread and closes
    the generator.
    """
    ready: queue.Queue[tuple[bool, Item | BaseException | None]] = queue.Queue(depth)
    stop = threading.Event()

    def put(entry: tuple[bool, Item | BaseException | None]) -> bool:
        while not stop.is_set():
            try:
                ready.put(entry, timeout=_POLL_S)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for item in items:
                if not put((True, item)):
                    break
            else:
                put((False, None))
        except BaseException as error:
            put((False, error))
        finally:
            close = getattr(items, "close", None)
            if close:
                close()

    def read() -> Iterator[Item]:
        while True:
            more, item = ready.get()
            if more:
                yield item  # type: ignore[misc]  # an Item by construction
            elif isinstance(item, BaseException):
                raise item
            else:
                return

    thread = threading.Thread(target=work, name="prefetch", daemon=True)
    thread.start()
    try:
        yield read()
    finally:
        stop.set()
        thread.join()
