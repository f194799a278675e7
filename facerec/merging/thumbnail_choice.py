"""Choose the two saved faces of a trajectory that annotators see: of high quality and apart in time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def best_pair(frames: Sequence[int], qualities: Sequence[int], min_separation: float) -> tuple[int, ...]:
    """Choose the two faces with the highest sum of qualities among those that are far enough apart in time.

    Two good faces from one moment would show the same view twice, and would hide an identity switch later in
    the trajectory. Of pairs with equal sums the one farther apart is chosen, then the earlier one. Takes
    O(n log n) time.

    Args:
        frames: (n,) frame of each face, strictly ascending.
        qualities: (n,) integers, so that sums that should be equal are equal on every machine.
        min_separation: minimum distance of the two, as a share (above 0, at most 1) of the time between the
            first and the last face.

    Returns:
        The two indices, ascending; all indices if there are fewer than two faces.

    Raises:
        ValueError: the arguments break these rules.
    """
    n = len(frames)
    if n < 2:
        return tuple(range(n))
    at, value = np.asarray(frames, np.int64), np.asarray(qualities, np.int64)
    if not 0 < min_separation <= 1 or (np.diff(at) <= 0).any() or len(value) != n:
        raise ValueError("frames must ascend, with one quality each, and 0 < min_separation <= 1")
    # of each face, how many earlier ones are far enough away
    candidates = np.searchsorted(at, at - min_separation * (at[-1] - at[0]), side="right")
    later = np.flatnonzero(candidates)
    # the first face with the highest quality among these is always one that exceeds all faces before it
    records = np.flatnonzero(np.diff(np.maximum.accumulate(value), prepend=value[0] - 1))
    earlier = records[np.searchsorted(records, candidates[later] - 1, side="right") - 1]
    order = np.lexsort((earlier, at[earlier] - at[later], -(value[earlier] + value[later])))
    return int(earlier[order[0]]), int(later[order[0]])
