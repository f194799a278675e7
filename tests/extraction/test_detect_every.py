"""With --detect-every K the boxes between are interpolated, and nothing else changes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facerec import extract
from facerec.errors import InputError
from facerec.folder.layout import MovieFolder
from facerec.folder.readers import read_trajectories
from facerec.folder.records import Trajectory
from facerec.settings import TrackSettings
from facerec.tracking.tracker import track
from facerec.tracking.trajectories import track_sampled_frames
from tests.toy import MOVIE, Story, results, run_extract, run_merge

CUTS = (13, 31)
STORY = Story(50, cuts=CUTS, unseen=frozenset(range(38, 42)))


@pytest.fixture(scope="module")
def film(tmp_path_factory) -> Path:
    return STORY.make(tmp_path_factory.mktemp("films") / f"{MOVIE}-Film.mp4")


def trajectories(film: Path, out: Path, every: int, n: int = 1) -> tuple[MovieFolder, list[Trajectory]]:
    options = ("--detect-every", str(every), "--save-every", str(2 * every))
    folder = run_merge(run_extract(film, out, n, *options))
    return folder, read_trajectories(folder.trajectories, MOVIE)


@pytest.mark.parametrize("every", [2, 3, 12])
def test_boxes_are_detected_on_every_nth_frame_and_no_trajectory_crosses_a_cut(
    film: Path, tmp_path: Path, every: int
) -> None:
    folder, found = trajectories(film, tmp_path, every)
    assert found
    for one in found:
        assert set((one.start + np.flatnonzero(one.detected)) % every) == {0}
        assert not any(one.start < cut < one.end for cut in CUTS)
    assert {json.loads(line)["frame"] % (2 * every) for line in folder.features.open()} == {0}


def test_interpolated_boxes_lie_where_the_faces_are(film: Path, tmp_path: Path) -> None:
    """The toy faces turn about now and then; elsewhere they move evenly."""
    _, every_frame = trajectories(film, tmp_path / "1", 1)
    _, every_third = trajectories(film, tmp_path / "3", 3)
    truth = {(one.start + i, *box) for one in every_frame for i, box in enumerate(one.boxes.tolist())}
    for one in every_third:
        for frame, box in enumerate(one.boxes, one.start):
            near = [np.abs(box - other).max() for at, *other in truth if at == frame]
            assert min(near) <= 3


def test_the_number_of_shards_changes_nothing(film: Path, tmp_path: Path) -> None:
    one, _ = trajectories(film, tmp_path / "1", 3)
    seven, _ = trajectories(film, tmp_path / "7", 3, n=7)
    assert results(one) == results(seven)


def test_detect_every_must_divide_save_every(film: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must divide --save-every 5"):
        extract.main(["--detect-every", "2", "--out", str(tmp_path), str(film)])


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 60)), max_size=40, unique=True), st.integers(2, 5)
)
def test_tracking_of_sampled_frames_equals_tracking_of_a_film_of_those_frames(faces, every) -> None:
    frames = np.array([frame for frame, _ in faces], np.int64)
    boxes = np.array([(x, 0, x + 30, 30) for _, x in faces], np.int64).reshape(-1, 4)
    settings = TrackSettings(max_gap=3 * every)
    sparse = track_sampled_frames(every, frames * every, boxes, [every * 7 - 1], settings)
    dense = track(frames, boxes, [7], TrackSettings(max_gap=3))
    assert [one.detection_ids.tolist() for one in sparse] == [one.detection_ids.tolist() for one in dense]
    assert [(one.frames // every).tolist() for one in sparse] == [one.frames.tolist() for one in dense]
