"""Small pictures are compared without regard to light, overexposed pixels and motion."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from facerec.video.likeness import contrast, distance, distance_after_motion, shared_parts, unlikeness
from facerec.video.miniature import HEIGHT, WIDTH

Pictures = NDArray[np.float32]


def noise(seed: int, *shape: int, low: float = 0, high: float = 200) -> Pictures:
    return np.random.default_rng(seed).uniform(low, high, shape).astype(np.float32)


def rows(*values: float) -> Pictures:
    return np.array(values, np.float32)


STEP = rows(-10, 10, -10, 10)  # variance 100


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (STEP + 60, STEP + 90, 10 - 10 * 100 / 104),  # offset
        (STEP + 60, 2 * STEP + 90, 20 - 10 * 200 / 104),  # gain: the worse of two predictions
        (2 * STEP + 60, STEP + 90, 20 - 10 * 200 / 104),
        (STEP + 60, 90 - STEP, 10),  # a negative is unlike, not like
        (STEP + 60, 90 - 2 * STEP, 20),
        (STEP + 60, rows(80, 80, 100, 100), 10),  # unrelated: the larger contrast
        (rows(50, 50, 50, 50), STEP + 90, 10),
        (rows(50, 50, 50, 50), rows(90, 90, 90, 90), 0),
        (STEP + 60, rows(70, 90, 70, 130), 20 - 10 * 100 / 104),
    ],
)
def test_the_distance_is_what_gain_and_offset_leave(one: Pictures, other: Pictures, expected: float) -> None:
    """With a variance of 4 added to each picture's: 100 / 104 of a picture is predicted from itself."""
    assert distance(one, other) == pytest.approx(expected, rel=1e-5, abs=1e-6)
    assert distance(other, one) == pytest.approx(expected, rel=1e-5, abs=1e-6)
    white = (np.append(picture, rows(250, 255)) for picture in (one, other))  # left out
    assert distance(*white) == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_white_pixels_of_either_picture_are_left_out() -> None:
    """Overexposure hides what was there: the distance is that of the pictures without those pixels."""
    ones, others = noise(0, 9, 200), 0.5 * noise(0, 9, 200) + noise(1, 9, 200, high=90)
    for k in range(9):
        ones[k, : 10 * k], others[k, 5 * k : 12 * k] = 248 + k, 255
    used = [slice(12 * k, None) for k in range(9)]
    expected = [float(distance(ones[k][used[k]], others[k][used[k]])) for k in range(9)]
    assert max(map(float, (ones[:, 96:].max(), others[:, 96:].max()))) < 248
    assert distance(ones, others) == pytest.approx(expected, rel=1e-4)
    across = distance(ones[:, None], others[None])
    assert across.shape == (9, 9) and np.diagonal(across) == pytest.approx(expected, rel=1e-4)
    for light in (others[3], others[3] * 0.9 + 5):
        assert distance(ones[3], light) == pytest.approx(distance(light, ones[3]), rel=1e-6)


@pytest.mark.parametrize(("white", "is_used"), [(69, False), (71, True)])
def test_pictures_that_are_mostly_white_are_compared_as_they_are(white: int, is_used: bool) -> None:
    one, other = noise(0, 100), noise(1, 100)
    one[:white] = 255
    deviations = np.maximum(*(np.abs(picture - picture.mean()).mean() for picture in (one, other)))
    without = distance(one[white:], other[white:])
    found = distance(one, other)
    plain = noise(2, 100)
    both = distance(np.stack([one, plain]), np.stack([other, other]))
    assert both == pytest.approx([float(found), float(distance(plain, other))], rel=1e-4), "each for itself"
    assert (found == pytest.approx(without, rel=1e-4)) is not is_used
    if is_used:
        assert found <= deviations * 1.0001
        whole = distance(one - 10, other - 10)  # no pixel is white
        assert found == pytest.approx(whole, rel=1e-4)


def test_a_white_pixel_has_at_least_248_grey_levels() -> None:
    one, other = noise(0, 100), noise(0, 100)
    one[:20] = other[:20] = 100
    one[0] = 247.9
    changed = float(distance(one, other))
    one[0] = 248
    assert changed > 1 > 0.6 > float(distance(one, other))


def test_contrast_and_unlikeness_are_shares_of_the_picture() -> None:
    assert contrast(np.stack([rows(0, 10, 20, 30), rows(7, 7, 7, 7)])).tolist() == [10, 0]
    dark, bright = noise(0, 3, 400, high=60), noise(0, 3, 400) / 2 + 50
    found = unlikeness(dark, bright)
    assert found.shape == (3,) and (found < 0.02).all()
    unrelated = unlikeness(dark, noise(1, 3, 400))
    assert (unrelated > 0.9).all() and (unrelated < 1.05).all()
    flat = rows(50, 50.4, 50, 50.4), rows(60, 60, 60.4, 60.4)
    assert unlikeness(*flat) == pytest.approx(0.2, rel=1e-3), "flat pictures are alike"


def blocks(seed: int, contrasts: float = 40) -> Pictures:
    return noise(seed, HEIGHT, WIDTH, low=100 - contrasts, high=100 + contrasts)


@pytest.mark.parametrize("count", [0, 1, 5, 18])
def test_the_shared_parts_are_blocks_of_nine_rows_and_eight_columns(count: int) -> None:
    one, other = blocks(0), blocks(1)
    chosen = np.random.default_rng(count).permutation(18)[:count]
    for block in chosen.tolist():
        top, left = 9 * (block // 6), 8 * (block % 6)
        other[top : top + 9, left : left + 8] = one[top : top + 9, left : left + 8] * 0.8 + 9
    assert shared_parts(one.ravel(), other.ravel()) == pytest.approx(count / 18)


def test_only_textured_blocks_are_shared() -> None:
    one, other = blocks(0), blocks(1)
    one[:9, :24] = other[:9, :24] = 80  # three flat blocks
    other[18:, 40:] = one[18:, 40:]
    assert shared_parts(one.ravel(), other.ravel()) == pytest.approx(1 / 15)
    flat = np.full(HEIGHT * WIDTH, 80, np.float32)
    assert shared_parts(flat, flat) == 0
    one[:18], one[18:, :40] = 80, 80
    assert shared_parts(one.ravel(), one.ravel()) == 1, "of its only textured block"
    for amplitude, shared in ((7.0, 0), (9.5, 1)):  # contrasts of 3.5 and 4.75 grey levels
        checks = 100 + amplitude / 2 * (-1) ** np.add.outer(np.arange(HEIGHT), np.arange(WIDTH))
        one = np.asarray(checks, np.float32).ravel()
        assert shared_parts(2 * one - 100, one + 5) == shared


def test_a_block_is_shared_up_to_four_tenths_of_its_contrast() -> None:
    pattern = np.where(np.arange(WIDTH) % 2, 60, 140)[None].repeat(HEIGHT, 0).astype(np.float32)
    stripes = np.where(np.arange(WIDTH) % 8 < 4, 1, -1)[None] * np.ones((HEIGHT, 1), np.float32)
    for share, shared in ((0.25, 1), (0.6, 0)):
        other = (pattern + 40 * share * stripes).astype(np.float32)
        assert shared_parts(pattern.ravel(), other.ravel()) == shared


def scene(x: float, y: float, seed: int = 0) -> Pictures:
    wide = cv2.resize(noise(seed, 9, 16, low=20), (3 * WIDTH, 3 * HEIGHT), interpolation=cv2.INTER_CUBIC)
    size = WIDTH, HEIGHT
    middle = 1.5 * WIDTH + x, 1.5 * HEIGHT + y
    return np.asarray(cv2.getRectSubPix(wide, size, middle), np.float32).ravel()


def test_motion_is_followed_in_every_direction_and_under_any_light() -> None:
    still = scene(0, 0)
    for x, y in ((3, 0), (-3, 0), (0, 2), (0, -2), (2, 2)):
        moved = scene(x, y)
        before = float(distance(still, moved))
        assert distance_after_motion(still, moved) < 0.25 * before
        assert distance_after_motion(still, 0.5 * moved + 60) < 0.25 * before
        assert distance_after_motion(moved, still) == distance_after_motion(still, moved)
    other = scene(0, 0, seed=5)
    assert distance_after_motion(still, other) > 0.5 * float(distance(still, other))


def test_pictures_of_which_nothing_stays_in_the_frame_are_as_far_apart_as_can_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    flow = np.zeros((HEIGHT, WIDTH, 2), np.float32)
    monkeypatch.setattr(cv2, "calcOpticalFlowFarneback", lambda *_: flow)
    one, other = noise(0, HEIGHT * WIDTH), noise(1, HEIGHT * WIDTH, high=90)
    flow[..., 0] = 0.75 * WIDTH
    contrasts = float(contrast(one)), float(contrast(other))
    assert distance_after_motion(one, other) == pytest.approx(min(contrasts))
    flow[..., 0] = 0.65 * WIDTH
    assert distance_after_motion(one, other) != pytest.approx(min(contrasts))


def test_a_change_of_how_motion_is_followed_does_not_go_unnoticed() -> None:
    """The thresholds of gradual transitions were chosen with these figures; others give other shots."""
    pairs = [(scene(0, 0), scene(4.3, 1.2)), (scene(0, 0), scene(0, 0, 5)), (scene(0, 0, 3), scene(-9, 6, 3))]
    lamps = [pair[k].copy() for k, pair in enumerate((pairs[0], pairs[0]))]
    for picture, at in zip(lamps, (500, 504), strict=True):
        picture[at : at + 5] = picture[at + WIDTH : at + WIDTH + 5] = 900  # as far brighter than the rest
    holes = [180 + 0.1 * picture for picture in pairs[0]]  # bright but for a few pixels
    for picture, at in zip(holes, (500, 504), strict=True):
        picture[at : at + 5] = picture[at + WIDTH : at + WIDTH + 5] = 0
    found = [distance_after_motion(*pair) for pair in [*pairs, (lamps[0], lamps[1]), (holes[0], holes[1])]]
    assert found == pytest.approx([2.30837, 26.7072, 19.1373, 18.8082, 2.84170], rel=1e-3)


def test_many_pictures_have_the_bits_of_each_pair_alone() -> None:
    """They are compared in parts; shards of a film have other parts than the whole film."""
    ones, others = noise(2, 70, HEIGHT * WIDTH), noise(3, 70, HEIGHT * WIDTH)
    others[::3] = 0.9 * ones[::3] + 20
    others[60:, :300] = 255
    alone = [distance(one[None], other[None])[0] for one, other in zip(ones, others, strict=True)]
    np.testing.assert_array_equal(distance(ones, others), alone)
