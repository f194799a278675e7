"""`parallel_map` runs one item on one core, in as many threads as the task has."""

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


def test_results_are_in_the_order_of_the_items(three_threads) -> None:
    assert device.parallel_map(lambda n: n * n, range(50)) == [n * n for n in range(50)]


def test_all_threads_of_the_task_work_each_on_one_core(three_threads) -> None:
    meeting = threading.Barrier(3)

    def work(_: int) -> int:
        meeting.wait(timeout=30)  # raises if fewer threads work at once
        return torch.get_num_threads()

    assert device.parallel_map(work, range(3)) == [1, 1, 1]


def test_an_error_in_a_thread_reaches_the_caller(three_threads) -> None:
    with pytest.raises(ZeroDivisionError):
        device.parallel_map(lambda n: 1 // n, [1, 0])
