"""Fades: a picture that becomes flat (black, white or one colour), and another one that comes out of it."""

from __future__ import annotations

import numpy as np

from facerec.settings import ShotSettings
from facerec.video.gradual import Found, spread, unrelated
from facerec.video.likeness import Pictures, contrast, distance
from facerec.video.mixes import Coarse, is_linear_mix

BLACK, WHITE = "fade through black", "fade through white"
_LONGEST = 63  # frames of one half of a fade
_SIDE = 8  # frames on each side that are compared


def find_fades(pictures: Pictures, small: Coarse, settings: ShotSettings) -> list[Found]:
    """Find runs of flat pictures that at least one side fades into.

    A film that begins or ends flat has no transition there. With two abrupt sides it is two hard cuts.

    Args:
        small: `gradual.coarse(pictures)`.
    """
    contrasts = contrast(small)
    flat = np.concatenate([[False], contrasts < settings.max_flat_contrast, [False]])
    edges = np.flatnonzero(np.diff(flat.astype(np.int8)))
    found: list[Found] = []
    for first, last in zip(edges[::2].tolist(), (edges[1::2] - 1).tolist(), strict=True):
        if first == 0 or last == len(small) - 1:
            continue
        old, new = _whole(contrasts, first, -1), _whole(contrasts, last, 1)
        fades_out = is_linear_mix(small[old + 1 : first], small[old], small[first], settings)
        fades_in = is_linear_mix(small[new - 1 : last : -1], small[new], small[last], settings)
        if not (fades_out or fades_in):
            continue
        old, new = old if fades_out else first - 1, new if fades_in else last + 1
        if _differ(pictures, old, new, settings):
            kind = BLACK if small[first : last + 1].mean() < 128 else WHITE
            found.append(Found(kind, old + 1, new, (first + last) // 2 + 1))
    return found


def _whole(contrasts: np.ndarray, flat: int, step: int) -> int:
    """Walk from a flat picture to where its contrast no longer grows: the picture that fades."""
    best = flat
    for k in range(1, _LONGEST + 1):
        at = flat + step * k
        if not 0 <= at < len(contrasts):
            break
        if contrasts[at] > 1.02 * contrasts[best] + 0.3:
            best = at
        elif abs(at - best) >= 3:
            break
    return best


def _differ(pictures: Pictures, old: int, new: int, settings: ShotSettings) -> bool:
    """Whether the pictures on both sides are of different shots."""
    n = len(pictures)
    one, other = pictures[max(0, old - 2)], pictures[min(n - 1, new + 2)]
    apart = float(distance(one, other))
    larger = float(max(contrast(one), contrast(other)))
    if apart < max(settings.min_gradual_change, settings.min_gradual_unlikeness * larger):
        return False
    before, after = spread(max(0, old - _SIDE), old, 4), spread(new, min(n - 1, new + _SIDE), 4)
    return unrelated(pictures, before, after, settings.max_return_gradual * apart)
