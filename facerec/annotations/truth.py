"""Evaluate a folder against ground truth: a table of boxes, a file of CVAT or the backend's export.

A table has one row for each face box: its frame, its track, x, y, w, h and its identity, a name. The identity
`NOT_A_FACE` marks a false detection; an empty one, or one with `(SWITCH` in it, is uncertain. Boxes are in
display pixels; for a film with non-square pixels they may be in stored pixels, which is tried as well.

A file of CVAT has the same on tracks: the identity is their attribute `person`, and people whom `export.py`
called unknown are uncertain.

The export has one row for each thumbnail. Annotators give a cluster a status (`labeled`, with one label, an
actor id or a typed name) and each of its thumbnails another: `same` person as the label, `different`, or
`invalid` (no face, or an unusable one). A `different` thumbnail has an identity of its own, "not" the label:
it agrees neither with the cluster's majority nor with any name. A trajectory is what its thumbnails are,
`invalid` ones apart, and no face if all are `invalid`; with `same` and `different` it is mixed.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import orjson

from facerec.actors.cast import cast_names
from facerec.actors.database import ActorDatabase
from facerec.annotations.cvat_labels import read_cvat_truth
from facerec.annotations.export import EXPORT_COLUMNS, read_export
from facerec.annotations.identities import NO_FACE, NOT, plain_name
from facerec.annotations.matching import Matched, match_boxes, match_labels
from facerec.annotations.metrics import score
from facerec.errors import ContractError, InputError
from facerec.folder.documents import read_clusters, read_predictions
from facerec.folder.images import thumbnail_tags
from facerec.folder.layout import MovieFolder
from facerec.folder.manifest import read_manifest, recorded_poor_pages
from facerec.folder.names import MAX_FRAME, parse_tag
from facerec.folder.readers import read_trajectories
from facerec.folder.records import Trajectory
from facerec.interchange.cvat import is_cvat
from facerec.support.csv_tables import has_columns, read_table
from facerec.support.text import counted

BOX_COLUMNS = ("frame", "track", "x", "y", "w", "h", "identity")
_UNCERTAIN = "(SWITCH"  # part of an identity that changes inside its track


def evaluate_folder(folder: MovieFolder, truth: Path, actor_db: Path, min_trajectory: int) -> bytes:
    """Compute every figure of `metrics.Scores` for a folder; returns them as JSON.

    Args:
        min_trajectory: frames; shorter trajectories are not judged (but their boxes count for recall).
    """
    trajectories = read_trajectories(folder.trajectories, folder.movie_id)
    clusters = read_clusters(folder.clusters, folder.movie_id, len(trajectories))
    predictions = read_predictions(folder.predictions, folder.movie_id, len(set(clusters)))
    thumbnails = thumbnail_frames(folder, trajectories)
    database = ActorDatabase(actor_db)
    cast = cast_names(folder, database)
    names = {actor: plain_name(name) for actor, name in cast.items()}
    matched = read_truth(truth, folder, trajectories, thumbnails, names)
    unknown = {actor for predicted in predictions.values() for actor in predicted} - names.keys()
    hidden = unknown & database.unnamed().keys()
    if hidden:
        people = counted(len(hidden), "predicted person", "predicted people")
        logging.warning("%s: %s must not be named: those names are not compared", folder.path, people)
    if unknown := unknown - hidden:
        message = "%s: %s no known name, the first is %s; use another --actor-db"
        actors = counted(len(unknown), "predicted actor has", "predicted actors have")
        logging.warning(message, folder.path, actors, min(unknown))
    kept = [
        counts if len(one.boxes) >= min_trajectory else Counter[str]()
        for one, counts in zip(trajectories, matched.boxes, strict=True)
    ]
    poor_pages = recorded_poor_pages(read_manifest(folder))
    scores = score(replace(matched, boxes=kept), clusters, predictions, names, poor_pages)
    record = {
        "movie_id": folder.movie_id,
        "truth": truth.name,
        "min_trajectory": min_trajectory,
        **asdict(scores),
    }
    return orjson.dumps(record, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def thumbnail_frames(folder: MovieFolder, trajectories: Sequence[Trajectory]) -> dict[int, list[int]]:
    """Read the frames of each trajectory's thumbnails, ascending, by its index."""
    tags_of = thumbnail_tags(folder, trajectories)
    return {index: [parse_tag(tag)[1] for tag in tags] for index, tags in tags_of.items()}


def read_truth(
    path: Path,
    folder: MovieFolder,
    trajectories: Sequence[Trajectory],
    thumbnails: Mapping[int, Sequence[int]],
    names: Mapping[str, str],
) -> Matched:
    """Match trajectories with the truth in `path`: a table of boxes, a file of CVAT or an export.

    Args:
        thumbnails: frames of each trajectory's thumbnails, ascending, by its index.
        names: plain name of each actor id.

    Raises:
        InputError: the file is none of these, or has no row of this movie.
        ContractError: a row cannot be used.
    """
    if is_cvat(path):
        return _match_cvat(path, trajectories, thumbnails, names)
    if has_columns(path, BOX_COLUMNS):
        matches = (_match_table(path, trajectories, thumbnails, scale) for scale in _scales(folder))
        return max(matches, key=lambda match: match.found_boxes or 0)  # the first of equals
    if has_columns(path, EXPORT_COLUMNS):
        return match_labels(trajectories, thumbnails, _labels(path, folder, trajectories, names))
    raise InputError(
        f"{path}:1: is no file of CVAT, and its columns are neither those of a table of boxes "
        f"({', '.join(BOX_COLUMNS)}) nor those of an export ({', '.join(EXPORT_COLUMNS)})"
    )


def _match_cvat(
    path: Path,
    trajectories: Sequence[Trajectory],
    thumbnails: Mapping[int, Sequence[int]],
    names: Mapping[str, str],
) -> Matched:
    """Match with the boxes of a file of CVAT."""
    size = (trajectories[0].w, trajectories[0].h) if trajectories else (0, 0)
    truth = read_cvat_truth(path, size)
    identities = {
        person: NO_FACE if person == NO_FACE else names.get(person) or plain_name(person) or None
        for person in set(truth.persons)
    }
    persons = [identities[person] for person in truth.persons]
    return match_boxes(trajectories, thumbnails, truth.frames, truth.boxes, truth.tracks, persons)


def _scales(folder: MovieFolder) -> list[tuple[float, float]]:
    """Return the factors (x, y) that may turn a table's boxes into display pixels."""
    video = read_manifest(folder).get("video", {})
    stored, shown = video.get("stored_size"), video.get("display_size")
    if not stored or not shown or stored == shown or video.get("rotation"):
        return [(1.0, 1.0)]
    return [(1.0, 1.0), (shown[0] / stored[0], shown[1] / stored[1])]


def _match_table(
    path: Path,
    trajectories: Sequence[Trajectory],
    thumbnails: Mapping[int, Sequence[int]],
    scale: tuple[float, float],
) -> Matched:
    """Match with a table's boxes after multiplying them by `scale` (x, y)."""
    frames, boxes, tracks, identities = [], [], [], []
    for line, row in read_table(path, BOX_COLUMNS, any_separator=True):
        try:
            x, y, w, h = (float(row[key]) for key in "xywh")
            frames.append(int(row["frame"]))
        except ValueError:
            raise ContractError(
                path, "frame must be an integer and x, y, w, h must be numbers", line
            ) from None
        if not (0 <= frames[-1] <= MAX_FRAME and w > 0 and h > 0 and math.isfinite(x + y + w + h)):
            raise ContractError(path, "the frame is out of range, or the box is empty", line)
        boxes.append((x, y, x + w, y + h))
        tracks.append(row["track"])
        identities.append(_identity(row["identity"]))
    return match_boxes(
        trajectories,
        thumbnails,
        np.array(frames, np.int64),
        np.array(boxes, float).reshape(-1, 4) * (scale * 2),
        tracks,
        identities,
    )


def _identity(cell: str) -> str | None:
    """Return the identity in a cell of a table; None if it is uncertain."""
    if _UNCERTAIN in cell:
        return None
    return NO_FACE if cell == NO_FACE else plain_name(cell) or None


def _labels(
    path: Path, folder: MovieFolder, trajectories: Sequence[Trajectory], names: Mapping[str, str]
) -> dict[tuple[int, int], str]:
    """Read the identity by (trajectory, frame) of the thumbnails that an export judges."""
    identities: dict[tuple[int, int], str] = {}
    contradictory = set()
    for row in read_export(path, folder.movie_id, trajectories):
        person = names.get(row.label) or plain_name(row.label)
        if row.image_status == "invalid":
            identity = NO_FACE
        elif row.cluster_status == "labeled" and person and row.image_status:
            identity = person if row.image_status == "same" else NOT + person
        else:
            continue
        if identities.setdefault((row.trajectory, row.frame), identity) != identity:
            contradictory.add((row.trajectory, row.frame))
    if contradictory:
        logging.warning(
            "%s: %s contradictory answers, which are ignored",
            path,
            counted(len(contradictory), "thumbnail has", "thumbnails have"),
        )
    return {key: identity for key, identity in identities.items() if key not in contradictory}
