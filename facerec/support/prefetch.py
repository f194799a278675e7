"""Pipelines of generators, each in its own thread, with bounded queues between them.

Decoding, inference and JPEG compression release Python's global lock, so a pipeline takes about as long as
its slowest stage and holds at most `depth` items between two stages.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")

_POLL_SECONDS = 0.1  # until a waiting producer notices that its consumer has stopped


class Profile:
    """Measures the busy seconds of each pipeline stage, without the time spent waiting for other stages.

    Seconds of several threads in one stage are added up.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._lock = threading.Lock()

    @contextmanager
    def time(self, stage: str) -> Iterator[None]:
        """Count the block as work of `stage`."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.add(stage, time.perf_counter() - begun)

    def add(self, stage: str, seconds: float) -> None:
        """Count seconds as work of `stage`."""
        with self._lock:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds

    def timed(self, stage: str, items: Iterable[Item]) -> Iterator[Item]:
        """Iterate over `items` and count the time each takes to produce as work of `stage`."""
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
    """Run a generator in a thread, at most `depth` items ahead of its consumer.

    An exception of the generator is raised in the consumer. Leaving the block stops the thread and closes
    the generator.

    Yields:
        An iterator over the generator's items, in order.
    """
    ready: queue.Queue[tuple[bool, Item | BaseException | None]] = queue.Queue(depth)
    stop = threading.Event()

    def put(entry: tuple[bool, Item | BaseException | None]) -> bool:
        while not stop.is_set():
            try:
                ready.put(entry, timeout=_POLL_SECONDS)
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
