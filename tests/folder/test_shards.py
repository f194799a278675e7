"""A shard is done if its marker is of the plan, describes its files, and skips only its own frames."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from facerec.errors import PlanError
from facerec.folder.layout import MovieFolder
from facerec.folder.shards import done_markers, marker_bytes, read_marker, result_files
from tests.folder.test_plan import _plan

REPORT = {"skipped": [15, 19], "dimension": 16, "same_person": 1.1, "frames": 7, "seconds": 0.5}


@pytest.fixture
def folder(tmp_path: Path) -> MovieFolder:
    """Shard 2 of four, frames 15 to 22, is done."""
    made = MovieFolder(tmp_path / "7-data")
    made.create()
    plan = _plan()
    for path in result_files(made, plan, *plan.range_of(2)):
        path.write_bytes(b"made")
    beg, end = plan.range_of(2)
    made.shard(beg, end).marker.write_bytes(marker_bytes(made, plan, beg, end, made.path, REPORT))
    return made


def test_a_shard_with_skipped_frames_is_done(folder: MovieFolder) -> None:
    reasons: dict[int, str] = {}
    markers = done_markers(folder, _plan(), on_not_done=reasons.__setitem__)
    assert list(markers) == [2] and markers[2]["report"] == REPORT
    assert list(reasons) == [0, 1, 3]
    assert done_markers(folder, _plan(n=5)) == {}


@pytest.mark.parametrize("skipped", [None, [14], [23], [15, 22.0], ["15"], {"15": 1}])
def test_a_marker_that_does_not_name_its_own_skipped_frames_is_refused(
    folder: MovieFolder, skipped: object
) -> None:
    beg, end = _plan().range_of(2)
    marker = folder.shard(beg, end).marker
    record = json.loads(marker.read_bytes())
    record["report"]["skipped"] = skipped
    marker.write_text(json.dumps(record))
    with pytest.raises(PlanError, match="the report must name the skipped frames"):
        read_marker(folder, _plan(), beg, end)


def test_a_file_of_another_size_or_content_is_not_done(folder: MovieFolder) -> None:
    path = result_files(folder, _plan(), *_plan().range_of(2))[0]
    path.write_bytes(b"mode")
    assert done_markers(folder, _plan()) == {} and list(
        done_markers(folder, _plan(), verify_hashes=False)
    ) == [2]
    path.write_bytes(b"longer")
    assert done_markers(folder, _plan(), verify_hashes=False) == {}


def test_a_plan_without_miniatures_has_shards_without_them(folder: MovieFolder) -> None:
    new, old = _plan(), _plan(results_version=None)
    assert new.has_miniatures and not old.has_miniatures
    assert set(result_files(folder, new, 15, 23)) - set(result_files(folder, old, 15, 23)) == {
        folder.shard(15, 23).miniatures
    }
