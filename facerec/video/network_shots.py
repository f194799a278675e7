"""Transitions from the probabilities of TransNetV2, alone or where the rule is in doubt."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from facerec.settings import ShotSettings
from facerec.video.likeness import distance
from facerec.video.miniature import LUMA_BYTES, Miniatures
from facerec.video.shots import HARD, Transition, find_transitions

GRADUAL = "gradual"
_SURE = 0.5  # probability from which there is a transition
_NEAR = 2  # frames by which the two may be apart
_LONGEST_CUT = 2  # frames; the network also marks hard cuts, as transitions of up to this length


def network_transitions(
    frames: NDArray[np.int64], miniatures: Miniatures, probabilities: NDArray[np.float32]
) -> list[Transition]:
    """Find the transitions of a film by the network alone.

    A run of frames that are the middle of a transition, with a probability of at least 0.5, is a transition.
    Its extent is the run of frames that are in a transition. The network marks the last frame of the old shot
    or the first of the new; the cut is where the pictures differ most.

    Args:
        frames, miniatures: as for `find_transitions`.
        probabilities: (n, 2) of `TransNet.probabilities`.
    """
    found: list[Transition] = []
    if len(frames) < 2:
        return found
    inside = probabilities[:, 1] >= _SURE
    for first, last in _runs(probabilities[:, 0] >= _SURE):
        begin, end = first, last + 1
        while begin > 0 and inside[begin - 1]:
            begin -= 1
        while end < len(frames) and inside[end]:
            end += 1
        if end - begin <= _LONGEST_CUT:
            cut = _sharpest(miniatures, begin, min(end, len(frames) - 1))
            one = Transition(HARD, *(int(frames[cut]),) * 3)
        else:
            begin, end = max(begin, 1), min(end, len(frames) - 1)
            numbers = (int(frames[k]) for k in (begin, end, (begin + end + 1) // 2))
            one = Transition(GRADUAL, *numbers)
        if not found or one.cut > found[-1].cut:
            found.append(one)
    return found


def _runs(marked: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return first and last index of each run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], marked, [False]]).astype(np.int8)))
    return [(int(a), int(b) - 1) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _sharpest(miniatures: Miniatures, first: int, last: int) -> int:
    """Return the frame of `first`..`last` that is most unlike the one before it."""
    low = max(first, 1)
    pictures = miniatures[low - 1 : last + 1][:, :LUMA_BYTES].astype(np.float32)
    return low + int(np.argmax(distance(pictures[:-1], pictures[1:])))


def agreed_transitions(
    frames: NDArray[np.int64],
    miniatures: Miniatures,
    probabilities: NDArray[np.float32],
    settings: ShotSettings,
) -> list[Transition]:
    """Find the transitions of a film by the rule, and by the network where the rule is in doubt.

    In doubt are transitions that only a rule with lower thresholds finds; the network must find them too.
    """
    rule = find_transitions(frames, miniatures, settings)
    lower_thresholds = replace(
        settings,
        adaptive_ratio=max(1.1, 0.8 * settings.adaptive_ratio),
        min_unlikeness=0.8 * settings.min_unlikeness,
        max_dissolve_error=1.3 * settings.max_dissolve_error,
        max_wipe_error=1.5 * settings.max_wipe_error,
        max_side_change=1.5 * settings.max_side_change,
        max_return_gradual=0.8 * settings.max_return_gradual,
    )
    sure = np.flatnonzero(probabilities[:, 0] >= _SURE)
    found = list(rule)
    for one in find_transitions(frames, miniatures, lower_thresholds):
        if any(one.begin <= other.end + _NEAR and one.end >= other.begin - _NEAR for other in rule):
            continue
        low, high = np.searchsorted(frames, (one.begin - _NEAR, one.end + _NEAR))
        if ((sure >= low) & (sure <= high)).any():
            found.append(one)
    return sorted(found, key=lambda one: one.cut)
