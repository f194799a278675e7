"""What is likely wrong with a gallery: one face under two names, a picture filed under the wrong one.

Vectors are (m, d) float32 of Euclidean length 1, one per picture; `actor_of` is (m,) int, the actor of
each. Distances are Euclidean, the unit of `Embedder.same_person`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TWIN = 0.35  # share of `same_person`: two photographs differ by more, two copies of one by less
_CELLS = 1 << 24  # distances held at once, 64 MB


@dataclass(frozen=True)
class Stray:
    """A picture that looks like another actor than the one it is filed under.

    Attributes:
        own: median distance to the actor's other pictures.
        nearest: the picture of another actor that is closest.
        distance: to that picture.
    """

    picture: int
    own: float
    nearest: int
    distance: float


def twins(
    vectors: NDArray[np.float32], actor_of: NDArray[np.int64], same_person: float
) -> list[tuple[int, int]]:
    """Pairs (i < j) of pictures of two actors that show nearly the same face."""
    found: list[tuple[int, int]] = []
    for begin, distances in _distance_blocks(vectors):
        for i, j in np.argwhere(distances < TWIN * same_person).tolist():
            if begin + i < j and actor_of[begin + i] != actor_of[j]:
                found.append((begin + i, j))
    return found


def strays(vectors: NDArray[np.float32], actor_of: NDArray[np.int64], same_person: float) -> list[Stray]:
    """Pictures that are far from the actor's others while near to somebody else's.

    The median, because several wrong pictures under one name are near to each other. An actor's only
    picture has nothing to be far from, and of only two it is the one near to somebody else that strays.
    """
    found: list[Stray] = []
    for begin, distances in _distance_blocks(vectors):
        for i, row in enumerate(distances):
            picture = begin + i
            same = actor_of == actor_of[picture]
            others = np.where(same, np.inf, row)
            same[picture] = False
            nearest = int(others.argmin())
            if not same.any() or others[nearest] >= same_person:
                continue
            own = float(np.median(row[same]))
            if own > same_person:
                found.append(Stray(picture, own, nearest, float(others[nearest])))
    return found


def _distance_blocks(vectors: NDArray[np.float32]) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """First row and distances to all of each block of rows."""
    rows = max(1, _CELLS // max(1, len(vectors)))
    for begin in range(0, len(vectors), rows):
        cosine = vectors[begin : begin + rows] @ vectors.T
        yield begin, np.sqrt(np.maximum(2 - 2 * cosine, 0))
