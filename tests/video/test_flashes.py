"""Light that comes and goes, and what only seems to be light."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from facerec.settings import ShotSettings
from facerec.video.flashes import _best_shift, is_flash
from facerec.video.gradual import Found
from facerec.video.likeness import Pictures
from facerec.video.miniature import HEIGHT, WIDTH
from facerec.video.shots import HARD
from tests.video.test_gradual_rules import NEW, OLD
from tests.video.test_shots import filmed, scene

WHITE = np.full_like(OLD, 250)


def is_light(lit: Pictures, cut: int = 30, old: Pictures = OLD, new: Pictures = OLD) -> bool:
    """Whether a hard cut is due to pictures between 30 of one and 30 of another."""
    pictures = np.concatenate([np.repeat(old[None], 30, 0), lit, np.repeat(new[None], 30, 0)])
    return is_flash(pictures.astype(np.float32), Found(HARD, cut, cut, cut), ShotSettings())


@pytest.mark.parametrize(("count", "expected"), [(1, True), (2, True), (24, True), (25, False)])
def test_a_flash_has_up_to_24_frames(count: int, expected: bool) -> None:
    for lit in (np.repeat(WHITE[None], count, 0), np.repeat(0.02 * OLD[None], count, 0)):
        for cut in (30, 30 + count):  # it comes and goes abruptly
            assert is_light(lit, cut) is expected
        assert not is_light(lit, new=NEW), "another shot comes out of it"


def test_a_flash_beside_the_first_or_the_last_frame_of_a_film_is_one() -> None:
    for before, after in ((1, 30), (30, 1)):
        parts = [np.repeat(one[None], n, 0) for one, n in ((OLD, before), (WHITE, 3), (OLD, after))]
        for cut in (before, before + 3):
            assert is_flash(np.concatenate(parts), Found(HARD, cut, cut, cut), ShotSettings())


@pytest.mark.parametrize(
    ("begin", "end", "expected"),
    [
        (30, 40, True), (27, 43, True), (26, 43, False), (27, 44, False), (33, 37, True),
        (20, 40, False), (30, 50, False),
    ],
)  # fmt: skip
def test_light_explains_a_slow_transition_of_up_to_three_frames_more(
    begin: int, end: int, expected: bool
) -> None:
    """It is there from frame 30 to frame 39, and the change at either end is of the transition."""
    parts = [np.repeat(one[None], n, 0) for one, n in ((OLD, 30), (WHITE, 10), (OLD, 30))]
    found = Found("dissolve", begin, end, 35)
    assert is_flash(np.concatenate(parts), found, ShotSettings()) is expected


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("dark", "bright", "expected"), [(10, 17, True), (10, 16.5, False), (1.2, 4, True)])
def test_a_tenth_of_the_change_and_a_grey_level_of_noise_may_be_against_the_light(
    sign: int, dark: float, bright: float, expected: bool
) -> None:
    """A quarter of the pixels becomes darker in a flash, or brighter where a lamp goes out."""
    flat = np.full_like(OLD, 120)
    lit = flat + sign * np.where(np.arange(len(flat)) % 4, bright, -dark).astype(np.float32)
    assert is_light(np.repeat(lit[None], 3, 0), 30, flat, flat) is expected


def half_lit(hidden: Sequence[int]) -> Pictures:
    """A shot with light from frame 30 to frame 39 that hides the picture in some of the frames only."""
    pictures = np.repeat(OLD[None], 70, 0)
    pictures[30:40] = 0.6 * OLD + 120
    pictures[list(hidden)] = WHITE
    return pictures.astype(np.float32)


@pytest.mark.parametrize(("hidden", "expected"), [(31, False), (32, True), (33, True), (34, False)])
def test_light_explains_a_cut_if_it_hides_the_picture_there(hidden: int, expected: bool) -> None:
    assert is_flash(half_lit([hidden]), Found(HARD, 33, 33, 33), ShotSettings()) is expected


@pytest.mark.parametrize(("hidden", "expected"), [(32, False), (33, True), (36, True), (37, False)])
def test_light_explains_a_slow_transition_if_it_hides_a_picture_of_it(hidden: int, expected: bool) -> None:
    assert is_flash(half_lit([hidden]), Found("dissolve", 33, 37, 35), ShotSettings()) is expected


def test_motion_is_known_from_the_frames_on_one_side_of_the_light() -> None:
    """The film begins, or ends, with the light and five frames on one side of it."""
    pictures = filmed(0, [2.5 * k for k in range(16)]).reshape(16, -1)
    pictures[6:10] = 255
    for part, cut in ((pictures[:11], 6), (pictures[5:], 1)):
        assert is_flash(part, Found(HARD, cut, cut, cut), ShotSettings())
        lost = part[1:] if cut == 6 else part[:-1]
        place = cut - (cut == 6)
        assert not is_flash(lost, Found(HARD, place, place, place), ShotSettings()), "too few frames"


def test_a_jump_beside_light_at_the_end_of_a_film_is_none() -> None:
    """There are no frames behind it from which the motion could be known."""
    pictures = filmed(0, [0.0] * 15 + [9.0] * 6).reshape(21, -1)
    pictures[12:16] = 255
    assert not is_flash(pictures, Found(HARD, 12, 12, 12), ShotSettings())


@pytest.mark.parametrize("brighter", [10, -10])
def test_another_picture_is_no_light_though_it_is_brighter_or_darker(brighter: int) -> None:
    other = (NEW - NEW.mean() + OLD.mean() + brighter)[None]
    for lit in (
        other,
        np.repeat(other, 3, 0),
        np.concatenate([other, WHITE[None] if brighter > 0 else 0 * other]),
    ):
        assert not is_light(lit)


@pytest.mark.parametrize(("count", "expected"), [(7, True), (8, True), (9, False)])
def test_light_before_a_moving_camera_has_up_to_eight_frames(count: int, expected: bool) -> None:
    """In more, the camera may have moved to another place, which is a cut."""
    pictures = filmed(0, [1.5 * k for k in range(36)]).reshape(36, -1)
    pictures[12 : 12 + count] = 255
    assert is_flash(pictures, Found(HARD, 12, 12, 12), ShotSettings()) is expected


def test_a_shift_is_found_up_to_its_reach() -> None:
    wide = scene(0)

    def at(x: int, y: int) -> Pictures:
        return wide[24 - y : 24 - y + HEIGHT, 45 - x : 45 - x + WIDTH].ravel()

    for x, y in ((4, 1), (-2, -3), (4, -3), (-2, 1), (1, -1)):
        left, shift = _best_shift(at(0, 0), at(x, y), (1, -1), (3, 2))
        assert shift == (x, y) and left < 0.1
    for x, y in ((5, -1), (-3, -1), (1, 2), (1, -4)):
        assert _best_shift(at(0, 0), at(x, y), (1, -1), (3, 2))[1] != (x, y)
