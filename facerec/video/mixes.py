"""Windows of a film that may be gradual transitions: mixes of their two ends, with a rising share.

In a dissolve each pixel is a mix of what it is before and after, in a wipe or iris it is one or the other.
Both are measured by what the mix leaves unexplained.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facerec.settings import ShotSettings
from facerec.video.likeness import Pictures, contrast, distance
from facerec.video.miniature import HEIGHT, WIDTH

LENGTHS = (4, 5, 6, 8, 10, 13, 16, 20, 25, 32, 40, 50, 62)  # of windows, in frames
AT_ONCE = 32  # windows that are compared in one step; their pictures fit the processor's caches
_POOL = 3  # side of the squares that windows are searched on, in pixels
_SAMPLES = 13  # frames of a window that are compared with its ends
_UNLIKELY = 9.0  # error of frames that are no such mix

Indices = int | NDArray[np.int64]
Coarse = NDArray[np.float32]  # (n, 144): pictures of 16x9 pixels


@dataclass(frozen=True)
class Window:
    """A window that may be a transition.

    Attributes:
        begin, end: its ends: the last frame of the old shot and the first one of the new.
        dissolve, wipe: error of the two mixes as a share of the ends' difference; large where the frames are
            no such mix.
        side: how much the less calm of the two sides changes, as a share of the ends' difference.
        badness: what speaks against it.
    """

    begin: int
    end: int
    dissolve: float
    wipe: float
    side: float = 0.0
    badness: float = 0.0


def coarse(pictures: Pictures) -> Coarse:
    """Reduce pictures to 16x9 pixels, on which small motion disappears."""
    squares = pictures.reshape(-1, HEIGHT // _POOL, _POOL, WIDTH // _POOL, _POOL)
    return np.asarray(squares.mean((2, 4)).reshape(len(pictures), -1), np.float32)


def find_windows(small: Coarse, borders: Sequence[int], settings: ShotSettings, first: int) -> list[Window]:
    """Return the windows that are mixes of ends that differ."""
    n = len(small)
    crossed = np.zeros(n + 1, np.int64)
    crossed[list(borders)] = 1
    crossed = np.cumsum(crossed)
    changes = np.zeros(n, np.float32)
    changes[1:] = np.abs(np.diff(small, axis=0)).mean(1)
    contrasts = contrast(small)
    found: list[Window] = []
    for length in LENGTHS:
        step = max(1, length // 8)
        begins = np.arange(-first % step, n - length, step)
        begins = begins[crossed[begins + length] == crossed[begins]]
        apart = distance(small[begins], small[begins + length])
        larger = np.maximum(contrasts[begins], contrasts[begins + length])
        # the exact test is that of `_checked`, on finer pictures
        begins = begins[
            (apart > 0.7 * settings.min_gradual_change)
            & (apart > 0.8 * settings.min_gradual_unlikeness * larger)
        ]
        for at in range(0, len(begins), AT_ONCE):
            part = begins[at : at + AT_ONCE]
            found += _mixes(small, changes, part, length, borders, settings)
    return found


def _mixes(
    small: Coarse,
    changes: NDArray[np.float32],
    begins: NDArray[np.int64],
    length: int,
    borders: Sequence[int],
    settings: ShotSettings,
) -> list[Window]:
    """Return those of the windows that are mixes of their ends with a rising share."""
    samples = np.unique(np.linspace(1, length - 1, min(length - 1, _SAMPLES)).round().astype(np.int64))
    frames = small[begins[:, None] + samples]
    old, new = small[begins][:, None], small[begins + length][:, None]
    span = np.abs(new - old).mean(2)[:, 0] + 1
    share, dissolve = dissolve_of(frames, old, new)
    covered, wipe = wipe_of(frames, old, new)
    dissolve, wipe = dissolve.mean(1) / span, wipe.mean(1) / span
    can_dissolve = _rises(share, settings) & (dissolve <= settings.max_dissolve_error)
    limit = np.full(len(begins), float(settings.max_wipe_error))
    can_wipe = _rises(covered, settings)
    doubtful = np.flatnonzero(can_wipe & (wipe > settings.max_wipe_error))
    noise = _changes_beside(changes, begins[doubtful], length, borders) / span[doubtful].astype(np.float64)
    limit[doubtful] += settings.wipe_noise * noise
    can_wipe &= wipe <= limit.astype(np.float32)
    return [
        Window(
            int(begins[k]),
            int(begins[k]) + length,
            float(dissolve[k]) if can_dissolve[k] else _UNLIKELY,
            float(wipe[k]) if can_wipe[k] else _UNLIKELY,
        )
        for k in np.flatnonzero(can_dissolve | can_wipe).tolist()
    ]


def _changes_beside(
    changes: NDArray[np.float32], begins: NDArray[np.int64], length: int, borders: Sequence[int]
) -> NDArray[np.float64]:
    """Return the median of the changes on both sides of each window, 0 where its shot has no more frames."""
    low, high = sides(begins, begins + length, len(changes), borders)
    steps = np.arange(max((begins - low).max(initial=1), (high - begins - length).max(initial=1)))
    frames = np.concatenate([begins[:, None] - steps, begins[:, None] + length + 1 + steps], axis=1)
    known = (frames > low[:, None]) & (frames <= high[:, None])
    ordered = np.sort(np.where(known, changes[frames.clip(0, len(changes) - 1)], np.float32(np.inf)), axis=1)
    count, rows = known.sum(1), np.arange(len(begins))
    middle = (ordered[rows, (count - 1) // 2] + ordered[rows, count // 2]) / 2
    return np.where(count > 0, middle, 0).astype(np.float64)


def dissolve_of(frames: Coarse, old: Coarse, new: Coarse) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the share of the new picture in each frame, and what the mix leaves unexplained."""
    step, left = new - old, frames - old
    share = (left * step).sum(-1) / ((step * step).sum(-1) + 1)
    left -= share[..., None] * step
    return np.asarray(share), np.asarray(np.abs(left, out=left).mean(-1))


def wipe_of(frames: Coarse, old: Coarse, new: Coarse) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the share of each frame that the new picture covers, and what neither picture explains."""
    from_old, from_new, weight = frames - old, frames - new, np.abs(new - old)
    for difference in (from_old, from_new):
        np.abs(difference, out=difference)
    covered = ((from_new < from_old) * weight).sum(-1) / (weight.sum(-1) + 1)
    return np.asarray(covered), np.asarray(np.minimum(from_old, from_new, out=from_old).mean(-1))


def _rises(share: NDArray[np.float32], settings: ShotSettings, backwards: float = 1.0) -> NDArray[np.bool_]:
    """Whether shares (m, frames) rise from 0 to 1, neither at once nor to and fro."""
    ends = np.zeros((len(share), 1)), np.ones((len(share), 1))
    steps = np.diff(np.concatenate([ends[0], share, ends[1]], axis=1), axis=1)
    falls = np.maximum(-steps, 0).sum(1)
    return np.asarray((steps.max(1) <= settings.max_step) & (falls <= backwards * settings.max_fall))


def is_linear_mix(frames: Coarse, old: Coarse, new: Coarse, settings: ShotSettings) -> bool:
    """Whether frames (n, 144) are a dissolve from `old` to `new`; used for one half of a fade."""
    if len(frames) < 2:
        return False
    share, errors = dissolve_of(frames, old, new)
    error = errors.mean() / (np.abs(new - old).mean() + 1)
    return bool(error <= settings.max_dissolve_error) and bool(_rises(share[None], settings, 1.6)[0])


def sides(
    begins: Indices, ends: Indices, n: int, borders: Sequence[int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first frame of the stretch before each window and the last one after it, in its shots."""
    shots = np.array([0, *borders, n])
    reach = np.maximum(8, np.subtract(ends, begins) // 2)
    low = np.maximum(np.subtract(begins, reach), shots[np.searchsorted(borders, begins, "right")])
    high = np.minimum(np.add(ends, reach), shots[np.searchsorted(borders, ends, "right") + 1] - 1)
    return low, high
