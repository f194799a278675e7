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
        """Return (m,): whether the detections `one` and `other`, (m,) each, may be linked."""
        found = np.zeros(len(one), bool)
        for beg in range(0, len(one), _PAIRS_AT_ONCE):
            part = slice(beg, beg + _PAIRS_AT_ONCE)
            differences = self.vectors(one[part]) - self.vectors(other[part])
            found[part] = np.square(differences).sum(axis=1) <= self.max_distance**2
        return found
