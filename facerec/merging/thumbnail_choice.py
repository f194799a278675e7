"""Which two of a trajectory's saved faces annotators see: the best two that lie apart in time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def best_pair(frames: Sequence[int], worth: Sequence[int], apart: float) -> tuple[int, ...]:
    """Choose the two faces that are worth most together, of those that lie far enough apart.

    Two good faces of one moment show the same thing twice, and would hide that a trajectory goes on with
    somebody else. Of pairs that are worth the same, the one farther apart is taken, then the earlier.

    Args:
        frames: (n,) of the faces, strictly increasing.
        worth: (n,) whole numbers, so that equal sums are equal on every machine.
        apart: the least distance of the two, as a share, above 0 and up to 1, of the time between the
            first face and the last.

    Returns:
        The indices of the two, ascending; of the only one, or none, where there are no two.
    """
    n = len(frames)
    if n < 2:
        return tuple(range(n))
    at, value = np.asarray(frames, np.int64), np.asarray(worth, np.int64)
    if not 0 < apart <= 1 or (np.diff(at) <= 0).any() or len(value) != n:
        raise ValueError("frames ascend, each has a worth, and the least distance is a share of their span")
    candidates = np.searchsorted(at, at - apart * (at[-1] - at[0]), side="right")  # of each later face
    later = np.flatnonzero(candidates)
    rises = np.flatnonzero(np.diff(np.maximum.accumulate(value), prepend=value[0] - 1))
    earlier = rises[np.searchsorted(rises, candidates[later] - 1, side="right") - 1]  # the first of the best
    order = np.lexsort((earlier, at[earlier] - at[later], -(value[earlier] + value[later])))
    return int(earlier[order[0]]), int(later[order[0]])
