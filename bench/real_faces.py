"""What real faces look like to an embedder: the people, and how far each one's looks lie from the person."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerec.actors.database import ActorDatabase
from facerec.annotations.export import plain_name
from facerec.annotations.metrics import is_person
from facerec.annotations.truth import read_truth, shown_frames
from facerec.errors import InputError
from facerec.folder.layout import MovieFolder
from facerec.folder.manifest import read_embedder
from facerec.folder.readers import read_trajectories
from facerec.people.reading import read_vectors

Floats = NDArray[np.float64]
PORTRAIT = 0.5  # worth of a portrait, which has no sharpness or score on record
NO_PEOPLE = {"cgi_cartoon_head"}  # named in the truth, and no person's face


@dataclass(frozen=True)
class Faces:
    """What was measured.

    Attributes:
        people: (p, d) the mean look of each.
        looks: of everybody seen twice or more, (k, 2): a look's cosine to the person, and its worth,
            which a poor, far-off look has little of.
        deviations: (r, d) the directions in which those looks lie from their person.
        within: (w,) distances between two looks of one person.
        same_person: see `models.base.Embedder`.
    """

    people: Floats
    looks: list[Floats]
    deviations: Floats
    within: Floats
    same_person: float


def with_truth(paths: Sequence[Path], truth: Path) -> Iterator[tuple[MovieFolder, Path]]:
    """Movie folders, each with its table of truth; those that have none are told and passed over."""
    for folder in map(MovieFolder.existing, paths):
        table = truth / f"{folder.movie_id}.tracks.csv"
        if table.exists():
            yield folder, table
        else:
            logging.info("%s: no truth of it in %s", folder.path, truth)


def looks_of(folder: MovieFolder, truth: Path) -> Iterator[tuple[str, Floats, float]]:
    """Person, vector and worth of every trajectory that shows one known person and can be told apart.

    Args:
        truth: the folder's table of boxes.
    """
    trajectories = read_trajectories(folder.trajectories, folder.movie_id)
    shown = shown_frames(folder, trajectories)
    matched = read_truth(truth, folder, trajectories, shown, {})
    found = read_vectors(folder, trajectories)
    for index, counts in enumerate(matched.boxes):
        who = matched.identity(index)
        if who and is_person(who) and who not in NO_PEOPLE and len(counts) == 1 and found.usable[index]:
            yield who, found.vectors[index].astype(np.float64), float(found.weights[index])


def measure_faces(folders: Sequence[Path], truth: Path, database: ActorDatabase) -> Faces:
    """People and spread of what the pipeline made of real film, and of portraits."""
    seen: dict[str, list[tuple[Floats, float]]] = defaultdict(list)
    same_person = 0.0
    for folder, table in with_truth(folders, truth):
        embedder = read_embedder(folder)
        database.check_embedder(vars(embedder), folder.path)
        same_person = embedder.same_person
        for who, vector, worth in looks_of(folder, table):
            seen[who].append((vector, worth))
    gallery, names = database.gallery(), database.cast(None)
    for portrait, actor in zip(gallery.vectors.astype(np.float64), gallery.actor_of.tolist(), strict=True):
        seen[plain_name(names[gallery.actors[actor]])].append((portrait, PORTRAIT))
    people, looks, deviations, within = [], [], [], []
    for own in seen.values():
        vectors = np.array([vector for vector, _ in own])
        worths = np.array([worth for _, worth in own])
        cosine = cosines_to_person(vectors, worths)
        person = unit(cosine @ vectors if cosine.any() else vectors.sum(0))
        people.append(person)
        if len(own) > 1:
            looks.append(np.column_stack([cosine, worths]))
            deviations.append(vectors - (vectors @ person)[:, None] * person)
            within.append(pairwise(vectors))
    if not looks:
        raise InputError("no person is seen twice: give more movie folders, or more portraits")
    return Faces(
        np.array(people), looks, unit(np.concatenate(deviations)), np.concatenate(within), same_person
    )


def cosines_to_person(looks: Floats, worth: Floats) -> Floats:
    """The (k,) loadings of one common factor on k looks (k, d) of such worth (k,).

    The product of two looks' cosines to their person is the cosine between the two, if their deviations
    have nothing in common. So a poor look does not make a good one beside it look poor as well: of three
    and more the loadings follow, by alternating least squares. Of two only the product is known, and what
    is lacking is put down to each in the measure of the other's worth.
    """
    alike = looks @ looks.T
    np.fill_diagonal(alike, 0)
    k = len(looks)
    if k == 2:
        return np.asarray(np.maximum(alike[0, 1], 0) ** (1 - worth / worth.sum()), np.float64)
    cosine = np.full(k, np.sqrt(max(0.0, alike.sum() / max(1, k * (k - 1)))))
    for i in [*range(k)] * 100 if k > 2 else ():
        others = np.delete(np.arange(k), i)
        cosine[i] = np.clip(
            alike[i, others] @ cosine[others] / max(1e-9, cosine[others] @ cosine[others]), 0, 1
        )
    return cosine


def unit(rows: Floats) -> Floats:
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True), np.float64)


def pairwise(rows: Floats) -> Floats:
    """The distances of all pairs of rows."""
    i, j = np.triu_indices(len(rows), 1)
    return np.asarray(np.linalg.norm(rows[i] - rows[j], axis=1), np.float64)
