"""The tracker: every box once, none over a cut, and nothing that depends on order, shots or shards."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from facerec.errors import InputError
from facerec.settings import TrackSettings
from facerec.tracking.tracker import Track, interpolate, track

Boxes = NDArray[np.float64]


@st.composite
def films(draw: st.DrawFn) -> tuple[NDArray[np.int64], Boxes, list[int]]:
    """Faces that wander, cross, flicker and stand still, with strays among them; and cuts."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    length, faces = draw(st.integers(1, 60)), draw(st.integers(0, 5))
    missed, noise = draw(st.sampled_from([0.0, 0.2, 0.6])), draw(st.sampled_from([0.0, 1.0, 6.0]))
    rows = []
    for _ in range(faces):
        x, y, size = rng.uniform(0, 300), rng.uniform(0, 200), rng.integers(5, 90)
        dx, dy = rng.normal(0, 3, 2)
        for frame in range(rng.integers(0, length), length):
            if rng.random() >= missed:
                edges = np.array([x, y, x + size, y + size]) + frame * np.array([dx, dy, dx, dy])
                rows.append((frame, *np.rint(edges + rng.normal(0, noise, 4))))
            if rng.random() < 0.05:
                rows.append((frame, *rng.integers(0, 50, 2), *rng.integers(51, 150, 2)))
    table = np.array(sorted(set(rows)), np.int64).reshape(-1, 5)
    cuts = draw(st.lists(st.integers(-2, length + 2), max_size=6))
    return table[:, 0], table[:, 1:].astype(np.float64), cuts


def rows(tracks: list[Track]) -> list[list[tuple[float, ...]]]:
    """What a list of tracks says, without the numbers of the detections."""
    return [[(f, *box) for f, box in zip(t.frames, t.boxes, strict=True)] for t in tracks]


def moving(frames: list[int], x: float, dx: float = 0.0, size: float = 40.0) -> tuple[list[int], Boxes]:
    """One face of `size` at height 50, at `x` in frame 0 and `dx` farther every frame."""
    left = np.array([x + dx * frame for frame in frames])
    return frames, np.stack([left, left * 0 + 50, left + size, left * 0 + 50 + size], axis=1)


def together(*faces: tuple[list[int], Boxes]) -> tuple[list[int], Boxes]:
    frames = [frame for frames, _ in faces for frame in frames]
    return frames, np.concatenate([boxes for _, boxes in faces])


@settings(deadline=None)
@given(films())
def test_every_detection_is_in_exactly_one_track(film):
    frames, boxes, cuts = film
    tracks = track(frames, boxes, cuts)
    assert sorted(i for t in tracks for i in t.ids) == list(range(len(frames)))
    for t in tracks:
        assert (t.frames == frames[t.ids]).all() and (t.boxes == boxes[t.ids]).all()


@settings(deadline=None)
@given(films(), st.integers(0, 12))
def test_time_goes_forward_over_short_gaps_and_over_no_cut(film, max_gap):
    frames, boxes, cuts = film
    for t in track(frames, boxes, cuts, TrackSettings(max_gap=max_gap)):
        steps = np.diff(t.frames)
        assert ((steps >= 1) & (steps <= max_gap + 1)).all()
        assert not any(t.frames[0] < cut <= t.frames[-1] for cut in cuts)


@settings(deadline=None)
@given(films())
def test_tracks_are_sorted_by_first_frame_then_box(film):
    firsts = [t[0] for t in rows(track(*film))]
    assert firsts == sorted(firsts)


@settings(deadline=None)
@given(films(), st.randoms(use_true_random=False))
def test_order_of_the_input_changes_nothing(film, random):
    frames, boxes, cuts = film
    shuffled = list(range(len(frames)))
    random.shuffle(shuffled)
    random.shuffle(cuts)
    again = track(frames[shuffled], boxes[shuffled], cuts)
    assert rows(again) == rows(track(frames, boxes, cuts))


@settings(deadline=None)
@given(films())
def test_shots_are_tracked_each_on_its_own(film):
    """The whole film gives what its shots give one by one: what shards do to a film changes nothing."""
    frames, boxes, cuts = film
    shot = np.searchsorted(sorted(set(cuts)), frames, side="right")
    alone = [t for s in np.unique(shot) for t in rows(track(frames[shot == s], boxes[shot == s]))]
    assert rows(track(frames, boxes, cuts)) == alone


@settings(deadline=None)
@given(films(), st.integers(-1000, 10**6))
def test_where_a_film_begins_changes_nothing(film, shift):
    frames, boxes, cuts = film
    moved = track(frames + shift, boxes, [cut + shift for cut in cuts])
    assert [t.ids.tolist() for t in moved] == [t.ids.tolist() for t in track(frames, boxes, cuts)]


@settings(deadline=None)
@given(films())
def test_interpolation_keeps_the_detected_boxes_and_stays_between_them(film):
    for t in track(*film):
        start, boxes, detected = interpolate(t)
        assert start == t.frames[0] and detected[0] and detected[-1]
        assert len(boxes) == len(detected) == t.frames[-1] - start + 1
        assert (boxes[detected] == t.boxes).all()
        for before, after in zip(t.frames - start, t.frames[1:] - start, strict=False):
            low, high = np.minimum(boxes[before], boxes[after]), np.maximum(boxes[before], boxes[after])
            assert (boxes[before : after + 1] >= low).all() and (boxes[before : after + 1] <= high).all()


def test_a_gap_is_filled_in_a_straight_line():
    start, boxes, detected = interpolate(
        Track(np.array([7, 11]), np.array([[0.0, 0, 10, 10], [8, 4, 18, 14]]), np.array([0, 1]))
    )
    assert start == 7 and detected.tolist() == [True, False, False, False, True]
    assert boxes[:, 0].tolist() == [0, 2, 4, 6, 8] and boxes[:, 3].tolist() == [10, 11, 12, 13, 14]


def test_no_face_at_all():
    assert track([], np.empty((0, 4)), [3, 5]) == []


def test_boxes_without_extent_are_tracked_like_others():
    found = track([0, 0, 1, 1], [[5, 5, 5, 5], [90, 90, 90, 90], [5, 5, 5, 5], [90, 90, 90, 90]])
    assert sorted(i for t in found for i in t.ids) == [0, 1, 2, 3]


def test_equal_boxes_of_one_frame_stay_two_tracks():
    assert [len(t) for t in track([0, 0, 1, 1], [[5, 5, 25, 25]] * 4)] == [2, 2]


def test_faces_that_cross_keep_their_ways():
    right, left = moving(list(range(20)), 0, 12), moving(list(range(20)), 228, -12)
    missed = [f for f in range(20) if f not in (9, 10)]  # one is in front of the other
    left = (missed, left[1][missed])
    found = track(*together(right, left))
    assert [t.boxes[-1, 0] - t.boxes[0, 0] for t in found] == [228, -228]


def test_a_face_seen_a_moment_ago_goes_before_one_expected_there():
    """The one who walks past takes the place of the one who is just missed, but not his track."""
    still = moving(list(range(12)), 100)
    walker = moving(list(range(20)), 100 + 12 * 9, -9)
    found = track(*together(still, walker))
    assert sorted(len(t) for t in found) == [12, 20]


@pytest.mark.parametrize(("missed", "pieces"), [(10, 1), (11, 2)])
def test_a_burst_of_misses_is_bridged_up_to_the_longest_gap(missed, pieces):
    frames = [*range(20), *range(20 + missed, 40 + missed)]
    assert len(track(*moving(frames, 0, 3))) == pieces


def test_a_fast_face_is_followed_where_it_is_going():
    """Boxes that no longer overlap from one sighting to the next."""
    assert len(track(*moving([*range(6), *range(10, 16)], 0, 16))) == 1


@pytest.mark.parametrize("change", [{"x": 135.0}, {"size": 75.0}], ids=["elsewhere", "other size"])
def test_a_stranger_after_a_gap_is_not_the_same_face(change):
    before = moving(list(range(10)), 100)
    after = moving(list(range(15, 25)), **{"x": 100.0, **change})
    assert [len(t) for t in track(*together(before, after))] == [10, 10]


def test_two_missed_in_turn_are_not_one_that_leaps():
    """Each fits the other's place after a leap, but better its own a moment later."""
    one = moving([f for f in range(20) if f != 10], 100)
    other = moving([f for f in range(20) if f != 9], 122, size=44)
    assert [len(t) for t in track(*together(one, other))] == [19, 19]


def test_nobody_leaps_away_from_his_own_return_a_moment_later():
    """The other, long missed, comes back one frame before the one who is missed just now."""
    one = moving([f for f in range(40) if f not in (20, 21)], 100, size=90)
    other = moving([f for f in range(40) if not 13 <= f <= 20], 160, size=90)
    assert [len(t) for t in track(*together(one, other))] == [38, 32]


@pytest.mark.parametrize(("move", "pieces"), [(0, 2), (9, 1)], ids=["at rest", "moving"])
def test_what_rests_on_either_side_of_a_gap_is_not_elsewhere_after_it(move, pieces):
    """Half a face size off in a gap of three frames: a head that moves may turn or hurry."""
    before, after = moving(list(range(20)), 0, move), moving(list(range(23, 43)), 26, move)
    assert len(track(*together(before, after))) == pieces


@pytest.mark.parametrize(("gap", "pieces"), [(1, 1), (2, 2)])
def test_two_lone_boxes_far_apart_are_no_face(gap, pieces):
    assert len(track(*moving([5, 5 + gap + 1], 100))) == pieces


def test_a_stray_box_far_off_stays_alone():
    face = moving([f for f in range(20) if f != 10], 100)
    stray = moving([10], 180)
    assert sorted(len(t) for t in track(*together(face, stray))) == [1, 19]


def test_hundreds_of_faces_in_pieces_of_bounded_memory(monkeypatch):
    crowd = together(*(moving(list(range(8)), 60.0 * k) for k in range(200)))
    whole = rows(track(*crowd))
    monkeypatch.setattr("facerec.tracking.tracker._PAIRS_AT_ONCE", 1000)
    assert rows(track(*crowd)) == whole and len(whole) == 200


def test_threads_and_processes_agree(tmp_path: Path):
    """Bytes that differ from one process to the next would make two merges of one film differ."""
    code = (
        "import numpy as np; from facerec.tracking.tracker import track; r = np.random.default_rng(3);"
        "f = np.repeat(np.arange(99), 6); b = r.integers(0, 60, (594, 4)); b[:, 2:] += 61;"
        "print([t.ids.tolist() for t in track(f, b, [40])])"
    )
    root = Path(__file__).resolve().parents[2]
    said = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            check=True,
            cwd=root,
            env={"PYTHONHASHSEED": seed, "OMP_NUM_THREADS": seed, "PATH": ""},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1


@pytest.mark.parametrize(
    ("wrong", "named"),
    [({"iou_threshold": 0}, "IoU"), ({"iou_threshold": 1.5}, "IoU"), ({"max_gap": -1}, "gap"),
     ({"reach": 0}, "reach"), ({"reach": float("nan")}, "reach")],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(wrong, named):
    with pytest.raises(InputError, match=named):
        TrackSettings(**wrong)


def test_frames_and_boxes_that_do_not_agree_are_refused():
    with pytest.raises(ValueError, match="2 frames for 1 boxes"):
        track([1, 2], [[0, 0, 5, 5]])
