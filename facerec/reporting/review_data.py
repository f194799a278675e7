"""The data of the report's review that the rest of the page does not need: which clusters may be one person.

The page reads it when the review is opened. The fields:

    near   for each cluster: other cluster, log-likelihood ratio of the faces, other cluster, …; each pair is
           with one of the two
    links  for each trajectory: other trajectory, log-likelihood ratio of the places in the picture, or -1 for
           two people in one frame, …; each pair is with the first of the two
    shots  shot of each trajectory, from 0
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from facerec.folder.layout import MovieFolder
from facerec.folder.manifest import read_embedder
from facerec.folder.readers import read_trajectories
from facerec.movies.movie import Movie
from facerec.people.constraints import cannot_links
from facerec.people.neighbours import Neighbours, neighbours, places, shots_of
from facerec.people.trajectory_vectors import trajectory_vectors
from facerec.settings import ClusterSettings, VectorSettings

_DIGITS = 1  # of a ratio
_MAX_LINKS = 12  # places of one trajectory

_Settings = TypeVar("_Settings", ClusterSettings, VectorSettings)


def review_data(movie: Movie) -> dict[str, Any]:
    """Return the data of the review of a movie; see the module for its fields.

    Raises:
        ContractError: a file of the folder breaks a rule.
    """
    folder = MovieFolder(movie.path)
    trajectories = read_trajectories(folder.trajectories, folder.movie_id)
    recorded = movie.manifest["stages"]["cluster"]["settings"]
    settings = _recorded(ClusterSettings(), recorded)
    faces = movie.faces
    found = trajectory_vectors(
        faces["trajectory"].fillna(-1).to_numpy(np.int64),
        movie.embeddings,
        faces["quality"].to_numpy(np.float32),
        len(trajectories),
        _recorded(VectorSettings(), recorded),
    )
    labels = movie.trajectories["cluster"].to_numpy(np.int64)
    cuts = movie.shots["begin"].tolist()[1:]
    apart = cannot_links(trajectories, settings)
    near = neighbours(
        found.vectors,
        found.quality,
        found.usable,
        labels,
        apart,
        read_embedder(folder).same_person,
        settings,
    )
    known: dict[str, Any] = dict(evidence(near, *places(trajectories, cuts), apart, len(trajectories)))
    return known | {"shots": shots_of(trajectories, cuts).tolist()}


def _recorded(settings: _Settings, recorded: Mapping[str, Any]) -> _Settings:
    """Return settings as the manifest recorded them; those that an earlier release did not record stay."""
    return replace(
        settings, **{one.name: recorded[one.name] for one in fields(settings) if one.name in recorded}
    )


def evidence(
    found: Neighbours,
    pairs: NDArray[np.int64],
    ratios: NDArray[np.float64],
    cannot_link: NDArray[np.int64],
    n: int,
) -> dict[str, list[list[float]]]:
    """Return `near` and `links` of the review's data; of the places only the best of each trajectory.

    Args:
        pairs, ratios: see `people.neighbours.places`.
        cannot_link: (p, 2) pairs of trajectories of two people, i < j.
        n: number of trajectories.
    """
    near: list[dict[int, float]] = [{} for _ in found.clusters]
    for one, (others, row) in enumerate(zip(found.clusters.tolist(), found.ratios.tolist(), strict=True)):
        for other, ratio in zip(others, row, strict=True):
            if other >= 0:
                near[min(one, other)][max(one, other)] = round(ratio, _DIGITS)
    links: list[dict[int, float]] = [{} for _ in range(n)]
    listed = np.zeros(n, np.int64)
    for at in np.argsort(-ratios, kind="stable").tolist():
        one, other = pairs[at].tolist()
        if min(listed[one], listed[other]) < _MAX_LINKS:
            links[one][other] = round(float(ratios[at]), _DIGITS)
            listed[[one, other]] += 1
    for one, other in cannot_link.tolist():
        links[one][other] = -1
    flat = [
        [[value for item in pairs.items() for value in item] for pairs in table] for table in (near, links)
    ]
    return {"near": flat[0], "links": flat[1]}
