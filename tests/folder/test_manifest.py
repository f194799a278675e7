"""What the manifest recorded, also where an earlier release or an editor left something else."""

from __future__ import annotations

from typing import Any

import pytest

from facerec.folder.manifest import (
    recorded_missing,
    recorded_poor_pages,
    recorded_tracking,
    recorded_warnings,
)
from facerec.settings import TrackSettings
from tests.folder.test_plan import _plan


@pytest.mark.parametrize(
    ("shards", "missing"),
    [
        ({"missing": "1-2"}, {1, 2}), ({"missing": ""}, set()), ({"missing": None}, set()), ({}, set()),
        ({"missing": [1]}, set()), ({"missing": 1}, set()), ({"missing": "9"}, set()), ([], set()),
    ],
)  # fmt: skip
def test_missing_shards_are_those_that_the_merge_recorded(shards: Any, missing: set[int]) -> None:
    assert recorded_missing({"shards": shards}, _plan()) == missing
    assert recorded_missing({}, _plan()) == set()


def merged(settings: dict[str, Any], every: dict[str, Any]) -> dict[str, Any]:
    return {"stages": {"merge_shards": {"settings": settings}}, "settings": every}


@pytest.mark.parametrize(
    ("every", "gap"), [({}, 7), ({"detect_every": 1}, 7), ({"detect_every": 3}, 8), ({"detect_every": 8}, 7),
                       ({"detect_every": 9}, 8), ({"detect_every": 0}, 7), ({"detect_every": "3"}, 7)]
)  # fmt: skip
def test_the_longest_gap_of_a_track_is_in_frames_of_the_film(every: dict[str, Any], gap: int) -> None:
    assert recorded_tracking(merged({"max_gap": 7, "iou_threshold": 0.3}, every)) == TrackSettings(
        max_gap=gap, iou_threshold=0.3
    )


def test_settings_that_were_not_recorded_are_the_defaults() -> None:
    assert recorded_tracking({}) == recorded_tracking(merged({}, {})) == TrackSettings()
    assert recorded_tracking(merged({"max_gap": None, "min_trajectory": 5}, {})) == TrackSettings()


@pytest.mark.parametrize(
    ("pages", "warnings", "read"),
    [([4, "5", 6.0], ["a"], ({4}, ["a"])), (4, "a", (set(), [])), (None, None, (set(), []))],
)
def test_pages_and_warnings_that_were_not_recorded_are_none(pages: Any, warnings: Any, read: object) -> None:
    reports = {"cluster": {"poor_pages": pages}, "merge_shards": {"warnings": warnings}}
    manifest = {"stages": {stage: {"report": report} for stage, report in reports.items()}}
    assert (recorded_poor_pages(manifest), recorded_warnings(manifest)) == read
    assert recorded_poor_pages({}) == frozenset() and recorded_warnings({}) == []
