"""The log of a run."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from unittest import mock

import pytest

from facerec.feature_runs import run_log
from facerec.feature_runs.run_log import RunLog


def test_the_log_names_the_run_and_what_it_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURMD_NODENAME", "node 1")
    log = RunLog(tmp_path)
    assert re.fullmatch(rf"log_node_1_{os.getpid()}_\d+\.json", log.path.name)
    assert json.loads(log.path.read_text())["shards"] == []
    log.add("shard-000000")
    log.add("shard-000002")
    log.close()
    found = json.loads(log.path.read_text())
    assert found.keys() == {"hostname", "pid", "timestamp", "time", "shards"}
    assert (found["hostname"], found["pid"]) == ("node 1", os.getpid())
    assert found["shards"] == ["shard-000000", "shard-000002"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?", found["time"])


def test_a_killed_run_leaves_what_it_had_finished(tmp_path: Path) -> None:
    log = RunLog(tmp_path)
    log.add("a")
    with mock.patch.object(run_log, "WRITE_SECONDS", 0.0):
        log.add("b")
    assert json.loads(log.path.read_text())["shards"] == ["a", "b"]
