"""What is likely wrong with a gallery, and how well it names its own pictures.

Vectors are (m, d) float32 of Euclidean length 1, one per picture; `actor_of` is (m,) int, the actor of
each. Distances are Euclidean, the unit of `Embedder.same_person`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from facerec.folder.documents import DISPLAY_THRESHOLD
from facerec.people.naming import actor_distances, probabilities
from facerec.settings import NamingSettings

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


@dataclass(frozen=True)
class LeaveOneOut:
    """How a cast's pictures are named by one another; all are counts of pictures.

    Attributes:
        probes: pictures of which the actor has another one; the next three add up to them.
        right, wrong, silent: named so at a probability that annotators see, or not at all.
        first: the right actor is the likeliest, however likely.
        strangers: pictures named with their actor out of the gallery altogether.
        false_names: of these, how many were given somebody's name.
    """

    probes: int = 0
    right: int = 0
    wrong: int = 0
    silent: int = 0
    first: int = 0
    strangers: int = 0
    false_names: int = 0

    def __add__(self, other: LeaveOneOut) -> LeaveOneOut:
        return LeaveOneOut(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


def leave_one_out(
    vectors: NDArray[np.float32],
    actor_of: NDArray[np.int64],
    same_person: float,
    settings: NamingSettings | None = None,
) -> LeaveOneOut:
    """Name each picture of a cast by the others, once with its actor's other pictures and once without.

    A cast of one cannot be mistaken for another; its pictures count all the same, against *unknown*.
    """
    settings = settings or NamingSettings()
    total = LeaveOneOut()
    for probe, actor in enumerate(actor_of.tolist()):
        own = actor_of == actor
        if own.sum() > 1:
            others = np.arange(len(actor_of)) != probe
            likeliest, p = _likeliest(
                vectors[probe], vectors[others], actor_of[others], same_person, settings
            )
            hit, shown = likeliest == actor, p > DISPLAY_THRESHOLD
            total += LeaveOneOut(
                probes=1, right=hit and shown, wrong=shown and not hit, silent=not shown, first=hit
            )
        if not own.all():
            _, p = _likeliest(vectors[probe], vectors[~own], actor_of[~own], same_person, settings)
            total += LeaveOneOut(strangers=1, false_names=p > DISPLAY_THRESHOLD)
    return total


def _likeliest(
    probe: NDArray[np.float32],
    gallery: NDArray[np.float32],
    actor_of: NDArray[np.int64],
    same_person: float,
    settings: NamingSettings,
) -> tuple[int, float]:
    """The likeliest actor of one face, and how likely."""
    actors, renumbered = np.unique(actor_of, return_inverse=True)
    temperature = settings.temperature * same_person
    distances = actor_distances(probe[None], gallery, renumbered, len(actors), settings.k, temperature)
    row = probabilities(distances, same_person, settings)[0]
    best = int(row.argmax())
    return int(actors[best]), float(row[best])


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
