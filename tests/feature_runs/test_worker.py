"""A worker: what it skips, leaves to others and takes over from them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from facerec.feature_runs import worker as module
from facerec.feature_runs.claims import STALE_SECONDS, Claims
from facerec.feature_runs.index import Index
from facerec.feature_runs.run_log import RunLog
from facerec.feature_runs.sources import Engine
from facerec.feature_runs.worker import Worker


class _Unit:
    def __init__(self, key: str, index: Index) -> None:
        self.key = self.label = key
        self._index = index
        self.runs = 0

    def is_done(self) -> bool:
        return self._index.get(self.key, "place") is not None

    def run(self, engine: Engine, advance: Callable[[int], None]) -> int:
        self.runs += 1
        self._index.add([{"item": self.key, "feature": "place", "reason": None}])
        return 0


@pytest.fixture
def index(tmp_path: Path) -> Index:
    return Index(tmp_path / "index.jsonl", tmp_path / ".lock")


def _run(tmp_path: Path, index: Index, units: list[_Unit]) -> int:
    with Claims(tmp_path / "claims") as claims:
        return Worker(cast(Any, None), claims, index, RunLog(tmp_path)).run(units)


def test_finished_units_and_those_of_other_workers_are_left_out(tmp_path: Path, index: Index) -> None:
    units = [_Unit(key, index) for key in "abcd"]
    index.add([{"item": "a", "feature": "place", "reason": None}])
    with Claims(tmp_path / "claims") as other, other.hold("c"):
        assert _run(tmp_path, index, units) == 1
    assert [unit.runs for unit in units] == [0, 1, 0, 1]
    assert _run(tmp_path, index, units) == 0
    assert [unit.runs for unit in units] == [0, 1, 1, 1]


def test_a_unit_that_another_worker_finished_just_before_is_not_done_again(
    tmp_path: Path, index: Index
) -> None:
    unit = _Unit("a", index)
    Index(tmp_path / "index.jsonl", tmp_path / ".lock").add(
        [{"item": "a", "feature": "place", "reason": None}]
    )
    assert not unit.is_done(), "the worker does not know yet"
    assert _run(tmp_path, index, [unit]) == 0
    assert unit.runs == 0


def _claim_of_another_machine(tmp_path: Path, age: float) -> Path:
    path = tmp_path / "claims" / "a.claim"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"item": "a", "machine": "another", "host": "node1", "pid": 1, "token": "x"}))
    os.utime(path, (time.time() - age,) * 2)
    return path


def test_a_worker_waits_until_a_claim_of_another_machine_is_stale(
    tmp_path: Path, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _claim_of_another_machine(tmp_path, STALE_SECONDS - 15)
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        past = path.stat().st_mtime - seconds
        os.utime(path, (past, past))

    monkeypatch.setattr(module.time, "sleep", sleep)
    monkeypatch.setattr(Claims, "doubtful_heartbeat", _without_change(Claims.doubtful_heartbeat))
    unit = _Unit("a", index)
    assert _run(tmp_path, index, [unit]) == 0
    assert unit.runs == 1 and len(waits) in (2, 3)


def _without_change(real: Callable[[Claims, str], float | None]) -> Callable[[Claims, str], float | None]:
    """The test's clock moves the heartbeat back instead of the time on."""

    def found(claims: Claims, item: str) -> float | None:
        return None if real(claims, item) is None else 1.0

    return found


def test_a_worker_does_not_wait_for_a_living_one(
    tmp_path: Path, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _claim_of_another_machine(tmp_path, 10)
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            os.utime(path)  # its next heartbeat

    monkeypatch.setattr(module.time, "sleep", sleep)
    unit = _Unit("a", index)
    assert _run(tmp_path, index, [unit]) == 1
    assert unit.runs == 0 and len(waits) == 2
