"""A track is split where its embeddings show another person, and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from facerec.errors import InputError
from facerec.models import load_detector, load_embedder
from facerec.settings import SplitSettings
from facerec.tracking import identity_switch
from facerec.tracking.identity_switch import split_by_appearance
from facerec.tracking.tracker import Track, track
from facerec.video.film import open_film, read_frames

SAME_PERSON = 1.1  # embeddings of two people are about 1.41 apart


def embeddings_of(
    rng: np.random.Generator, *runs: tuple[int, int], spread: float = 0.6
) -> NDArray[np.float64]:
    """Embeddings of `runs` of (person, faces); those of one person are about `spread` * 1.41 apart."""
    people = np.random.default_rng(7).normal(size=(9, 128))
    people /= np.linalg.norm(people, axis=1, keepdims=True)
    noise = rng.normal(size=(sum(n for _, n in runs), 128)) / np.sqrt(128)
    faces = np.repeat(people[[who for who, _ in runs]], [n for _, n in runs], axis=0)
    faces = np.sqrt(1 - spread**2) * faces + spread * noise
    return faces / np.linalg.norm(faces, axis=1, keepdims=True)


def still_face(n: int, jump: int | None = None) -> Track:
    """A face of 40 pixels in frames 0..n-1 that moves by 15 pixels in frame `jump`."""
    left = np.where(np.arange(n) < (n if jump is None else jump), 100.0, 115.0)
    return Track(
        np.arange(n), np.stack([left, left * 0, left + 40, left * 0 + 40], axis=1), np.arange(n) + 50
    )


def first_frames(whole: Track, vectors: NDArray[np.float64], every: int = 5) -> list[int]:
    """The first frames of the parts of `whole`, of which every `every`-th frame was embedded."""
    parts = split_by_appearance(whole, whole.frames[::every], vectors, SAME_PERSON)
    for field in ("frames", "boxes", "detection_ids"):
        joined = np.concatenate([getattr(part, field) for part in parts])
        assert joined.tolist() == getattr(whole, field).tolist()
    return [int(part.frames[0]) for part in parts]


def test_a_track_is_split_where_its_boxes_overlap_least():
    faces = embeddings_of(np.random.default_rng(0), (0, 8), (1, 6))
    assert first_frames(still_face(70, jump=38), faces) == [0, 38]


def test_the_first_embedded_face_of_a_person_may_be_the_first_detection():
    faces = embeddings_of(np.random.default_rng(0), (0, 8), (1, 6))
    assert first_frames(still_face(70, jump=40), faces) == [0, 40]


def test_a_track_of_three_people_is_split_twice():
    faces = embeddings_of(np.random.default_rng(1), (0, 10), (1, 4), (2, 8), spread=0.45)
    assert first_frames(still_face(22), faces, every=1) == [0, 10, 14]


@pytest.mark.parametrize("people", [(0, 1, 0), (0, 1, 0, 1), (0, 1, 2, 3, 4, 5, 0)])
def test_people_who_come_back_and_many_people_in_turn_are_split(people):
    lengths = [7 + 2 * (i % 3) for i in range(len(people))]
    faces = embeddings_of(np.random.default_rng(8), *zip(people, lengths, strict=True))
    starts = [0, *np.cumsum(lengths)[:-1].tolist()]
    assert first_frames(still_face(len(faces)), faces, every=1) == starts


def dissolved(
    rng: np.random.Generator, people: Sequence[int], hold: int, blended: int
) -> NDArray[np.float64]:
    """Embeddings of `people` for `hold` faces each, with `blended` faces that move from one to the next."""
    shares = np.arange(1, blended + 1)[:, None] / (blended + 1)
    parts = [embeddings_of(rng, (people[0], hold), spread=0.5)]
    for before, after in pairwise(people):
        a, b = (embeddings_of(rng, (who, blended), spread=0.5) for who in (before, after))
        parts += [(1 - shares) * a + shares * b, embeddings_of(rng, (after, hold), spread=0.5)]
    faces = np.concatenate(parts)
    return faces / np.linalg.norm(faces, axis=1, keepdims=True)


@pytest.mark.parametrize("blended", [1, 2, 3, 5, 10])
@pytest.mark.parametrize("people", [(0, 1), (0, 1, 0), (0, 1, 2, 3, 4, 5, 0)])
def test_no_part_of_a_track_with_dissolves_has_faces_of_two_people(people, blended):
    hold = 8
    for seed in range(5):
        faces = dissolved(np.random.default_rng(seed), people, hold, blended)
        starts = np.array(first_frames(still_face(len(faces)), faces, every=1))
        part = np.searchsorted(starts, np.arange(len(faces)), side="right")
        stretch, within = np.divmod(np.arange(len(faces)), hold + blended)
        shown = [set(part[(stretch == i) & (within < hold)].tolist()) for i in range(len(people))]
        assert all(len(parts) == 1 for parts in shown), "a person alone is not split"
        assert len(set.union(*shown)) == len(people), "no two stretches share a part"


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.floats(0, 0.6))
def test_a_track_of_one_person_is_never_split(seed, n, spread):
    faces = embeddings_of(np.random.default_rng(seed), (3, n), spread=spread)
    assert first_frames(still_face(n), faces, every=1) == [0]


@pytest.mark.parametrize(
    "runs", [[(0, 9), (1, 2), (0, 9)], [(0, 18), (1, 2)], [(0, 2), (1, 18)]], ids=["within", "end", "begin"]
)
def test_a_few_bad_faces_do_not_split_a_track(runs):
    assert first_frames(still_face(20), embeddings_of(np.random.default_rng(2), *runs), every=1) == [0]


def test_faces_far_from_each_other_do_not_split_a_track():
    """Embeddings of blurred or covered faces are far from all others."""
    rng = np.random.default_rng(3)
    faces = np.concatenate([embeddings_of(rng, (0, 10)), embeddings_of(rng, (1, 10), spread=0.99)])
    assert first_frames(still_face(20), faces, every=1) == [0]


def test_a_long_track_is_split_by_a_sample_of_its_faces(monkeypatch):
    monkeypatch.setattr(identity_switch, "_MAX_FACES", 10)
    compared = []
    found = identity_switch._change_points
    monkeypatch.setattr(
        identity_switch,
        "_change_points",
        lambda table, *rest: compared.append(table.shape) or found(table, *rest),
    )
    faces = embeddings_of(np.random.default_rng(4), (0, 60), (1, 40))
    assert first_frames(still_face(100, jump=60), faces, every=1) == [0, 60]
    assert compared == [(10, 10)]


def test_a_track_is_not_split_beyond_the_faces_around_a_change():
    """Its largest move is a frame after the first face of the other person."""
    whole, faces = still_face(70), embeddings_of(np.random.default_rng(0), (0, 8), (1, 6))
    for frame, by in ((37, 12.0), (39, 8.0), (40, 8.0), (41, 20.0)):
        whole.boxes[frame:, ::2] += by
    assert first_frames(whole, faces) == [0, 37]


def test_single_faces_of_two_people_are_split_where_one_face_is_enough():
    vectors = np.array([[1.0, 0.0], [0.0, 1.0]])
    parts = split_by_appearance(still_face(2), [0, 1], vectors, SAME_PERSON, SplitSettings(min_faces=1))
    assert [part.frames.tolist() for part in parts] == [[0], [1]]


@pytest.mark.parametrize("min_faces", [1, 2, 3])
def test_no_other_partition_costs_less(min_faces: int) -> None:
    """Compared with all partitions: their scatter around the segments' means, and the penalties."""
    rng = np.random.default_rng(min_faces)
    for m in (3, 6, 8):
        points = rng.normal(size=(m, 2)) + np.repeat(rng.normal(size=(m, 2)) * 2, 3, axis=0)[:m]
        distances = np.linalg.norm(points[:, None] - points, axis=2)
        for penalty in (0.0, 0.7, 3.0, 40.0):
            costs = {}
            for chosen in range(1 << (m - 1)):
                starts = [0, *(k for k in range(1, m) if chosen >> (k - 1) & 1)]
                parts = np.split(points, starts[1:])
                if min(map(len, parts)) >= min_faces:
                    scatter = sum(np.square(part - part.mean(0)).sum() for part in parts)
                    costs[tuple(starts)] = scatter + penalty * len(parts)
            assert tuple(identity_switch._segments(distances, min_faces, penalty)) == min(
                costs, key=costs.get
            )


@pytest.mark.parametrize("same_person", [0.8, SAME_PERSON])
@pytest.mark.parametrize(
    "strictness", [SplitSettings(), SplitSettings(min_faces=5, min_between=1.2, max_within=0.5)]
)
def test_a_segment_costs_half_of_what_the_smallest_change_gains(strictness, same_person, monkeypatch):
    """Twice as much would hide such a change, and nothing would say so."""
    apart = same_person * np.sqrt(strictness.min_between**2 - strictness.max_within**2)
    faces = np.repeat([0.0, apart], strictness.min_faces)
    gained = np.square(faces - faces.mean()).sum()  # by two segments, each without scatter
    asked = []
    monkeypatch.setattr(
        identity_switch, "_segments", lambda _, least, costs: asked.append((least, costs)) or [0]
    )
    vectors = embeddings_of(np.random.default_rng(0), (0, 9))
    split_by_appearance(still_face(9), range(9), vectors, same_person, strictness)
    assert asked == [(strictness.min_faces, pytest.approx(gained / 2))]


def test_settings_that_count_every_change_make_segments_free(monkeypatch):
    asked = []
    monkeypatch.setattr(identity_switch, "_segments", lambda _, least, costs: asked.append(costs) or [0])
    vectors, every = embeddings_of(np.random.default_rng(0), (0, 9)), SplitSettings(min_between=0.5)
    split_by_appearance(still_face(9), range(9), vectors, SAME_PERSON, every)
    assert asked == [0]


def test_distances_of_exactly_the_settings_are_those_of_two_people() -> None:
    """`min_between` is the least distance of two people, `max_within` the largest of one."""
    distances = np.array([[0.0, 0.5, 1, 1], [0.5, 0, 1, 1], [1, 1, 0, 0.5], [1, 1, 0.5, 0]])
    assert identity_switch._join(distances, [0, 2], 1.0, 0.5) == [2]
    assert identity_switch._join(distances, [0, 2], 1.01, 0.5) == []
    assert identity_switch._join(distances, [0, 2], 1.0, 0.49) == []


def test_segments_of_no_face_are_refused_instead_of_searched_forever() -> None:
    with pytest.raises(InputError, match="min_faces must be at least 1"):
        SplitSettings(min_faces=0)


def test_a_track_without_an_embedded_face_stays_whole():
    whole = still_face(9)
    assert split_by_appearance(whole, [], np.empty((0, 128)), SAME_PERSON) == [whole]


def test_strict_settings_split_less():
    whole, faces = still_face(20), embeddings_of(np.random.default_rng(5), (0, 10), (1, 10), spread=0.45)
    for strict in (
        SplitSettings(min_faces=11),
        SplitSettings(max_within=0.1),
        SplitSettings(min_between=1.4),
    ):
        assert len(split_by_appearance(whole, range(20), faces, SAME_PERSON, strict)) == 1
    assert len(split_by_appearance(whole, range(20), faces, SAME_PERSON)) == 2


@pytest.mark.parametrize(
    "frames", [[0, 1], [2, 1, 0], [0, 1, 1], [0, 1, 99]], ids=["number", "order", "twice", "frame"]
)
def test_frames_of_embeddings_must_be_ascending_frames_of_the_track(frames):
    with pytest.raises(ValueError, match="embed"):
        split_by_appearance(
            still_face(9), frames, embeddings_of(np.random.default_rng(6), (0, 3)), SAME_PERSON
        )


@pytest.mark.slow
def test_the_one_identity_switch_of_a_street_crowd_is_split_and_no_other_track(shared: Path):
    """One man passes another at frames 29 to 45, and their boxes move like one face."""
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
    splits = []
    for whole in track(frames, boxes):
        embedded = [i for i in whole.detection_ids.tolist() if i in vectors]
        times = [frames[i] for i in embedded]
        parts = split_by_appearance(whole, times, [vectors[i] for i in embedded], embedder.same_person)
        if len(parts) > 1:
            splits.append([(int(part.frames[0]), int(part.frames[-1])) for part in parts])
    assert len(splits) == 1 and splits[0][0][0] == 0 and splits[0][-1][1] == 104
    assert 25 <= splits[0][0][1] <= 36 and splits[0][-1][0] <= 50
