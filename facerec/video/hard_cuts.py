"""Hard cuts: a picture differs much more from the one before it than the pictures around do."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facerec.settings import ShotSettings
from facerec.video.likeness import Pictures, contrast, distance

_STILL = 0.5  # mean distance of the neighbours below which they count as still


def find_hard_cuts(pictures: Pictures, settings: ShotSettings) -> list[int]:
    """Find the hard cuts: indices of the first pictures of new shots.

    As in PySceneDetect's `AdaptiveDetector`, a cut's distance is large absolutely and relative to the mean
    of its neighbours. The ratio is multiplied by the unlikeness of the two pictures, since motion and light
    leave something of the picture. A flash, or something that passes in front of the lens, is not a cut: a
    picture after it is like one before it.
    """
    n = len(pictures)
    distances = np.zeros(n)
    distances[1:] = distance(pictures[:-1], pictures[1:])
    contrasts = contrast(pictures)
    unlike = np.zeros(n)
    unlike[1:] = distances[1:] / np.maximum(np.maximum(contrasts[:-1], contrasts[1:]), 1)
    ratio = distances / np.maximum(_means_around(distances, settings.window), _STILL)
    found = (
        (distances >= settings.min_change)
        & (unlike >= settings.min_unlikeness)
        & (ratio * np.minimum(unlike, 1) >= settings.adaptive_ratio)
    )
    cuts: list[int] = []
    for cut in np.flatnonzero(found).tolist():
        if _returns(pictures, cut, settings.max_flash, settings.max_return * distances[cut]):
            continue
        if cuts and cut - cuts[-1] < settings.min_shot:
            if distances[cut] > distances[cuts[-1]]:
                cuts[-1] = cut
        else:
            cuts.append(cut)
    return cuts


def _means_around(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Return the mean of up to `window` values on each side, without the first, which is no distance."""
    sums, counts = np.zeros(len(values)), np.zeros(len(values))
    known = np.arange(len(values)) > 0
    for offset in range(-window, window + 1):
        if offset:
            target = slice(max(0, -offset), max(0, len(values) - max(0, offset)))
            source = slice(max(0, offset), max(0, len(values) + min(0, offset)))
            sums[target] += values[source]
            counts[target] += known[source]
    return np.asarray(sums / np.maximum(counts, 1))


def _returns(pictures: Pictures, cut: int, reach: int, limit: float) -> bool:
    """Whether a picture before `cut` is like one after it, at most `reach` frames later."""
    before, after = pictures[max(0, cut - reach - 1) : cut], pictures[cut : cut + reach + 1]
    found = distance(before[:, None], after[None])
    gap = np.arange(len(before))[::-1][:, None] + np.arange(len(after))[None]
    near = found[(gap > 0) & (gap <= reach)]
    return bool(len(near) and near.min() < limit)
