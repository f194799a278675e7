"""The progress of features, as the launcher reads it."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from facerec.feature_runs.index import Index
from facerec.feature_runs.progress import Progress


def test_threads_read_the_index_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    progress = Progress(tmp_path, [])
    inside: list[int] = []
    together: list[int] = []

    def refresh(_: Index) -> None:
        inside.append(1)
        time.sleep(0.01)
        together.append(len(inside))
        inside.pop()

    monkeypatch.setattr(Index, "refresh", refresh)
    threads = [threading.Thread(target=progress.unfinished, args=(1, [0])) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == [1, 1, 1]
