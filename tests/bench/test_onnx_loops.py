"""The comparison with other libraries divides costs of one round, and leaves out what is not installed."""

from __future__ import annotations

import pytest

from bench import onnx_loops
from bench.measure import Cost


def test_a_ratio_is_of_one_round_since_the_machine_changes_between_rounds() -> None:
    rounds = [
        {"facerec": Cost(1, 2), "other": Cost(3, 4)},
        {"facerec": Cost(10, 20), "other": Cost(20, 60)},
        {"facerec": Cost(2, 4), "other": Cost(2, 10)},
    ]
    assert onnx_loops.ratios(rounds) == {"other / facerec": {"cpu": [2.5, 2, 3], "wall": [2, 1, 3]}}


def test_the_cost_of_a_frame_is_the_median_round_over_its_frames() -> None:
    rounds = [{"facerec": Cost(1, seconds)} for seconds in (2.0, 9.0, 3.0)]
    assert onnx_loops.costs(rounds, 30)["facerec"]["cpu_ms_a_frame"] == 100


def test_a_library_that_is_not_installed_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_loops, "find_spec", lambda name: object() if name == "uniface" else None)
    assert onnx_loops.installed() == ["uniface"]
