"""Cuts: PySceneDetect's scores and rule, and what differs near the ends of a film."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scenedetect import FrameTimecode, SceneManager, StatsManager, open_video
from scenedetect.detectors import AdaptiveDetector, ContentDetector

from facerec.geometry import Image
from facerec.settings import ShotSettings
from facerec.video.film import open_film, read_frames
from facerec.video.shots import ChangeScorer, find_cuts
from tests.films import make_film

WINDOW = ShotSettings.window
CUTS = {
    "10001-HamiltonAtTheWhiteHouse": [20, 82, 211],
    "10002-Chaplin": [],
    "10003-StreetCrowd": [],
    "10004-BasketballRobot": [42, 142, 251, 441, 478, 620, 659, 757, 859],
    "10005-Anamorphic": [70, 170, 301, 421, 484],
    "10006-VariableFrameRate": [60, 140],
}


def changes_of(film: Path) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    opened, scorer = open_film(film), ChangeScorer()
    scored = [(number, scorer.change(image)) for number, image in read_frames(opened, 0, 10**6)]
    return np.array([n for n, _ in scored]), np.array([c for _, c in scored], dtype=np.float64)


def cuts_in(changes: list[float], settings: ShotSettings | None = None) -> list[int]:
    return find_cuts(np.arange(len(changes)), np.array([np.nan, *changes[1:]]), settings)


def colours(number: int, width: int, height: int) -> Image:
    rng = np.random.default_rng(number // 10)
    return np.kron(rng.integers(0, 256, (4, 4, 3)), np.ones((height // 4, width // 4, 1))).astype(np.uint8)


@pytest.mark.parametrize(("width", "height"), [(160, 120), (640, 360)])
def test_scores_equal_the_librarys(width: int, height: int, tmp_path: Path) -> None:
    film = make_film(tmp_path / "1-a.mp4", 40, width=width, height=height, draw=colours)
    stats = StatsManager()
    manager = SceneManager(stats)
    manager.add_detector(ContentDetector(luma_only=True))
    video = open_video(str(film), backend="opencv")
    manager.detect_scenes(video)
    numbers, changes = changes_of(film)
    theirs = [
        stats.get_metrics(FrameTimecode(int(n), video.frame_rate), [ContentDetector.FRAME_SCORE_KEY])[0]
        for n in numbers[1:]
    ]
    assert np.isnan(changes[0])
    np.testing.assert_allclose(changes[1:], theirs, atol=0.3)  # from another build of the decoder
    assert max(theirs) > 20


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
    assert find_cuts(np.empty(0, np.int64), np.empty(0)) == []


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


def test_changes_across_lost_frames_are_compared_with_existing_neighbours() -> None:
    numbers = np.array([*range(20), *range(120, 140)])
    changes = np.full(40, 2.0)
    changes[0] = np.nan
    assert find_cuts(numbers, changes) == []
    changes[20] = 45.0
    assert find_cuts(numbers, changes) == [120]
    changes[20] = np.nan  # the previous frame is unknown
    assert find_cuts(numbers, changes) == []


def test_a_black_and_white_cut_scores_as_high_as_in_colour() -> None:
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 120, (90, 160, 1))
    first, second = (np.repeat(grey + k, 3, 2).astype(np.uint8) for k in (0, 40))
    scorer = ChangeScorer()
    assert scorer.change(first) is None
    change = scorer.change(second)
    assert change is not None and change > ShotSettings.min_change * 2


def test_a_score_depends_only_on_its_frame_and_the_previous_one() -> None:
    rng = np.random.default_rng(1)
    frames = [rng.integers(0, 256, (360, 640, 3), dtype=np.uint8) for _ in range(4)]
    whole, slice_ = ChangeScorer(), ChangeScorer()
    scores = [whole.change(frame) for frame in frames]
    assert [slice_.change(frame) for frame in frames[2:]] == [None, scores[3]]


@pytest.mark.parametrize("clip", CUTS)
def test_cuts_of_real_film(clip: str, shared: Path) -> None:
    assert find_cuts(*changes_of(shared / "data" / "clips" / f"{clip}.mp4")) == CUTS[clip]
