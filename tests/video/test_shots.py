"""Cuts: PySceneDetect's adaptive rule, and what differs near the ends of a film."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scenedetect import FrameTimecode
from scenedetect.detectors import AdaptiveDetector

import facerec.video.shots as shot_module
from facerec.geometry import MINIATURE_BYTES
from facerec.settings import ShotSettings
from facerec.video.film import open_film, read_decoded
from facerec.video.miniature import LUMA_BYTES
from facerec.video.shots import adaptive_cuts, find_cuts
from tests.miniatures import still

WINDOW = ShotSettings.window
CUTS = {
    "10001-HamiltonAtTheWhiteHouse": [20, 82, 211],
    "10002-Chaplin": [],
    "10003-StreetCrowd": [],
    "10004-BasketballRobot": [42, 142, 251, 441, 478, 620, 659, 757, 859],
    "10005-Anamorphic": [70, 170, 301, 421, 484],
    "10006-VariableFrameRate": [60, 140],
}


def miniatures_of(film: Path) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    opened = open_film(film)
    read = [(one.number, one.miniature()) for one in read_decoded(opened, 0, opened.frame_count)]
    return np.array([n for n, _ in read]), np.stack([one for _, one in read])


def cuts_in(changes: list[float], settings: ShotSettings | None = None) -> list[int]:
    found = np.array([np.nan, *changes[1:]])
    return adaptive_cuts(np.arange(len(changes)), found, settings or ShotSettings())


class GivenScores(AdaptiveDetector):
    """The library's rule applied to given scores."""

    scores: list[float]

    def _calculate_frame_score(self, timecode: FrameTimecode, frame_img: object) -> float:
        return self.scores[timecode.frame_num]


quiet = st.floats(0, 14)
loud = st.one_of(quiet, st.floats(15, 90), st.just(40.0), st.just(0.0))


@given(st.lists(loud, max_size=60))
def test_between_the_ends_cuts_equal_the_librarys(middle: list[float]) -> None:
    # the library finds no cuts near the ends, and counts the first frame as one
    pad = [3.0] * (ShotSettings.min_shot + WINDOW)
    scores = [0.0, *pad, *middle, *pad]
    settings = ShotSettings()
    detector = GivenScores(
        adaptive_threshold=settings.adaptive_ratio,
        min_content_val=settings.min_change,
        window_width=settings.window,
        min_scene_len=settings.min_shot,
    )
    detector.scores = scores
    found = [detector.process_frame(FrameTimecode(n, 25.0), None) for n in range(len(scores))]
    assert cuts_in(scores) == [cut.frame_num for cuts in found for cut in cuts]


@pytest.mark.parametrize("cut", [1, 2, 3, 196, 197, 198, 199])
def test_cuts_near_the_ends_of_the_film_are_found(cut: int) -> None:
    changes = [2.0] * 200
    changes[cut] = 40.0
    assert cuts_in(changes) == [cut]


def test_still_pictures_around_a_cut_and_a_still_film() -> None:
    assert cuts_in([0.0] * 20 + [40.0] + [0.0] * 20) == [20]
    assert cuts_in([0.0] * 40) == cuts_in([0.0]) == cuts_in([0.0, 40.0])[1:] == []
    assert find_cuts(np.empty(0, np.int64), np.empty((0, MINIATURE_BYTES), np.uint8)) == []


def test_an_object_passing_the_lens_and_a_fast_pan_are_not_cuts() -> None:
    assert cuts_in([2.0] * 20 + [11, 29, 25, 21, 23, 17, 15, 10, 6] + [4.0] * 20) == []
    assert cuts_in([2.0] * 20 + [30.0] * 30 + [2.0] * 20) == []


def test_a_dissolve_is_not_a_cut() -> None:
    assert cuts_in([2.0] * 20 + [6.0] * 24 + [2.0] * 20) == []


def test_a_flash_is_at_most_one_cut() -> None:
    assert cuts_in([2.0] * 20 + [60.0, 58.0] + [2.0] * 20) == [20]


def test_of_cuts_closer_than_min_shot_the_first_counts() -> None:
    near = [2.0] * 60
    near[20] = near[24] = near[28] = 50.0
    assert cuts_in(near) == [20, 28]
    assert cuts_in(near, ShotSettings(min_shot=4)) == [20, 24, 28]


def test_a_frame_after_lost_ones_is_compared_across_the_gap() -> None:
    numbers = np.array([*range(20), *range(120, 140)])
    same, other = np.stack([still(0)] * 40), np.stack([still(int(k >= 20)) for k in range(40)])
    assert find_cuts(numbers, same) == [] and find_cuts(numbers, other) == [120]


def test_changes_are_those_of_luma_and_do_not_depend_on_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    shots = np.stack([still(k // 5) for k in range(40)])
    shots[::2, LUMA_BYTES:] = 40  # colour alone does not count
    whole = shot_module.changes_of(shots)
    luma = shots[:, :LUMA_BYTES].astype(float)
    np.testing.assert_allclose(whole[1:], abs(np.diff(luma, axis=0)).mean(1))
    assert np.isnan(whole[0])
    monkeypatch.setattr(shot_module, "_AT_ONCE", 7)
    np.testing.assert_array_equal(shot_module.changes_of(shots), whole)


@pytest.mark.parametrize("clip", CUTS)
def test_cuts_of_real_film(clip: str, shared: Path) -> None:
    assert find_cuts(*miniatures_of(shared / "data" / "clips" / f"{clip}.mp4")) == CUTS[clip]
