"""Splitting a trajectory by its faces: where the person changed, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from facerec.models import load_detector, load_embedder
from facerec.settings import SplitSettings
from facerec.tracking.identity_switch import split_by_appearance
from facerec.tracking.tracker import Track, track
from facerec.video.film import open_film, read_frames

SAME_PERSON = 1.1  # strangers are about 1.41 apart


def people(rng: np.random.Generator, *runs: tuple[int, int], spread: float = 0.6) -> NDArray[np.float64]:
    """Unit vectors of faces: `runs` of (person, faces), about `spread` * 1.41 from each other."""
    own = np.random.default_rng(7).normal(size=(9, 128))
    own /= np.linalg.norm(own, axis=1, keepdims=True)
    noise = rng.normal(size=(sum(n for _, n in runs), 128)) / np.sqrt(128)
    faces = np.repeat(own[[who for who, _ in runs]], [n for _, n in runs], axis=0)
    faces = np.sqrt(1 - spread**2) * faces + spread * noise
    return faces / np.linalg.norm(faces, axis=1, keepdims=True)


def still(n: int, jump: int | None = None) -> Track:
    """A face of 40 pixels in frames 0..n-1 that moves by 15 pixels in frame `jump`."""
    left = np.where(np.arange(n) < (n if jump is None else jump), 100.0, 115.0)
    return Track(
        np.arange(n), np.stack([left, left * 0, left + 40, left * 0 + 40], axis=1), np.arange(n) + 50
    )


def split(trajectory: Track, vectors: NDArray[np.float64], every: int = 5) -> list[int]:
    """The first frames of the pieces, where every `every`-th frame was embedded."""
    pieces = split_by_appearance(trajectory, trajectory.frames[::every], vectors, SAME_PERSON)
    assert np.concatenate([piece.ids for piece in pieces]).tolist() == trajectory.ids.tolist()
    assert np.concatenate([piece.boxes for piece in pieces]).tolist() == trajectory.boxes.tolist()
    return [int(piece.frames[0]) for piece in pieces]


def test_a_change_of_person_is_cut_where_the_boxes_overlap_least():
    faces = people(np.random.default_rng(0), (0, 8), (1, 6))
    assert split(still(70, jump=38), faces) == [0, 38]


def test_the_box_of_the_first_embedded_face_may_be_the_first_of_the_other_person():
    faces = people(np.random.default_rng(0), (0, 8), (1, 6))
    assert split(still(70, jump=40), faces) == [0, 40]


def test_three_people_in_one_trajectory():
    faces = people(np.random.default_rng(1), (0, 10), (1, 4), (2, 8), spread=0.45)
    assert split(still(22), faces, every=1) == [0, 10, 14]


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.floats(0, 0.6))
def test_one_person_is_never_split(seed, n, spread):
    faces = people(np.random.default_rng(seed), (3, n), spread=spread)
    assert split(still(n), faces, every=1) == [0]


@pytest.mark.parametrize(
    "runs", [[(0, 9), (1, 2), (0, 9)], [(0, 18), (1, 2)], [(0, 2), (1, 18)]], ids=["within", "end", "begin"]
)
def test_a_few_bad_faces_split_nothing(runs):
    assert split(still(20), people(np.random.default_rng(2), *runs), every=1) == [0]


def test_faces_that_are_far_from_themselves_too_say_nothing():
    """Blurred or covered faces: everything is far from everything."""
    rng = np.random.default_rng(3)
    faces = np.concatenate([people(rng, (0, 10)), people(rng, (1, 10), spread=0.99)])
    assert split(still(20), faces, every=1) == [0]


def test_more_faces_than_are_compared_with_each_other(monkeypatch):
    monkeypatch.setattr("facerec.tracking.identity_switch._MOST_FACES", 10)
    faces = people(np.random.default_rng(4), (0, 60), (1, 40))
    assert split(still(100, jump=60), faces, every=1) == [0, 60]


def test_no_embedded_face_at_all():
    whole = still(9)
    assert split_by_appearance(whole, [], np.empty((0, 128)), SAME_PERSON) == [whole]


def test_looser_settings_split_less():
    trajectory, faces = still(20), people(np.random.default_rng(5), (0, 10), (1, 10))
    least = SplitSettings(min_faces=11)
    assert len(split_by_appearance(trajectory, range(20), faces, SAME_PERSON, least)) == 1
    assert len(split_by_appearance(trajectory, range(20), faces, SAME_PERSON, SplitSettings(own=0.1))) == 1


@pytest.mark.parametrize("frames", [[0, 1], [2, 1, 0], [0, 1, 99]], ids=["number", "order", "frame"])
def test_faces_that_are_not_the_trajectorys_are_refused(frames):
    with pytest.raises(ValueError, match="embed"):
        split_by_appearance(still(9), frames, people(np.random.default_rng(6), (0, 3)), SAME_PERSON)


@pytest.mark.slow
def test_the_known_switch_of_a_street_crowd_is_split_and_nothing_else(shared: Path):
    """Two men with glasses, one passing the other at frames 29 to 45: the boxes move like one face."""
    weights = shared / "data/weights"
    detector = load_detector(f"yunet:{weights / 'face_detection_yunet_2026may.onnx'}", device="cpu")
    embedder = load_embedder(f"arcface:{weights / 'MobileFaceNet.onnx'}", device="cpu")
    film = open_film(next((shared / "data/clips").glob("10003-*.mp4")))
    frames: list[int] = []
    boxes, faces = [], {}
    for number, frame in read_frames(film, 0, film.frame_count):
        found = detector.detect([frame])[0]
        for box, keypoints in zip(found.boxes, found.keypoints, strict=True):
            if number % 5 == 0:
                faces[len(frames)] = embedder.crop(frame, box, keypoints)
            frames.append(number)
            boxes.append(np.rint(box))
    vectors = dict(zip(faces, embedder.embed(list(faces.values())), strict=True))
    parts = []
    for whole in track(frames, boxes):
        seen = [i for i in whole.ids.tolist() if i in vectors]
        times = [frames[i] for i in seen]
        pieces = split_by_appearance(whole, times, [vectors[i] for i in seen], embedder.same_person)
        if len(pieces) > 1:
            parts.append([(int(piece.frames[0]), int(piece.frames[-1])) for piece in pieces])
    assert len(parts) == 1 and parts[0][0][0] == 0 and parts[0][-1][1] == 104
    assert 25 <= parts[0][0][1] <= 36 and parts[0][-1][0] <= 50
