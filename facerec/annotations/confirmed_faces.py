"""The saved faces that annotators confirmed, and the actor whom each shows."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from facerec.actors.database import ActorDatabase
from facerec.annotations.export import Annotation
from facerec.annotations.identities import ids_by_name, ids_of_label
from facerec.errors import ContractError
from facerec.folder.documents import read_clusters
from facerec.folder.layout import MovieFolder
from facerec.folder.manifest import read_manifest, recorded_poor_pages
from facerec.folder.readers import read_faces
from facerec.folder.records import SavedFace
from facerec.people.quality import saved_face_quality
from facerec.settings import VectorSettings
from facerec.support.text import counted

_MAX_LISTED = 5  # labels without an actor that a warning names; a film has hundreds of extras


@dataclass(frozen=True)
class ConfirmedFace:
    """A saved face that annotators confirmed.

    Attributes:
        face: the saved face.
        actor: id of the actor it shows.
        trajectory: index of its trajectory.
        quality: 0..1, how much the face says about identity.
    """

    face: SavedFace
    actor: str
    trajectory: int
    quality: float


def confirmed_actors(
    rows: Iterable[Annotation], rejected: set[str], database: ActorDatabase, movie_id: int, labels: Path
) -> dict[str, str]:
    """Return the actor of each confirmed face, by tag, and warn of labels that name no actor."""
    ids, unnamed = database.cast(None), database.unnamed()
    by_name = ids_by_name(database.cast(movie_id))
    actors: dict[str, str] = {}
    unknown: Counter[str] = Counter()
    contradictory = set()
    for row in rows:
        if row.image_status != "same" or row.cluster_status != "labeled" or row.tag in rejected:
            continue
        namesakes = ids_of_label(row.label, ids, by_name)
        if len(namesakes) != 1:
            unknown[row.label] += 1
        elif namesakes[0] in unnamed:  # their pictures would only help to find them elsewhere
            continue
        elif actors.setdefault(row.tag, namesakes[0]) != namesakes[0]:
            contradictory.add(row.tag)
    if unknown:
        few = ", ".join(f"{label!r} ({unknown[label]})" for label in sorted(unknown)[:_MAX_LISTED])
        logging.warning(
            "%s: ignored labels (number of faces), which are neither an id in %s nor the name of exactly one "
            "actor of movie %d: %s%s",
            labels, database.actors.name, movie_id, few,
            f" and {len(unknown) - _MAX_LISTED} more labels" if len(unknown) > _MAX_LISTED else "",
        )  # fmt: skip
    if contradictory:
        count = len(contradictory)
        logging.warning(
            "%s: %s contradictory labels, from which nothing is learnt",
            labels,
            counted(count, "face has", "faces have"),
        )
    return {tag: actor for tag, actor in actors.items() if tag not in contradictory}


def unfit_tags(rows: Sequence[Annotation], actors: Mapping[str, str], folder: MovieFolder) -> set[str]:
    """Return the labelled faces that no label ties to one person.

    They belong to trajectories that show several people, or lie on pages that trajectories too poor to
    compare share.

    Args:
        actors: of the confirmed faces, by tag.
    """
    return _tags_of_mixed_trajectories(rows, actors) | _tags_on_poor_pages(rows, folder)


def confirmed_faces(
    folder: MovieFolder, rows: Iterable[Annotation], actors: Mapping[str, str], labels: Path
) -> list[ConfirmedFace]:
    """Read the saved faces of `rows` that have at least the quality that a cluster needs."""
    wanted = {row.tag: row for row in rows}
    faces = [item for item in read_faces(folder) if item[0].tag in wanted]
    for tag in sorted(wanted.keys() - {face.tag for face, _ in faces}):
        rule = f"{tag} is not a saved face in {folder.features}"
        raise ContractError(labels, rule, wanted[tag].line)
    settings = VectorSettings()
    face_qualities = saved_face_quality(faces, settings).tolist()
    return [
        ConfirmedFace(face, actors[face.tag], wanted[face.tag].trajectory, quality)
        for (face, _), quality in zip(faces, face_qualities, strict=True)
        if quality >= settings.min_quality
    ]


def _tags_of_mixed_trajectories(rows: Iterable[Annotation], actors: Mapping[str, str]) -> set[str]:
    """Return the labelled faces of the trajectories that show several people.

    These are a trajectory with a face of its cluster's person and one of another, and one with faces of two
    actors.

    Args:
        actors: of the confirmed faces, by tag.
    """
    tags: dict[int, set[str]] = {}
    people: dict[int, set[str]] = {}
    for row in rows:
        tags.setdefault(row.trajectory, set()).add(row.tag)
        if row.tag in actors:
            people.setdefault(row.trajectory, set()).add(actors[row.tag])
        elif row.image_status == "different":
            people.setdefault(row.trajectory, set()).add("")
    return {tag for index, found in people.items() if len(found) > 1 for tag in tags[index]}


def _tags_on_poor_pages(rows: Iterable[Annotation], folder: MovieFolder) -> set[str]:
    """Return the labelled faces on pages that trajectories too poor to compare share.

    Such a page is not one person, so that a label of the page says nothing about its faces.
    """
    if not (pages := recorded_poor_pages(read_manifest(folder))):
        return set()
    clusters = read_clusters(folder.clusters, folder.movie_id)
    return {row.tag for row in rows if clusters[row.trajectory] in pages}
