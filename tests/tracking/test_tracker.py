"""The tracker uses every box once, crosses no cut, and does not depend on order, shots or shards."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from hashlib import sha256
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from facerec.errors import InputError
from facerec.settings import TrackSettings
from facerec.tracking import assignment, tracker
from facerec.tracking.motion import Motion
from facerec.tracking.tracker import Track, interpolate, track

Boxes = NDArray[np.float64]


@st.composite
def films(draw: st.DrawFn) -> tuple[NDArray[np.int64], Boxes, list[int]]:
    """Detections of moving, crossing and missed faces and of random false ones, and cuts."""
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
    """The frames and boxes of tracks, without the detections' indices."""
    return [[(f, *box) for f, box in zip(t.frames, t.boxes, strict=True)] for t in tracks]


def moving(frames: list[int], x: float, dx: float = 0.0, size: float = 40.0) -> tuple[list[int], Boxes]:
    """A face of `size` pixels at y = 50 that starts at `x` and moves by `dx` a frame."""
    left = np.array([x + dx * frame for frame in frames])
    return frames, np.stack([left, left * 0 + 50, left + size, left * 0 + 50 + size], axis=1)


def joined(*faces: tuple[list[int], Boxes]) -> tuple[list[int], Boxes]:
    frames = [frame for frames, _ in faces for frame in frames]
    return frames, np.concatenate([boxes for _, boxes in faces])


@settings(deadline=None)
@given(films())
def test_every_detection_is_in_exactly_one_track(film):
    frames, boxes, cuts = film
    tracks = track(frames, boxes, cuts)
    assert sorted(i for t in tracks for i in t.detection_ids) == list(range(len(frames)))
    for t in tracks:
        assert (t.frames == frames[t.detection_ids]).all() and (t.boxes == boxes[t.detection_ids]).all()


@settings(deadline=None)
@given(films(), st.integers(0, 12))
def test_no_track_has_a_long_gap_or_crosses_a_cut(film, max_gap):
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
def test_the_order_of_the_input_changes_nothing(film, random):
    frames, boxes, cuts = film
    shuffled = list(range(len(frames)))
    random.shuffle(shuffled)
    random.shuffle(cuts)
    again = track(frames[shuffled], boxes[shuffled], cuts)
    assert rows(again) == rows(track(frames, boxes, cuts))


@settings(deadline=None)
@given(films())
def test_each_shot_is_tracked_independently(film):
    """So that sharding a film cannot change its tracks."""
    frames, boxes, cuts = film
    shot = np.searchsorted(sorted(set(cuts)), frames, side="right")
    alone = [t for s in np.unique(shot) for t in rows(track(frames[shot == s], boxes[shot == s]))]
    assert rows(track(frames, boxes, cuts)) == alone


@settings(deadline=None)
@given(films(), st.integers(-1000, 10**6))
def test_the_number_of_the_first_frame_changes_nothing(film, shift):
    frames, boxes, cuts = film
    moved = track(frames + shift, boxes, [cut + shift for cut in cuts])
    assert [t.detection_ids.tolist() for t in moved] == [
        t.detection_ids.tolist() for t in track(frames, boxes, cuts)
    ]


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


def test_a_gap_is_interpolated_linearly():
    start, boxes, detected = interpolate(
        Track(np.array([7, 11]), np.array([[0.0, 0, 10, 10], [8, 4, 18, 14]]), np.array([0, 1]))
    )
    assert start == 7 and detected.tolist() == [True, False, False, False, True]
    assert boxes[:, 0].tolist() == [0, 2, 4, 6, 8] and boxes[:, 3].tolist() == [10, 11, 12, 13, 14]


def test_no_detections_make_no_tracks():
    assert track([], np.empty((0, 4)), [3, 5]) == []


def test_empty_boxes_are_tracked_like_others():
    found = track([0, 0, 1, 1], [[5, 5, 5, 5], [90, 90, 90, 90], [5, 5, 5, 5], [90, 90, 90, 90]])
    assert sorted(i for t in found for i in t.detection_ids) == [0, 1, 2, 3]


def test_an_empty_box_is_a_face_of_one_pixel():
    """It may jump by 0.65 of it, and not by a whole one."""
    assert [len(t) for t in track([0, 1], [[5, 5, 5, 5], [6, 5, 6, 5]])] == [1, 1]
    assert [len(t) for t in track([0, 1], [[5, 5, 5, 5], [5.6, 5, 5.6, 5]])] == [2]


def test_equal_boxes_of_one_frame_stay_two_tracks():
    assert [len(t) for t in track([0, 0, 1, 1], [[5, 5, 25, 25]] * 4)] == [2, 2]


def test_crossing_faces_keep_their_tracks():
    right, left = moving(list(range(20)), 0, 12), moving(list(range(20)), 228, -12)
    missed = [f for f in range(20) if f not in (9, 10)]  # one is in front of the other
    left = (missed, left[1][missed])
    found = track(*joined(right, left))
    assert [t.boxes[-1, 0] - t.boxes[0, 0] for t in found] == [228, -228]


def test_a_face_seen_a_moment_ago_is_preferred_to_a_predicted_one():
    """A walker passes the place of a face that is missed there, but does not join its track."""
    standing = moving(list(range(12)), 100)
    walker = moving(list(range(20)), 100 + 12 * 9, -9)
    found = track(*joined(standing, walker))
    assert sorted(len(t) for t in found) == [12, 20]


@pytest.mark.parametrize(("missed", "tracks"), [(10, 1), (11, 2)])
def test_missed_frames_are_bridged_up_to_the_longest_gap(missed, tracks):
    frames = [*range(20), *range(20 + missed, 40 + missed)]
    assert len(track(*moving(frames, 0, 3))) == tracks


def test_a_fast_face_is_followed_across_a_gap():
    """Its boxes on the two sides of the gap do not overlap."""
    assert len(track(*moving([*range(6), *range(10, 16)], 0, 16))) == 1


@pytest.mark.parametrize("change", [{"x": 135.0}, {"size": 75.0}], ids=["elsewhere", "other size"])
def test_a_face_of_another_place_or_size_after_a_gap_is_another_track(change):
    before = moving(list(range(10)), 100)
    after = moving(list(range(15, 25)), **{"x": 100.0, **change})
    assert [len(t) for t in track(*joined(before, after))] == [10, 10]


def test_two_faces_missed_in_turn_are_not_one_that_jumps():
    """Each could jump to the place of the other, but comes back to its own a frame later."""
    one = moving([f for f in range(20) if f != 10], 100)
    other = moving([f for f in range(20) if f != 9], 122, size=44)
    assert [len(t) for t in track(*joined(one, other))] == [19, 19]


def test_a_face_does_not_jump_to_a_place_where_another_comes_back():
    """One face, missed for longer, comes back a frame before the other."""
    one = moving([f for f in range(40) if f not in (20, 21)], 100, size=90)
    other = moving([f for f in range(40) if not 13 <= f <= 20], 160, size=90)
    assert [len(t) for t in track(*joined(one, other))] == [38, 32]


@pytest.mark.parametrize(("dx", "tracks"), [(0, 2), (9, 1)], ids=["at rest", "moving"])
def test_only_a_moving_face_may_be_off_its_predicted_place_after_a_gap(dx, tracks):
    """It is half a face size off after three frames: a moving head may turn or speed up."""
    before, after = moving(list(range(20)), 0, dx), moving(list(range(23, 43)), 26, dx)
    assert len(track(*joined(before, after))) == tracks


def test_a_head_is_not_expected_to_move_on_for_ever() -> None:
    motion = Motion(np.array([[0.0, 0.0, 40.0]]), np.array([[4.0, 0.0, 0.0]]), np.array([12.0]))
    ways = [motion.predict_centres(np.array([0]), np.array([n]))[0, 0] for n in (1.0, 16.0, 1e6)]
    assert 3.7 < ways[0] < 4 and ways[1] == 16 * 4 / 2 and ways[2] == pytest.approx(16 * 4, rel=1e-3)


@pytest.mark.parametrize(("gap", "tracks"), [(1, 1), (2, 2)])
def test_two_single_boxes_far_apart_in_time_are_not_linked(gap, tracks):
    assert len(track(*moving([5, 5 + gap + 1], 100))) == tracks


def test_a_distant_single_box_stays_alone():
    face = moving([f for f in range(20) if f != 10], 100)
    stray = moving([10], 180)
    assert sorted(len(t) for t in track(*joined(face, stray))) == [1, 19]


def test_blocks_of_bounded_memory_change_nothing(monkeypatch):
    crowd = joined(*(moving(list(range(8)), 60.0 * k) for k in range(200)))
    whole = rows(track(*crowd))
    monkeypatch.setattr("facerec.tracking.tracker._PAIRS_PER_BLOCK", 1000)
    assert rows(track(*crowd)) == whole and len(whole) == 200


def test_the_result_is_the_same_in_every_process(tmp_path: Path):
    """Otherwise two merges of one film could differ."""
    code = (
        "import numpy as np; from facerec.tracking.tracker import track; r = np.random.default_rng(3);"
        "f = np.repeat(np.arange(99), 6); b = r.integers(0, 60, (594, 4)); b[:, 2:] += 61;"
        "print([t.detection_ids.tolist() for t in track(f, b, [40])])"
    )
    root = Path(__file__).resolve().parents[2]
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            check=True,
            cwd=root,
            env={"PYTHONHASHSEED": seed, "OMP_NUM_THREADS": seed, "PATH": ""},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


@pytest.mark.parametrize(
    ("wrong", "named"),
    [({"iou_threshold": 0}, "iou_threshold"), ({"iou_threshold": 1.5}, "iou_threshold"),
     ({"max_gap": -1}, "gap"),
     ({"gate_sigma": 0}, "gate_sigma"), ({"gate_sigma": float("nan")}, "gate_sigma")],
)  # fmt: skip
def test_invalid_settings_are_refused(wrong, named):
    with pytest.raises(InputError, match=named):
        TrackSettings(**wrong)


def test_frames_and_boxes_of_different_numbers_are_refused():
    with pytest.raises(ValueError, match="2 frames for 1 boxes"):
        track([1, 2], [[0, 0, 5, 5]])


@settings(deadline=None)
@given(films())
def test_the_assignment_in_bounded_memory_is_as_good(film):
    frames, boxes, cuts = film
    totals = []
    for limit in (assignment._MAX_TABLE, 0):
        found: list[float] = []
        component = assignment._assign_component

        def counted(i, j, gain, links, component=component, found=found):
            chosen = component(i, j, gain, links)
            assert len(np.unique(i[chosen])) == len(np.unique(j[chosen])) == len(chosen)
            found.append(float(np.rint(gain[chosen] * 1e6).sum()))
            return chosen

        with (
            mock.patch.object(assignment, "_MAX_TABLE", limit),
            mock.patch.object(assignment, "_assign_component", counted),
        ):
            track(frames, boxes, cuts, TrackSettings(max_gap=0))
        totals.append(found)
    assert totals[0] == totals[1]


def test_the_memory_of_a_flickering_crowd_grows_with_its_links():
    """100 people at overlapping places, half of their boxes missed, for 40 s: thousands of rival ends."""
    rng = np.random.default_rng(0)
    seen = np.argwhere(rng.random((1000, 100)) < 0.5)
    left, top = 12.0 * (seen[:, 1] % 10), 12.0 * (seen[:, 1] // 10)
    corner = np.stack([left, top], axis=1) + rng.normal(0, 6, (len(seen), 2))
    tracemalloc.start()
    found = track(seen[:, 0], np.concatenate([corner, corner + 40], axis=1))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sum(len(t) for t in found) == len(seen)
    assert peak < 230 << 20  # 155 MiB; with dense tables 310


def linked_offsets(
    before: int,
    after: int,
    settings: TrackSettings | None = None,
    missed: int = 3,
    axes: tuple[int, ...] = (),
) -> list[float]:
    """How far off a face of `before` boxes may be to be linked with one of `after`, `missed` frames later."""
    offsets = [x / 4 for x in range(200)]
    film, cuts = [], []
    for shot, x in enumerate(offsets):  # each in a shot of its own
        first, again = 40 * shot, 40 * shot + 12 + missed
        cuts.append(first)
        film.append(moving(list(range(first + 12 - before, first + 12)), 100))
        film.append(moving(list(range(again, again + after)), 100 + x))
    frames, boxes = joined(*film)
    found = track(frames, boxes[:, axes or slice(None)], cuts=cuts, settings=settings)
    return [offsets[one.frames[0] // 40] for one in found if len(one) == before + after]


def test_the_gate_is_narrower_where_an_end_is_a_single_box():
    """As narrow as a smaller gate is for all: a single box may be no face."""
    narrow = TrackSettings(gate_sigma=TrackSettings().gate_sigma * tracker._SINGLE_BOX_FACTOR)
    assert len(linked_offsets(12, 12)) > len(linked_offsets(12, 12, narrow)) > 0
    for before, after in ((1, 12), (12, 1)):
        given = linked_offsets(before, after)
        with mock.patch.object(tracker, "_SINGLE_BOX_FACTOR", 1.0):
            assert len(linked_offsets(before, after)) > len(given) > 0
            assert linked_offsets(before, after, narrow) == given


@pytest.mark.parametrize(("missed", "jump"), [(0, 1.75), (1, 1.75), (2, 1.75), (3, 1.0), (10, 1.0)])
def test_a_face_at_rest_may_jump_in_a_gap_of_two_frames_and_not_in_a_longer_one(missed, jump) -> None:
    """By 3.2 standard deviations of its place, for ends of 12 boxes, and 1.75 times as far by a jump."""
    sd = 40 * (0.08**2 + 0.23**2 / 6) ** 0.5
    expected = [x / 4 for x in range(200) if x / 4 <= 3.2 * sd * jump]
    assert linked_offsets(12, 12, missed=missed) == expected
    assert linked_offsets(12, 12, missed=missed, axes=(1, 0, 3, 2)) == expected  # up and down


@pytest.mark.parametrize(("before", "after"), [(1, 12), (12, 1)])
def test_a_single_box_jumps_less_far(before, after) -> None:
    """Ends of fewer than four boxes count as of four; the gate is 0.9 times as wide, and 1.25 in a jump."""
    sd = 40 * (0.08**2 + 0.23**2 * (1 / 4 + 1 / 12)) ** 0.5
    for missed, jump in ((2, 1.25), (3, 1.0)):
        expected = [x / 4 for x in range(200) if x / 4 <= 3.2 * 0.9 * sd * jump]
        assert linked_offsets(before, after, missed=missed) == expected


def test_three_faces_in_a_row_do_not_each_take_the_place_of_the_next_one() -> None:
    """Two that stay where they are weigh more than three that all move nearly as far as they may."""
    far = 3.2 * 40 * (0.08**2 + 0.23**2 / 6) ** 0.5 * 0.9  # 0.81 of the largest cost
    before, after = list(range(12)), list(range(17, 29))
    film = joined(
        *(moving(before, 100 + k * far) for k in (0, 1, 2)),
        *(moving(after, 100 + k * far) for k in (1, 2, 3)),
    )
    assert [len(one) for one in track(*film)] == [12, 24, 24, 12]


def test_of_two_faces_that_are_missed_the_nearer_one_comes_back() -> None:
    before, after = list(range(12)), list(range(17, 29))
    film = joined(moving(before, 100), moving(before, 110), moving(after, 108))
    assert [len(one) for one in track(*film)] == [12, 24]


def test_boxes_that_overlap_by_exactly_the_threshold_are_linked() -> None:
    boxes = [[0, 0, 40, 40], [0, 20, 40, 40]]
    for threshold, lengths in ((0.5, [2]), (0.501, [1, 1])):
        found = track([0, 1], boxes, settings=TrackSettings(iou_threshold=threshold, gate_sigma=1e-6))
        assert [len(one) for one in found] == lengths


def test_the_tracks_of_a_crowd_are_the_same_on_every_machine_and_in_every_release() -> None:
    """Two merges of one film must not differ. If this change is meant, raise `settings.RESULTS_VERSION`."""
    rng = np.random.default_rng(12)
    faces, shot = 40, np.repeat(np.arange(3), 40)
    start, speed, size = (rng.integers(*limits, (2, 3, faces)) for limits in ((0, 300), (-6, 7), (20, 60)))
    seen = np.argwhere(rng.random((120, faces)) < 0.6)
    frame, face = seen.T
    at = start[:, shot[frame], face] + speed[:, shot[frame], face] * (frame % 40)
    at += rng.integers(-9, 10, at.shape) * (rng.random(at.shape) < 0.15)
    boxes = np.concatenate([at, at + size[0, shot[frame], face]]).T + 2 * rng.random((len(face), 4))
    for max_gap, cuts, digest in ((10, [80, 40], "8273e4457bf12701"), (4, [], "726034d109c76888")):
        found = track(frame, boxes, cuts, TrackSettings(max_gap=max_gap))
        text = ";".join(" ".join(map(str, one.detection_ids.tolist())) for one in found)
        assert sha256(text.encode()).hexdigest()[:16] == digest


def test_what_was_detected_earlier_decides_nothing():
    """The first detection of a film has number 0, which must not be taken for none."""
    limit = linked_offsets(2, 1)[-1]
    for x in np.linspace(0.85, 1.15, 13) * limit:
        for other in (100, 118, 130):
            film = joined(moving([5, 6], 100), moving([5], other), moving([9], 100 + x))
            alone, later = track(*film), track(*joined(moving([0], 2000), film), cuts=[1])
            assert rows(later)[1:] == rows(alone)
