"""Cut detection: how much each frame changes, and one decision over the whole film.

A shard records the miniatures of its frames, and the merge decides once for the whole film, so the cuts do
not depend on the number of shards.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facerec.settings import ShotSettings
from facerec.video.miniature import Miniatures, luma

_ZERO = 0.00001  # a mean below this counts as zero, as in AdaptiveDetector
_MAX_RATIO = 255.0  # the ratio to a mean of zero
_AT_ONCE = 512  # frames


def changes_of(miniatures: Miniatures) -> NDArray[np.float64]:
    """Compute how much the luma of each miniature differs from that of the one before it.

    Returns:
        (n,) mean absolute differences in grey levels, 0..255; NaN for the first.
    """
    changes = np.full(len(miniatures), np.nan)
    for begin in range(1, len(changes), _AT_ONCE):
        pictures = luma(miniatures[begin - 1 : begin + _AT_ONCE]).astype(np.int16)
        found = np.abs(np.diff(pictures, axis=0)).mean((1, 2))
        changes[begin : begin + len(found)] = found
    return changes


def find_cuts(
    frames: NDArray[np.int64], miniatures: Miniatures, settings: ShotSettings | None = None
) -> list[int]:
    """Find the cuts: the first frame of each new shot except the first.

    Args:
        frames: (n,) numbers of the decoded frames, increasing; a frame after missing ones is compared with
            the one before the gap.
        miniatures: of these frames.

    Returns:
        Frame numbers, increasing.
    """
    return adaptive_cuts(frames, changes_of(miniatures), settings or ShotSettings())


def adaptive_cuts(
    frames: NDArray[np.int64], changes: NDArray[np.float64], settings: ShotSettings
) -> list[int]:
    """Find the cuts from the changes alone.

    The rule is that of PySceneDetect's `AdaptiveDetector`: the change at a cut is large, both absolutely and
    relative to the mean of its neighbours, which excludes camera motion. Two things differ: near the ends of
    the film the mean is over the neighbours that exist, where the library finds no cuts at all, and the
    first shot may be shorter than `min_shot`.

    Args:
        frames: (n,) numbers of the decoded frames, increasing.
        changes: (n,) see `changes_of`; NaN for none.

    Returns:
        Frame numbers, increasing.
    """
    known = ~np.isnan(changes)
    changes = np.where(known, changes, 0.0)
    sums, neighbours = np.zeros(len(changes)), np.zeros(len(changes), dtype=np.int64)
    for offset in range(-settings.window, settings.window + 1):
        if offset:  # element t gets its neighbour t + offset
            target = slice(max(0, -offset), max(0, len(changes) - max(0, offset)))
            source = slice(max(0, offset), max(0, len(changes) + min(0, offset)))
            sums[target] += changes[source]
            neighbours[target] += known[source]
    mean = sums / np.maximum(neighbours, 1)
    ratio = np.where(mean < _ZERO, _MAX_RATIO, changes / np.maximum(mean, _ZERO))
    cuts: list[int] = []
    for frame in frames[(ratio >= settings.adaptive_ratio) & (changes >= settings.min_change)].tolist():
        if not cuts or frame - cuts[-1] >= settings.min_shot:
            cuts.append(frame)
    return cuts
