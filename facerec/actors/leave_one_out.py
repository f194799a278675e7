"""Measure how well a gallery names its own pictures, each left out in turn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from facerec.actors.database import ActorDatabase
from facerec.errors import InputError
from facerec.folder.documents import DISPLAY_THRESHOLD
from facerec.people.naming import actor_distances, actor_probabilities
from facerec.settings import NamingSettings


@dataclass(frozen=True)
class LeaveOneOut:
    """Numbers of pictures of a cast by how the others name them.

    Attributes:
        probes: pictures of an actor with more than one; right, wrong and silent add up to them.
        right, wrong: named so with a probability that annotators see; silent: not named.
        first: the right actor is the most likely one, at any probability.
        strangers: pictures that were named without any picture of their actor.
        false_names: of these, how many were given a name.
    """

    probes: int = 0
    right: int = 0
    wrong: int = 0
    silent: int = 0
    first: int = 0
    strangers: int = 0
    false_names: int = 0

    def __add__(self, other: LeaveOneOut) -> LeaveOneOut:
        """Add the numbers of two casts."""
        return LeaveOneOut(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


def leave_one_out(
    vectors: NDArray[np.float32],
    actor_of: NDArray[np.int64],
    same_person: float,
    settings: NamingSettings | None = None,
) -> LeaveOneOut:
    """Name each picture of a cast by the others, once with its actor's other pictures and once without.

    In a cast of one actor the only alternative is *unknown*.

    Args:
        vectors: (m, d) float32, L2-normalised embedding of each picture.
        actor_of: (m,) actor of each picture.
        same_person: distance up to which two faces are of one person, see `models.base.Embedder`.
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
    """Return the most likely actor of one face and the probability."""
    actors, renumbered = np.unique(actor_of, return_inverse=True)
    temperature = settings.temperature * same_person
    distances = actor_distances(probe[None], gallery, renumbered, len(actors), settings, temperature)
    row = actor_probabilities(distances, same_person, settings)[0]
    best = int(row.argmax())
    return int(actors[best]), float(row[best])


@dataclass(frozen=True)
class Evaluation:
    """How well the casts of a database's movies are named.

    Attributes:
        pictures, actors: size of the gallery.
        casts: number of different casts.
        embedder: kind of the embedder.
        counts: over all casts.
    """

    pictures: int
    actors: int
    casts: int
    embedder: str
    counts: LeaveOneOut


def distinct_casts(database: ActorDatabase) -> list[tuple[str, ...]]:
    """Read the different casts of the database's movies; the episodes of a series share one."""
    cast_of: dict[int, set[str]] = defaultdict(set)
    for _, movie, row in database.read_actors():
        cast_of[movie].add(row["id"])
    return sorted({tuple(sorted(cast)) for cast in cast_of.values()})


def evaluate_database(database: ActorDatabase, advance: Callable[[int], None] = lambda n: None) -> Evaluation:
    """Name the pictures of every cast by one another.

    Args:
        advance: called with the number of casts just done.

    Raises:
        InputError: the database does not name its embedder; run prepare_actors.py first.
        ContractError: a row or line of the database cannot be used.
    """
    meta = database.read_meta()
    if meta is None or "same_person" not in meta["embedder"]:
        raise InputError(f"{database.embeddings_meta}: does not name the embedder; run prepare_actors.py")
    embedder = meta["embedder"]
    gallery = database.gallery(dimension=embedder["dimension"])
    casts = distinct_casts(database)
    counts = LeaveOneOut()
    for cast in casts:
        members = np.isin(gallery.actor_of, [i for i, actor in enumerate(gallery.actors) if actor in cast])
        counts += leave_one_out(gallery.vectors[members], gallery.actor_of[members], embedder["same_person"])
        advance(1)
    return Evaluation(len(gallery.images), len(gallery.actors), len(casts), embedder["kind"], counts)
