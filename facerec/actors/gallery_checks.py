"""Find mistakes in an actor database: pictures without their one face, duplicates, mislabelled pictures.

Embeddings are (m, d) float32, L2-normalised, one per picture; `actor_of` is (m,) int, the actor of each
picture. Distances are Euclidean, as `Embedder.same_person` is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facerec.actors.backend_tables import first_changed_id
from facerec.actors.database import ActorDatabase
from facerec.actors.embed import Prepared
from facerec.folder.names import other_unicode_form

COPY_DISTANCE = 0.35  # share of `same_person`; only copies of a photograph are closer
_CELLS = 1 << 24  # distances in memory at once, 64 MB


@dataclass(frozen=True)
class Mislabelled:
    """A picture that resembles another actor more than its own.

    Attributes:
        picture: index of the picture.
        own: median distance to its actor's other pictures.
        nearest: index of the closest picture of another actor.
        distance: to that picture.
    """

    picture: int
    own: float
    nearest: int
    distance: float


def find_copies(
    vectors: NDArray[np.float32], actor_of: NDArray[np.int64], same_person: float
) -> list[tuple[int, int]]:
    """Find pairs (i < j) of pictures of different actors that show nearly the same face."""
    found: list[tuple[int, int]] = []
    for begin, distances in _distance_blocks(vectors):
        for i, j in np.argwhere(distances < COPY_DISTANCE * same_person).tolist():
            if begin + i < j and actor_of[begin + i] != actor_of[j]:
                found.append((begin + i, j))
    return found


def find_mislabelled(
    vectors: NDArray[np.float32], actor_of: NDArray[np.int64], same_person: float
) -> list[Mislabelled]:
    """Find pictures that are far from their actor's other pictures and close to one of another actor.

    "Far" is by the median, because several wrong pictures of one actor may be close to each other. The only
    picture of an actor cannot be judged; of two, the one that is close to another actor is reported.
    """
    found: list[Mislabelled] = []
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
                found.append(Mislabelled(picture, own, nearest, float(others[nearest])))
    return found


def _distance_blocks(vectors: NDArray[np.float32]) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Yield blocks of rows of the distance matrix, each with the index of its first row."""
    rows = max(1, _CELLS // max(1, len(vectors)))
    for begin in range(0, len(vectors), rows):
        cosine = vectors[begin : begin + rows] @ vectors.T
        yield begin, np.sqrt(np.maximum(2 - 2 * cosine, 0))


def find_mistakes(database: ActorDatabase, prepared: Prepared) -> Iterator[str]:
    """Yield a sentence for each likely mistake in a database that was just prepared."""
    if error := first_changed_id(database):
        yield str(error)
    names = database.cast(None)
    rows: dict[str, set[str]] = defaultdict(set)  # picture → actors
    for _, row in database.read_images():
        rows[row["filename"]].add(row["actor_id"])
    for actor in sorted({actor for actors in rows.values() for actor in actors} - names.keys()):
        yield f"actor {actor!r} has pictures but no row in {database.actors.name}, so it is never a name"
    for name in rows:
        path = database.picture(name)
        if path.is_file() and path != database.pictures / name:
            yield other_unicode_form(name, path)
    for name, n in prepared.faces.items():
        if n != 1:
            yield f"{name}: {'no face' if n == 0 else f'{n} faces'} found, so the picture is not used"
        if len(rows[name]) > 1:
            yield f"{name}: listed for {_and(rows[name])}, so the picture is not used"
    copies: dict[str, list[str]] = defaultdict(list)
    for name, digest in prepared.sha256.items():
        copies[digest].append(name)
    for same in copies.values():
        actors = set().union(*(rows[name] for name in same))
        if len(same) > 1:
            owners = f"of {_and(actors)}" if len(actors) > 1 else "of the same actor"
            yield f"{' and '.join(same)} are copies of one picture, {owners}"
    gallery = database.gallery()
    yield from database.without_pictures(gallery, None)
    if not len(gallery.vectors):
        return
    labels = zip(gallery.images, gallery.actor_of, strict=True)
    label = [f"{image} ({gallery.actors[actor]})" for image, actor in labels]
    for i, j in find_copies(gallery.vectors, gallery.actor_of, prepared.same_person):
        if prepared.sha256[gallery.images[i]] != prepared.sha256[gallery.images[j]]:
            yield f"{label[i]} and {label[j]} show nearly the same face under two actors"
    for found in find_mislabelled(gallery.vectors, gallery.actor_of, prepared.same_person):
        yield (
            f"{label[found.picture]} may show another person: its distance is {found.own:.2f} to the actor's "
            f"other pictures and {found.distance:.2f} to {label[found.nearest]}"
        )


def _and(actors: set[str]) -> str:
    return " and ".join(sorted(actors))
