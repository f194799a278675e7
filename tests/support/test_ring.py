"""The ring and the bounded pool: bounded, woken at the end, and no call is lost after an error."""

from __future__ import annotations

import threading
import time
from concurrent.futures import CancelledError

import pytest

from facerec.support.ring import BoundedPool, Ring, RingClosed
from tests.processes import wait_until


def test_a_buffer_is_not_handed_out_twice_before_it_is_given_back() -> None:
    ring = Ring([object(), object()])
    first, second = ring.acquire(), ring.acquire()
    assert first is not second
    got: list[object] = []
    waiting = threading.Thread(target=lambda: got.append(ring.acquire()), daemon=True)
    waiting.start()
    time.sleep(0.05)
    assert not got
    ring.release(second)
    waiting.join(timeout=10)
    assert got == [second]


def test_a_thread_that_waits_for_a_buffer_is_woken_at_the_end() -> None:
    ring: Ring[int] = Ring([1])
    ring.acquire()
    errors: list[BaseException] = []

    def wait() -> None:
        try:
            ring.acquire()
        except RingClosed as error:
            errors.append(error)

    waiting = threading.Thread(target=wait, daemon=True)
    with pytest.raises(ZeroDivisionError), ring.open():
        waiting.start()
        raise ZeroDivisionError
    waiting.join(timeout=10)
    assert len(errors) == 1
    with pytest.raises(RingClosed):
        ring.acquire()


def test_submitting_waits_while_too_many_calls_have_not_ended() -> None:
    go, submitted = threading.Event(), []

    def submit_all(pool: BoundedPool) -> None:
        for number in range(6):
            pool.submit(go.wait, 30)
            submitted.append(number)

    with BoundedPool(2, "test", waiting=3) as pool:
        feeder = threading.Thread(target=submit_all, args=(pool,), daemon=True)
        feeder.start()
        wait_until(lambda: len(submitted) == 3)
        time.sleep(0.05)
        assert len(submitted) == 3
        go.set()
        feeder.join(timeout=10)
        assert len(submitted) == 6


def test_calls_that_fail_give_their_places_back() -> None:
    def fail(number: int) -> None:
        raise LookupError(f"frame {number}")

    with BoundedPool(2, "test", waiting=2) as pool:
        futures = [pool.submit(fail, number) for number in range(8)]
        for number, future in enumerate(futures):
            with pytest.raises(LookupError, match=f"frame {number}"):
                future.result(timeout=10)


def test_calls_that_wait_at_the_end_are_cancelled_and_their_submitter_goes_on() -> None:
    go = threading.Event()
    with BoundedPool(2, "test", waiting=3) as pool:
        running, _, waiting = (pool.submit(go.wait, 30) for _ in range(3))
        threading.Timer(0.05, go.set).start()
    assert running.result(timeout=10)
    with pytest.raises(CancelledError):
        waiting.result(timeout=10)
    for _ in range(4):  # no thread waits for ever for a place
        with pytest.raises(RuntimeError):
            pool.submit(go.wait)


def test_one_thread_means_the_callers_and_errors_come_with_the_result() -> None:
    def where(fail: bool) -> str:
        if fail:
            raise LookupError("frame 3")
        return threading.current_thread().name

    with BoundedPool(1, "test", waiting=1) as pool:
        good, bad, later = pool.submit(where, False), pool.submit(where, True), pool.submit(where, False)
    assert good.result() == later.result() == threading.current_thread().name
    with pytest.raises(LookupError, match="frame 3"):
        bad.result()
