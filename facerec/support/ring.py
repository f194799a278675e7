"""Bounds for the memory of a pipeline: a ring of reusable buffers, and a pool with few waiting calls."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Generic, ParamSpec, TypeVar

Buffer = TypeVar("Buffer")
Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class RingClosed(Exception):
    """The ring was closed while a thread waited for a buffer, because the pipeline ends."""


class Ring(Generic[Buffer]):
    """A fixed number of buffers, which go round between a thread that fills and threads that empty them.

    Args:
        buffers: at least one.
    """

    def __init__(self, buffers: Iterable[Buffer]) -> None:
        self._free = deque(buffers)
        self._closed = False
        self._changed = threading.Condition()

    def acquire(self) -> Buffer:
        """Wait for a free buffer.

        Raises:
            RingClosed: the ring was closed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._free or self._closed)
            if self._closed:
                raise RingClosed
            return self._free.pop()  # the one used last, which the processor's caches may still hold

    def release(self, buffer: Buffer) -> None:
        """Give back a buffer that nobody reads any more."""
        with self._changed:
            self._free.append(buffer)
            self._changed.notify()

    @contextmanager
    def open(self) -> Iterator[None]:
        """Close the ring at the end of the block, which wakes a thread that waits for a buffer.

        It must be the innermost block, so that threads are awake when the blocks outside wait for them.
        """
        try:
            yield
        finally:
            with self._changed:
                self._closed = True
                self._changed.notify_all()


class BoundedPool:
    """A pool of threads with at most `waiting` calls that have not ended; it ends with the block.

    Args:
        threads: number of threads; with one, `submit` makes the call itself, as there is no core for more.
        name: of the threads.
        waiting: number of calls; `submit` waits while there are more.
    """

    def __init__(self, threads: int, name: str, waiting: int) -> None:
        self._threads = ThreadPoolExecutor(threads, name) if threads > 1 else None
        self._places = threading.Semaphore(waiting)

    def submit(
        self, work: Callable[Parameters, Result], *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Future[Result]:
        """Call `work` in one of the threads; it must not wait for later calls."""
        if self._threads is None:
            done: Future[Result] = Future()
            try:
                done.set_result(work(*args, **kwargs))
            except Exception as error:
                done.set_exception(error)
            return done
        self._places.acquire()
        try:
            future = self._threads.submit(work, *args, **kwargs)
        except BaseException:
            self._places.release()
            raise
        future.add_done_callback(lambda _: self._places.release())
        return future

    def __enter__(self) -> BoundedPool:
        return self

    def __exit__(self, *error: object) -> None:
        if self._threads is not None:
            self._threads.shutdown(wait=True, cancel_futures=True)
