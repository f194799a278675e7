"""Dissolves, wipes and irises: pictures that are a mix of the two ends of a window, with a rising share.

In a dissolve each pixel is a mix of what it is before and after, in a wipe or iris it is one or the other.
Both are measured by what the mix leaves unexplained. The ends must be unrelated pictures: motion that turns
one into the other, parts that stay, and a return to the earlier picture speak against a transition.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from facerec.settings import ShotSettings
from facerec.video.likeness import Pictures, contrast, distance, distance_after_motion, shared_parts
from facerec.video.miniature import HEIGHT, WIDTH

LENGTHS = (4, 5, 6, 8, 10, 13, 16, 20, 25, 32, 40, 50, 62)  # of windows, in frames
DISSOLVE, WIPE = "dissolve", "wipe"
_POOL = 3  # side of the squares that windows are searched on, in pixels
_SAMPLES = 13  # frames of a window that are compared with its ends
_COMPARED = 4  # frames of each side that are compared with the end of the window
_REACH = 24  # frames before and after a transition that are compared with each other
_AT_ONCE = 32  # windows that are compared in one step; their pictures fit the processor's caches
_UNLIKELY = 9.0  # error of a mix that is none
_SAME_WINDOW = 0.8  # overlap from which two windows are decided alike
_STEPS = 12  # in which a transition is compared with motion
_EXPLAINED = 0.7  # share of the change of a window that is left if motion explains it

Coarse = NDArray[np.float32]  # (n, 144): pictures of 16x9 pixels


@dataclass(frozen=True)
class Window:
    """A window that may be a transition.

    Attributes:
        begin, end: its ends: the last frame of the old shot and the first one of the new.
        dissolve, wipe: error of the two mixes as a share of the ends' difference; `_UNLIKELY` if it is none.
        side: how much the less calm of the two sides changes, as a share of the ends' difference.
        badness: what speaks against it.
    """

    begin: int
    end: int
    dissolve: float
    wipe: float
    side: float = 0.0
    badness: float = 0.0


@dataclass(frozen=True)
class Found:
    """A transition, in indices of pictures.

    Attributes:
        begin, end: pictures that are of neither shot alone, half-open.
        cut: the first that is more of the new shot.
    """

    kind: str
    begin: int
    end: int
    cut: int


def coarse(pictures: Pictures) -> Coarse:
    """Reduce pictures to 16x9 pixels, on which small motion disappears."""
    squares = pictures.reshape(-1, HEIGHT // _POOL, _POOL, WIDTH // _POOL, _POOL)
    return np.asarray(squares.mean((2, 4)).reshape(len(pictures), -1), np.float32)


def find_gradual(
    pictures: Pictures, small: Coarse, borders: Sequence[int], settings: ShotSettings, first: int = 0
) -> list[Found]:
    """Find dissolves, wipes and irises.

    Args:
        small: `coarse(pictures)`.
        borders: cuts and fades, ascending; no window contains one.
        first: index of the first picture in the film; windows begin at the same places of the film whichever
            part of it is given.
    """
    windows = _windows(small, borders, settings, first)
    checked = [
        weighed
        for at in range(0, len(windows), _AT_ONCE)
        for weighed in _checked(pictures, windows[at : at + _AT_ONCE], borders, settings)
    ]
    taken: list[tuple[Window, Found]] = []
    motion: list[Window] = []
    for window in sorted(checked, key=lambda window: (window.badness, window.begin, window.end)):
        if any(window.end > one.begin + 1 and window.begin < one.end - 1 for one, _ in taken):
            continue
        if any(_overlap(window, one) > _SAME_WINDOW for one in motion):
            continue
        found = _measured(small, window, settings)
        if found.end - found.begin < settings.abrupt and (
            window.side > settings.max_abrupt_side
            or min(window.dissolve, window.wipe) > settings.max_abrupt_error
        ):
            continue
        if _is_motion(pictures, window, found, settings):
            motion.append(window)
        else:
            taken.append((window, found))
    return sorted((found for _, found in taken), key=lambda found: found.begin)


def _overlap(one: Window, other: Window) -> float:
    """Return the intersection over union of two windows."""
    shared = min(one.end, other.end) - max(one.begin, other.begin)
    return shared / (max(one.end, other.end) - min(one.begin, other.begin))


def _windows(small: Coarse, borders: Sequence[int], settings: ShotSettings, first: int) -> list[Window]:
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
        for at in range(0, len(begins), _AT_ONCE):
            part = begins[at : at + _AT_ONCE]
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
    share, dissolve = _dissolve(frames, old, new)
    covered, wipe = _wipe(frames, old, new)
    dissolve, wipe = dissolve.mean(1) / span, wipe.mean(1) / span
    rising = [_rises(share, settings), _rises(covered, settings)]
    windows: list[Window] = []
    for k in np.flatnonzero(rising[0] | rising[1]).tolist():
        begin, limit = int(begins[k]), settings.max_wipe_error
        if rising[1][k] and wipe[k] > limit:
            low, high = sides(begin, begin + length, len(small), borders)
            around = np.concatenate([changes[low + 1 : begin + 1], changes[begin + length + 1 : high + 1]])
            noise = _median(around) / float(span[k]) if len(around) else 0.0
            limit += settings.wipe_noise * noise
        errors = (
            float(dissolve[k]) if dissolve[k] <= settings.max_dissolve_error and rising[0][k] else _UNLIKELY,
            float(wipe[k]) if wipe[k] <= limit and rising[1][k] else _UNLIKELY,
        )
        if min(errors) < _UNLIKELY:
            windows.append(Window(begin, begin + length, *errors))
    return windows


def _median(values: NDArray[np.float32]) -> float:
    """Return the median of a few values, in a tenth of the time of `np.median`."""
    ordered, n = np.sort(values), len(values)
    return float((ordered[(n - 1) // 2] + ordered[n // 2]) / 2)


def _dissolve(frames: Coarse, old: Coarse, new: Coarse) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the share of the new picture in each frame, and what the mix leaves unexplained."""
    step = new - old
    share = ((frames - old) * step).sum(-1) / ((step * step).sum(-1) + 1)
    return np.asarray(share), np.asarray(np.abs(frames - old - share[..., None] * step).mean(-1))


def _wipe(frames: Coarse, old: Coarse, new: Coarse) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the share of each frame that the new picture covers, and what neither picture explains."""
    from_old, from_new, weight = np.abs(frames - old), np.abs(frames - new), np.abs(new - old)
    covered = ((from_new < from_old) * weight).sum(-1) / (weight.sum(-1) + 1)
    return np.asarray(covered), np.asarray(np.minimum(from_old, from_new).mean(-1))


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
    share, errors = _dissolve(frames, old, new)
    error = errors.mean() / (np.abs(new - old).mean() + 1)
    return bool(error <= settings.max_dissolve_error) and bool(_rises(share[None], settings, 1.6)[0])


def sides(begin: int, end: int, n: int, borders: Sequence[int]) -> tuple[int, int]:
    """Return the first frame of the stretch before a window and the last one after it, inside its shots."""
    reach = max(8, (end - begin) // 2)
    low, high = max(0, begin - reach), min(n - 1, end + reach)
    before, after = bisect_right(borders, begin), bisect_right(borders, end)
    if before:
        low = max(low, borders[before - 1])
    if after < len(borders):
        high = min(high, borders[after] - 1)
    return low, high


def unrelated(pictures: Pictures, before: Sequence[int], after: Sequence[int], limit: float) -> bool:
    """Whether no picture of `before` is as near as `limit` to one of `after`."""
    return bool(distance(pictures[before][:, None], pictures[after][None]).min() >= limit)


def spread(first: int, last: int, count: int) -> list[int]:
    """Return `count` indices from `first` to `last`, ascending, and some twice if there are fewer."""
    step = (last - first) / (count - 1)
    return [*(int(i * step + first) for i in range(count - 1)), last]


def _checked(
    pictures: Pictures, windows: Sequence[Window], borders: Sequence[int], settings: ShotSettings
) -> list[Window]:
    """Return the windows with their badness, without those where it is too high or the ends are related."""
    begins, ends = (np.array([getattr(window, name) for window in windows]) for name in ("begin", "end"))
    apart = distance(pictures[begins], pictures[ends]).astype(np.float64)
    contrasts = [contrast(pictures[at]).astype(np.float64) for at in (begins, ends)]
    mix = np.array([1.5 * min(window.dissolve, 1.5 * window.wipe) for window in windows])
    good = (
        (apart >= settings.min_gradual_change)
        & (apart >= settings.min_gradual_unlikeness * np.maximum(*contrasts))
        & (np.minimum(*contrasts) >= settings.max_flat_contrast)  # below it, half of a fade
        & (mix - 0.3 * np.minimum(1.0, apart / 40) <= settings.max_badness)  # the least that it can be
    )
    candidates = [window for window, kept in zip(windows, good, strict=True) if kept]
    begins, ends, apart, mix = begins[good], ends[good], apart[good], mix[good]
    reach = [sides(window.begin, window.end, len(pictures), borders) for window in candidates]
    before = [spread(low, window.begin, _COMPARED) for window, (low, _) in zip(candidates, reach, strict=True)]
    after = [spread(window.end, high, _COMPARED) for window, (_, high) in zip(candidates, reach, strict=True)]
    moves = np.sort([_moves(pictures, before, begins), _moves(pictures, after, ends)], axis=0)
    calmer, livelier = moves / apart
    found = []
    for k, window in enumerate(candidates):
        longest = float(np.interp(window.end - window.begin, (8, 12), (1.1, 2.0))) * settings.max_side_change
        badness = float(mix[k] + 0.3 * livelier[k] - 0.3 * min(1.0, apart[k] / 40))
        if (
            calmer[k] <= settings.max_side_change
            and livelier[k] <= longest
            and badness <= settings.max_badness
            and _is_unrelated(pictures, window, before[k], after[k], settings.max_return_gradual * apart[k])
        ):
            found.append(replace(window, side=float(livelier[k]), badness=badness))
    return found


def _moves(
    pictures: Pictures, stretches: Sequence[Sequence[int]], ends: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return how far the pictures of each stretch are at most from that at its end."""
    indices = np.array(stretches, np.int64).reshape(-1, _COMPARED)
    return np.asarray(distance(pictures[indices], pictures[ends][:, None]).max(axis=1, initial=0))


def _is_unrelated(
    pictures: Pictures, window: Window, before: Sequence[int], after: Sequence[int], limit: float
) -> bool:
    """Whether no picture before a window is as near as `limit` to one after it."""
    far = (
        spread(max(0, window.begin - _REACH), window.begin, 7),
        spread(window.end, min(len(pictures) - 1, window.end + _REACH), 7),
    )
    return unrelated(pictures, before, after, limit) and unrelated(pictures, *far, limit)


def _is_motion(pictures: Pictures, window: Window, found: Found, settings: ShotSettings) -> bool:
    """Whether motion, or something that moves or appears before a picture that stays, explains the change.

    Both the window and the transition in it are examined: in the window a camera may drift before a title
    appears, and parts of a picture that grows may stand still.
    """
    begin, end = found.begin - 1, found.end
    old, new = pictures[window.begin], pictures[window.end]
    if shared_parts(old, new) > settings.max_shared_parts or (
        shared_parts(pictures[begin], pictures[end]) > settings.max_shared_in_extent
    ):
        return True
    if distance_after_motion(old, new) < _EXPLAINED * float(distance(old, new)):
        return True
    return (
        _left_in_thirds(pictures, window.begin, window.end) < settings.min_left_by_motion
        or _left_in_thirds(pictures, begin, end) < settings.min_left_in_extent
        or _left_by_motion(pictures, begin, end, _STEPS) < settings.min_left_in_steps
    )


def _left_in_thirds(pictures: Pictures, begin: int, end: int) -> float:
    """Return the mean of what motion does not explain in halves, thirds and quarters."""
    return float(np.mean([_left_by_motion(pictures, begin, end, parts) for parts in (2, 3, 4)]))


def _left_by_motion(pictures: Pictures, begin: int, end: int, parts: int) -> float:
    """Return the share of the change in `parts` steps that motion does not explain."""
    steps = np.unique(np.linspace(begin, end, parts + 1).round().astype(int))
    pairs = list(zip(pictures[steps[:-1]], pictures[steps[1:]], strict=True))
    left = sum(distance_after_motion(*pair) for pair in pairs)
    return left / max(float(sum(distance(*pair) for pair in pairs)), 1e-6)


def _measured(small: Coarse, window: Window, settings: ShotSettings) -> Found:
    """Find where the mix begins and ends, and where the new shot takes over."""
    frames = small[window.begin : window.end + 1]
    old, new = frames[:1], frames[-1:]
    kind = DISSOLVE if window.dissolve <= settings.wipe_ratio * window.wipe else WIPE
    share = (_dissolve if kind == DISSOLVE else _wipe)(frames, old, new)[0]
    cut = int(np.flatnonzero(share >= 0.5)[0])
    begin = int(np.flatnonzero(share[: cut + 1] <= settings.pure_share)[-1]) + 1
    end = cut + int(np.flatnonzero(share[cut:] >= 1 - settings.pure_share)[0])
    begin = min(begin, cut)
    end = max(end, cut, begin + 1)
    return Found(kind, window.begin + begin, window.begin + end, window.begin + cut)
