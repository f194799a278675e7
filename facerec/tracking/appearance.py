"""What tracked things look like: forbids links between boxes that do not look alike.

Boxes of whole persons say less than those of faces. One person hides another, and the box goes over to the
other; embeddings show that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facerec.tracking.motion import Ints

_PAIRS_AT_ONCE = 2048  # bounds memory


@dataclass(frozen=True, eq=False)
class Appearance:
    """Embeddings of the detections that `track` links.

    Attributes:
        vectors: returns the vectors (m, d), L2-normalised, of detections given by their index (m,) in the
            input of `track`. A function, so that they need not all be in memory.
        max_distance: largest Euclidean distance of the vectors of two detections that may be linked.
    """

    vectors: Callable[[Ints], NDArray[np.float32]]
    max_distance: float

    def alike(self, one: Ints, other: Ints) -> NDArray[np.bool_]:
        """Return (m,): whether the ends `one` and `other` of tracks may be linked.

        Args:
            one, other: (m, k) detections at each end; −1 where it has fewer than k. The mean of their vectors
                counts, because the last box before something hides a person shows that thing too.
        """
        found = np.zeros(len(one), bool)
        for beg in range(0, len(one), _PAIRS_AT_ONCE):
            part = slice(beg, beg + _PAIRS_AT_ONCE)
            differences = self._mean(one[part]) - self._mean(other[part])
            found[part] = np.square(differences).sum(axis=1) <= self.max_distance**2
        return found

    def _mean(self, detections: Ints) -> NDArray[np.float32]:
        """Return the normalised mean (m, d) of the vectors of detections (m, k), −1 for none."""
        rows, _ = present = np.nonzero(detections >= 0)
        vectors = self.vectors(detections[present])
        sums = np.zeros((len(detections), vectors.shape[1]), np.float32)
        np.add.at(sums, rows, vectors)
        lengths = np.sqrt(np.square(sums).sum(axis=1, keepdims=True))
        means: NDArray[np.float32] = sums / np.maximum(lengths, np.float32(1e-12))
        return means
