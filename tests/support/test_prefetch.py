"""Prefetching threads: bounded, in order, ended with the block, and errors reach the consumer."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facerec.support.prefetch import Profile, prefetch


def _running() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "prefetch"]


@given(st.lists(st.integers(), max_size=30), st.integers(1, 5), st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_order_is_kept_through_several_stages(items: list[int], depth: int, stages: int) -> None:
    def through(source: Iterator[int], left: int) -> list[int]:
        if not left:
            return list(source)
        with prefetch((item for item in source), depth) as read:
            return through(read, left - 1)

    assert through(iter(items), stages) == items
    assert not _running()


def test_an_error_reaches_the_consumer_after_the_items_before_it() -> None:
    def failing() -> Iterator[int]:
        yield 1
        yield 2
        raise LookupError("frame 3")

    seen = []
    with (
        pytest.raises(LookupError, match="frame 3"),
        prefetch(failing(), 1) as first,
        prefetch((10 * item for item in first), 1) as second,
    ):
        for item in second:
            seen.append(item)  # noqa: PERF402 — keep the items received before the error
    assert seen == [10, 20]
    assert not _running()


def test_a_consumer_that_stops_early_ends_the_thread_and_closes_the_source() -> None:
    closed = threading.Event()

    def endless() -> Iterator[int]:
        try:
            number = 0
            while True:
                yield number
                number += 1
        finally:
            closed.set()

    with prefetch(endless(), 2) as first, prefetch((item + 1 for item in first), 2) as second:
        assert next(second) == 1
    assert closed.is_set() and not _running()


def test_a_consumer_that_fails_ends_the_thread() -> None:
    with pytest.raises(ZeroDivisionError), prefetch(iter(range(1000)), 1) as read:
        next(read)
        raise ZeroDivisionError
    assert not _running()


def test_at_most_depth_items_are_prefetched() -> None:
    made: list[int] = []

    def source() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            yield number

    with prefetch(source(), 3) as read:
        for seen, _ in enumerate(read):
            time.sleep(0.002)
            assert len(made) <= seen + 1 + 3 + 1  # consumed, queued, and one waiting for the queue


def test_waiting_is_not_counted_as_busy_time() -> None:
    clock = [0.0]
    profile = Profile()

    def slow() -> Iterator[int]:
        for number in range(3):
            clock[0] += 2
            yield number

    with mock.patch("time.perf_counter", lambda: clock[0]):
        for _ in profile.timed("decode", slow()):
            clock[0] += 100
        with profile.time("write"):
            clock[0] += 1
    assert profile.seconds == {"decode": 6.0, "write": 1.0}
