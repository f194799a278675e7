"""Dissolves, wipes and irises: pictures that are a mix of the two ends of a window, with a rising share.

The ends of a window (`mixes.py`) must be unrelated pictures: motion that turns one into the other, parts that
stay, and a return to the earlier picture speak against a transition.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from facerec.settings import ShotSettings
from facerec.video.likeness import Pictures, contrast, distance, distance_after_motion, shared_parts
from facerec.video.mixes import AT_ONCE, Coarse, Indices, Window, dissolve_of, find_windows, sides, wipe_of

DISSOLVE, WIPE = "dissolve", "wipe"
_COMPARED = 4  # frames of each side that are compared with the end of the window
_REACH = 24  # frames before and after a transition that are compared with each other
_SAME_WINDOW = 0.8  # overlap from which two windows are decided alike
_STEPS = 12  # in which a transition is compared with motion
_EXPLAINED = 0.7  # share of the change of a window that is left if motion explains it

Frames = Sequence[int] | NDArray[np.int64]


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
    windows = find_windows(small, borders, settings, first)
    # those with one beginning are together
    windows.sort(key=lambda window: (window.begin, window.end))
    checked = [
        weighed
        for at in range(0, len(windows), AT_ONCE)
        for weighed in _checked(pictures, windows[at : at + AT_ONCE], borders, settings)
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


def unrelated(pictures: Pictures, before: Frames, after: Frames, limit: float) -> bool:
    """Whether no picture of `before` is as near as `limit` to one of `after`."""
    return bool(distance(pictures[before][:, None], pictures[after][None]).min() >= limit)


def spread(first: Indices, last: Indices, count: int) -> NDArray[np.int64]:
    """Return `count` indices from `first` to `last`, ascending, and some twice if there are fewer.

    Args:
        first, last: of one stretch, or (n,) of several.

    Returns:
        (count,), or (n, count).
    """
    step = np.subtract(last, first) / (count - 1)
    places = np.arange(count) * step[..., None] + np.asarray(first)[..., None]
    found: NDArray[np.int64] = places.astype(np.int64)
    found[..., -1] = last
    return found


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
        & (_badness(mix, np.zeros(len(mix)), apart) <= settings.max_badness)  # the least that it can be
    )
    candidates = [window for window, kept in zip(windows, good, strict=True) if kept]
    begins, ends, apart, mix = begins[good], ends[good], apart[good], mix[good]
    longest = np.interp(ends - begins, (8, 12), (1.1, 2.0)) * settings.max_side_change
    low, high = sides(begins, ends, len(pictures), borders)
    before, after = spread(low, begins, _COMPARED), spread(ends, high, _COMPARED)
    moves = np.full((2, len(candidates)), np.inf)
    firsts, places = np.unique(low * len(pictures) + begins, return_index=True, return_inverse=True)[1:]
    moves[0] = _moves(pictures, before[firsts], begins[firsts])[places] / apart
    # one side is enough to drop most windows; the other is compared for the rest only
    left = np.flatnonzero((moves[0] <= longest) & (_badness(mix, moves[0], apart) <= settings.max_badness))
    moves[1, left] = _moves(pictures, after[left], ends[left]) / apart[left]
    calmer, livelier = np.sort(moves, axis=0)
    badness = _badness(mix, livelier, apart)
    kept = (calmer <= settings.max_side_change) & (livelier <= longest) & (badness <= settings.max_badness)
    return [
        replace(candidates[k], side=float(livelier[k]), badness=float(badness[k]))
        for k in np.flatnonzero(kept).tolist()
        if _is_unrelated(pictures, candidates[k], before[k], after[k], settings.max_return_gradual * apart[k])
    ]


def _badness(
    mix: NDArray[np.float64], livelier: NDArray[np.float64], apart: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return what speaks against windows: the error of the mix, a side that changes, ends that are alike."""
    return mix + 0.3 * livelier - 0.3 * np.minimum(1.0, apart / 40)


def _moves(pictures: Pictures, stretches: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return how far the pictures of each stretch (n, _COMPARED) are at most from that at its end (n,)."""
    return np.asarray(distance(pictures[stretches], pictures[ends][:, None]).max(axis=1, initial=0))


def _is_unrelated(
    pictures: Pictures,
    window: Window,
    before: Frames,
    after: Frames,
    limit: float,
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
    share = (dissolve_of if kind == DISSOLVE else wipe_of)(frames, old, new)[0]
    cut = int(np.flatnonzero(share >= 0.5)[0])
    begin = int(np.flatnonzero(share[: cut + 1] <= settings.pure_share)[-1]) + 1
    end = cut + int(np.flatnonzero(share[cut:] >= 1 - settings.pure_share)[0])
    begin = min(begin, cut)
    end = max(end, begin + 1)
    return Found(kind, window.begin + begin, window.begin + end, window.begin + cut)
