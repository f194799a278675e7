"""What the times of the frames say about parts of a film that are missing."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from facerec.video.decoding import FrameIndex
from facerec.video.frame_index import _jumps, _truncation


def index_of(times: list[int], time_base: Fraction = Fraction(1, 25), seekable: bool = True) -> FrameIndex:
    return FrameIndex(np.array(times, np.int64), time_base, seekable)


def without(*missing: range, count: int = 200) -> list[int]:
    gone = {frame for part in missing for frame in part}
    return [frame for frame in range(count) if frame not in gone]


def test_missing_frames_are_reported_with_time_and_place() -> None:
    rest = "frames are missing there"
    one = f"the times of the frames jump by 0.8 s at 1 place, the first after 50 frames: {rest}"
    two = f"the times of the frames jump by 1.2 s at 2 places, the first after 50 frames: {rest}"
    assert _jumps(index_of(without(range(50, 70)))) == [one]
    assert _jumps(index_of(without(range(50, 70), range(100, 110)))) == [two]
    assert _jumps(index_of(without(range(50, 70)), seekable=False)) == []


def test_frames_that_a_camera_dropped_are_not_missing() -> None:
    """Steps of up to 0.2 s, or of one and a half usual ones where these are longer."""
    assert _jumps(index_of(without(range(50, 54)))) == []
    assert len(_jumps(index_of(without(range(50, 55))))) == 1
    for step, count in ((280, 0), (300, 0), (320, 1)):
        times = np.cumsum([200] * 50 + [step] + [200] * 50).tolist()
        assert len(_jumps(index_of(times, Fraction(1, 1000)))) == count


def test_only_films_of_one_frame_rate_that_are_long_enough_have_jumps() -> None:
    assert _jumps(index_of(without(range(20, 40), count=84))) == []  # 63 steps
    assert len(_jumps(index_of(without(range(20, 40), count=85)))) == 1
    often, seldom = ([frame for frame in range(400) if frame % every > 8] for every in (150, 250))
    assert len(_jumps(index_of(often))) == 1
    assert len(_jumps(index_of(seldom))) == 1
    slides = [round(n**1.5) for n in range(100)]
    assert _jumps(index_of([*slides, slides[-1] + 900])) == []
    animated = np.cumsum([1, 3] * 40 + [90] + [1] * 20).tolist()  # frames of one and of three units
    assert _jumps(index_of(animated)) == []


def test_times_may_be_rounded_to_the_unit_of_the_container() -> None:
    times = [round(n * 1000 / 30) for n in range(100)]  # steps of 33 and 34 ms
    assert _jumps(index_of(times, Fraction(1, 1000))) == []
    later = [time + 1000 * (n >= 40) for n, time in enumerate(times)]
    (said,) = _jumps(index_of(later, Fraction(1, 1000)))
    assert "jump by 1.0 s at 1 place, the first after 40 frames" in said


@pytest.mark.parametrize(("off", "is_steady"), [(19, True), (20, True), (21, False)])
def test_steps_of_one_frame_rate_differ_by_a_tenth_at_most(off: int, is_steady: bool) -> None:
    steps = [200, 200 + off, 200, 200 - off] * 25
    steps[50] = 5000
    assert len(_jumps(index_of(np.cumsum(steps).tolist(), Fraction(1, 1000)))) == is_steady


def lost(times: range, declared: int, seconds: float | None, seekable: bool = True) -> list[str]:
    duration = None if seconds is None else round(seconds * av.time_base)
    return _truncation(index_of(list(times), seekable=seekable), len(times), declared, duration)


def test_fewer_frames_than_the_container_declares_are_a_loss() -> None:
    said = ["the container declares 120 frames, 100 could be read"]
    assert lost(range(100), 120, None) == lost(range(100), 120, 0) == lost(range(100), 120, 4.8) == said
    assert lost(range(100), 120, 4, seekable=False) == said
    assert lost(range(100), 100, 4.8) == lost(range(100), 90, 4.8) == []
    assert lost(range(1), 3, 0.12) == ["the container declares 3 frames, 1 could be read"]
    assert lost(range(2), 3, 0.055) == [] and len(lost(range(2), 3, 0.065)) == 1


@pytest.mark.parametrize(("seconds", "is_loss"), [(4.0, False), (4.358, False), (4.362, True)])
def test_frames_that_an_edit_list_hides_are_in_no_duration(seconds: float, is_loss: bool) -> None:
    """100 of 120 frames take 3.96 s; half of the others would take 0.4 s."""
    for begin in (0, 1000):
        assert bool(lost(range(begin, begin + 100), 120, seconds)) is is_loss


@pytest.mark.parametrize(
    ("times", "is_loss"),
    [
        (range(221), False),  # up to 8.8 s, a second and 2 % less than 10 s
        (range(220), True),
        (range(125, 221), False),  # a film that starts late; its duration counts from zero
        (range(125, 220), True),
        (range(-50, 171), False),
        (range(-50, 170), True),
    ],
)
def test_less_time_than_the_container_declares_is_a_loss(times: range, is_loss: bool) -> None:
    said = [f"the container declares 10.0 s, {times[-1] / 25:.1f} s could be read"]
    assert lost(times, 0, 10.0) == (said if is_loss else [])
    assert lost(times, len(times), 10.0) == lost(times, 0, 10.0, seekable=False) == []
