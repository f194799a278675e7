"""Measurements on real faces: the people, and the spread of the observations of each."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerec.actors.database import ActorDatabase
from facerec.annotations.identities import is_person, plain_name
from facerec.annotations.truth import read_truth, thumbnail_frames
from facerec.errors import InputError
from facerec.folder.layout import MovieFolder
from facerec.folder.manifest import read_embedder
from facerec.folder.readers import read_trajectories
from facerec.people.loading import load_trajectory_vectors

Floats = NDArray[np.float64]
PORTRAIT = 0.5  # quality of a portrait; sharpness and score of portraits are not recorded
NO_PEOPLE = {"cgi_cartoon_head"}  # labels of the truth that are not people


@dataclass(frozen=True)
class Faces:
    """People and their observations.

    Attributes:
        people: (p, d) mean observation of each person.
        observations: for each person observed at least twice, (k, 2): cosine to the person, and quality.
        deviations: (r, d) unit vectors from the person to each of these observations.
        within: (w,) distances between two observations of one person.
        same_person: see `models.base.Embedder`.
    """

    people: Floats
    observations: list[Floats]
    deviations: Floats
    within: Floats
    same_person: float


def with_truth(paths: Sequence[Path], truth: Path) -> Iterator[tuple[MovieFolder, Path]]:
    """Yield each movie folder with its table of true boxes; skip and log folders without a table."""
    for folder in map(MovieFolder.existing, paths):
        table = truth / f"{folder.movie_id}.tracks.csv"
        if table.exists():
            yield folder, table
        else:
            logging.info("%s: skipped, no table of true boxes in %s", folder.path, truth)


def observations_of(folder: MovieFolder, truth: Path) -> Iterator[tuple[str, Floats, float]]:
    """Yield person, embedding and quality of each comparable trajectory that shows one known person.

    Args:
        truth: table of true boxes of the folder.
    """
    trajectories = read_trajectories(folder.trajectories, folder.movie_id)
    shown = thumbnail_frames(folder, trajectories)
    matched = read_truth(truth, folder, trajectories, shown, {})
    found = load_trajectory_vectors(folder, trajectories)
    for index, counts in enumerate(matched.boxes):
        who = matched.identity(index)
        if who and is_person(who) and who not in NO_PEOPLE and len(counts) == 1 and found.usable[index]:
            yield who, found.vectors[index].astype(np.float64), float(found.quality[index])


def known_faces(
    folders: Sequence[Path], truth: Path, database: ActorDatabase
) -> tuple[dict[str, list[tuple[Floats, float]]], float]:
    """Return the embedding and quality of each observation of each known person, and `same_person`.

    Observations are the comparable trajectories of the movie folders and the portraits of the database.
    """
    seen: dict[str, list[tuple[Floats, float]]] = defaultdict(list)
    same_person = 0.0
    for folder, table in with_truth(folders, truth):
        embedder = read_embedder(folder)
        database.check_embedder(vars(embedder), folder.path)
        same_person = embedder.same_person
        for who, vector, quality in observations_of(folder, table):
            seen[who].append((vector, quality))
    gallery, names = database.gallery(), database.cast(None)
    for portrait, actor in zip(gallery.vectors.astype(np.float64), gallery.actor_of.tolist(), strict=True):
        seen[plain_name(names[gallery.actors[actor]])].append((portrait, PORTRAIT))
    return seen, same_person


def measure_faces(folders: Sequence[Path], truth: Path, database: ActorDatabase) -> Faces:
    """Measure people and their spread in movie folders and in the portraits of an actor database.

    Raises:
        InputError: no person is observed twice.
    """
    seen, same_person = known_faces(folders, truth, database)
    people, observations, deviations, within = [], [], [], []
    for own in seen.values():
        vectors = np.array([vector for vector, _ in own])
        qualities = np.array([quality for _, quality in own])
        cosine = cosines_to_person(vectors, qualities)
        person = unit(cosine @ vectors if cosine.any() else vectors.sum(0))
        people.append(person)
        if len(own) > 1:
            observations.append(np.column_stack([cosine, qualities]))
            deviations.append(vectors - (vectors @ person)[:, None] * person)
            within.append(pairwise(vectors))
    if not observations:
        raise InputError("no person is observed twice: give more movie folders or portraits")
    return Faces(
        np.array(people), observations, unit(np.concatenate(deviations)), np.concatenate(within), same_person
    )


def cosines_to_person(observations: Floats, quality: Floats) -> Floats:
    """Estimate the cosines (k,) of observations (k, d) with qualities (k,) to their person.

    One-factor model: if the deviations of two observations are independent, the cosine between the two is
    the product of their cosines to the person. With three or more observations, alternating least squares
    gives the cosines, so a poor observation does not lower the estimate of a good one. With two, only the
    product is known; it is divided so that the observation of lower quality gets the lower cosine.
    """
    alike = observations @ observations.T
    np.fill_diagonal(alike, 0)
    k = len(observations)
    if k == 2:
        return np.asarray(np.maximum(alike[0, 1], 0) ** (1 - quality / quality.sum()), np.float64)
    cosine = np.full(k, np.sqrt(max(0.0, alike.sum() / max(1, k * (k - 1)))))
    for i in [*range(k)] * 100 if k > 2 else ():
        others = np.delete(np.arange(k), i)
        cosine[i] = np.clip(
            alike[i, others] @ cosine[others] / max(1e-9, cosine[others] @ cosine[others]), 0, 1
        )
    return cosine


def unit(rows: Floats) -> Floats:
    """Scale vectors (..., d) to length 1."""
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True), np.float64)


def pairwise(rows: Floats) -> Floats:
    """Distances between all pairs of rows."""
    i, j = np.triu_indices(len(rows), 1)
    return np.asarray(np.linalg.norm(rows[i] - rows[j], axis=1), np.float64)
