"""Flashes, explosions and lamps that go out: light that comes and goes while the shot goes on.

Two facts tell light from a shot of its own: the picture after it is the one before it, but for the motion of
the camera, and in between light is only added, or only taken.
"""

from __future__ import annotations

import numpy as np

from facerec.settings import ShotSettings
from facerec.video.gradual import Found
from facerec.video.likeness import Pictures, contrast, unlikeness
from facerec.video.miniature import HEIGHT, WIDTH

_LONGEST = 24  # frames of light that are compared
_LONGEST_MOVED = 8  # of these, with a camera that moves
_LIGHT = 2.0  # grey levels by which each frame of light differs from both ends, in the mean
# the same from one frame to the next, with a margin for rounding; saves most comparisons
_STEP = 0.99 * _LIGHT
_BESIDE = 3  # frames by which a gradual transition may be longer than the light that explains it, at each end
_OPPOSITE = 0.1  # share of the change that may be darker in a flash, or brighter where a lamp goes out
_NOISE = 1.0  # grey levels, in the mean, that may be so besides
_SAME = 0.4  # unlikeness below which the shot goes on
_MOVED = 0.5  # the same, after the best of many shifts of a noisy picture
_SPEED = 3  # pixels a frame by which a camera moves at most
_UNSTEADY = 2, 2  # pixels (x, y) by which the motion during the light may be another one
_FARTHEST = 16, 8  # pixels (x, y) that it may move; more leaves too little to compare


def is_flash(pictures: Pictures, found: Found, settings: ShotSettings) -> bool:
    """Whether what was found as a transition is light in a shot that goes on.

    Args:
        found: in indices of `pictures`.
    """
    low = max(0, found.begin - 1 - _LONGEST)
    mean = pictures[low : found.end + _LONGEST + 1].mean(1)
    steps = (np.abs(np.diff(mean)) >= _STEP).tolist()
    for frames in range(1, _LONGEST + 1):
        for old in range(max(found.cut - 1 - frames, low), min(found.cut, low + len(mean) - 1 - frames)):
            new = old + frames + 1
            if old > found.begin - 1 + _BESIDE or new < found.end - _BESIDE:
                continue
            if not (steps[old - low] and steps[new - 1 - low]):
                continue
            ends, inside = mean[[old - low, new - low]], mean[old + 1 - low : new - low]
            sign = 1.0 if inside[0] > ends[0] else -1.0
            if (sign * inside).min() < (sign * ends).max() + _LIGHT:
                continue
            if (
                _is_light(pictures[old], pictures[old + 1 : new], pictures[new], sign)
                and _is_hidden(pictures, found, old, new, settings)
                and _goes_on(pictures, old, new)
            ):
                return True
    return False


def _is_light(old: Pictures, lit: Pictures, new: Pictures, sign: float) -> bool:
    """Whether light is only added to pictures, or only taken (`sign` -1); they may move by a pixel."""
    import cv2

    ends = sign * np.stack([old, new]).reshape(2, HEIGHT, WIDTH)
    around = np.ones((3, 3), np.uint8)
    low = np.minimum(*(cv2.erode(end, around) for end in ends)).ravel()
    high = np.maximum(*(cv2.dilate(end, around) for end in ends)).ravel()
    against = np.maximum(low - sign * lit, 0).mean(1)
    towards = np.maximum(sign * lit - high, 0).mean(1)
    return bool((against <= _OPPOSITE * (against + towards) + _NOISE).all())


def _is_hidden(pictures: Pictures, found: Found, old: int, new: int, settings: ShotSettings) -> bool:
    """Whether the light hides the picture where the transition is, more than gain and offset would.

    Else the change is not due to the light: a cut from a picture that flickers stays one.
    """
    first, last = (found.begin, found.end - 1) if found.end > found.begin else (found.cut - 1, found.cut)
    lit = pictures[max(first, old + 1) : min(last + 1, new)]
    unlike = np.minimum(unlikeness(pictures[old], lit), unlikeness(pictures[new], lit))
    return bool(((unlike >= _SAME) | (contrast(lit) < settings.max_flat_contrast)).any())


def _goes_on(pictures: Pictures, old: int, new: int) -> bool:
    """Whether the picture after the light is the one before it, but for motion that was there without it."""
    if unlikeness(pictures[old], pictures[new]) < _SAME:
        return True
    apart = new - old
    if apart > _LONGEST_MOVED + 1:
        return False
    for first in (old - apart, new):  # the camera's motion in as many frames before the light, and after it
        if first >= 0 and first + apart < len(pictures):
            reach = tuple(min(_SPEED * apart, farthest) for farthest in _FARTHEST)
            left, shift = _best_shift(pictures[first], pictures[first + apart], (0, 0), reach)
            if left < _MOVED and _best_shift(pictures[old], pictures[new], shift, _UNSTEADY)[0] < _MOVED:
                return True
    return False


def _best_shift(
    one: Pictures, other: Pictures, around: tuple[int, int], reach: tuple[int, ...]
) -> tuple[float, tuple[int, int]]:
    """Return the least unlikeness of two pictures after a shift, and that shift (x, y) in pixels."""
    a, b = one.reshape(HEIGHT, WIDTH), other.reshape(HEIGHT, WIDTH)
    best = (np.inf, around)
    for y in range(around[1] - reach[1], around[1] + reach[1] + 1):
        for x in range(around[0] - reach[0], around[0] + reach[0] + 1):
            kept = a[max(0, -y) : HEIGHT - max(0, y), max(0, -x) : WIDTH - max(0, x)]
            moved = b[max(0, y) : HEIGHT - max(0, -y), max(0, x) : WIDTH - max(0, -x)]
            best = min(best, (float(unlikeness(kept.ravel(), moved.ravel())), (x, y)))
    return best
