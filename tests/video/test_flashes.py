"""Light that comes and goes, and what only seems to be light."""

from __future__ import annotations

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
