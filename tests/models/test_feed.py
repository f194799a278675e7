"""Models share a task's cores by frames, never by splitting a frame's work."""

from __future__ import annotations

import threading

import pytest
import torch

from facerec.models import device


@pytest.fixture()
def three_threads(monkeypatch):
    monkeypatch.setattr(device, "cpu_threads", lambda: 3)
    device._threads.cache_clear()
    yield
    device._threads.cache_clear()


def test_results_come_in_the_order_of_their_items(three_threads) -> None:
    assert device.parallel_map(lambda n: n * n, range(50)) == [n * n for n in range(50)]


def test_as_many_threads_work_as_the_task_was_given_each_on_one_core(three_threads) -> None:
    meeting = threading.Barrier(3)

    def work(_: int) -> int:
        meeting.wait(timeout=30)  # broken, and so an error, where fewer work at once
        return torch.get_num_threads()

    assert device.parallel_map(work, range(3)) == [1, 1, 1]


def test_what_fails_in_a_thread_fails_at_the_caller(three_threads) -> None:
    with pytest.raises(ZeroDivisionError):
        device.parallel_map(lambda n: 1 // n, [1, 0])
