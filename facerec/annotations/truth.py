"""Reads what people found true of a film: tables of boxes, or the labeling backend's export.

A table has a row for each face box: its frame, its track, x, y, w, h, and whose it is (`NOT_A_FACE`:
nobody's; empty, or with `(SWITCH`: not sure). Boxes are in display pixels; those of a film whose pixels are
not square may be in stored ones, which shows by where the faces are.

The export has a row for each picture. Annotators give a cluster a status (`labeled` with one label, an
actor id or a typed name) and each of its pictures another: `same` as the label, `different`, or
`invalid`, which is no face or none to be judged. A picture that is `different` is known not to be the
label's person, and counts as that: not as the cluster's majority, but as nobody's name either.
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

from facerec.actors.database import ActorDatabase
from facerec.annotations.export import EXPORT_COLUMNS, plain_name, read_export
from facerec.annotations.metrics import NO_FACE, NOT, Matched, match_boxes, match_tags, score
from facerec.errors import ContractError, InputError
from facerec.folder.documents import read_clusters, read_predictions
from facerec.folder.images import thumbnail_tags
from facerec.folder.layout import MovieFolder
from facerec.folder.manifest import read_manifest
from facerec.folder.names import MAX_FRAME, parse_tag
from facerec.folder.readers import read_trajectories
from facerec.folder.records import Trajectory
from facerec.reporting.overview import cast_names
from facerec.support.csv_tables import read_table

BOX_COLUMNS = ("frame", "track", "x", "y", "w", "h", "identity")
_UNSURE = "(SWITCH"  # an identity that changes somewhere inside its track


def evaluate_folder(folder: MovieFolder, truth: Path, actor_db: Path, min_trajectory: int) -> bytes:
    """Every figure of `evaluation.Scores` for a folder, as JSON.

    Args:
        min_trajectory: frames; shorter trajectories are not judged (recall counts their boxes).
    """
    trajectories = read_trajectories(folder.trajectories, folder.movie_id)
    clusters = read_clusters(folder.clusters, folder.movie_id, len(trajectories))
    predictions = read_predictions(folder.predictions, folder.movie_id, len(set(clusters)))
    saved = shown_frames(folder, trajectories)
    names = names_of(folder, actor_db)
    matched = read_truth(truth, folder, trajectories, saved, names)
    unknown = {actor for said in predictions.values() for actor in said} - names.keys()
    if unknown:
        log = "%s: %d of the actors that are named, %s the first, are in no cast here; give --actor-db"
        logging.warning(log, folder.path, len(unknown), min(unknown))
    kept = [
        counts if len(one.boxes) >= min_trajectory else Counter[str]()
        for one, counts in zip(trajectories, matched.boxes, strict=True)
    ]
    scores = score(replace(matched, boxes=kept), clusters, predictions, names)
    record = {
        "movie_id": folder.movie_id,
        "truth": truth.name,
        "min_trajectory": min_trajectory,
        **asdict(scores),
    }
    return orjson.dumps(record, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def shown_frames(folder: MovieFolder, trajectories: Sequence[Trajectory]) -> dict[int, list[int]]:
    """The frames of the pictures that annotators see of each trajectory, ascending, by its index."""
    shown = thumbnail_tags(folder, trajectories)
    return {index: [parse_tag(tag)[1] for tag in tags] for index, tags in shown.items()}


def names_of(folder: MovieFolder, actor_db: Path) -> dict[str, str]:
    """The name, as truth files spell it, of each actor id; see `cast_names`."""
    cast = cast_names(folder, ActorDatabase(actor_db))
    return {actor: plain_name(name) for actor, name in cast.items()}


def read_truth(
    path: Path,
    folder: MovieFolder,
    trajectories: Sequence[Trajectory],
    saved: Mapping[int, Sequence[int]],
    names: Mapping[str, str],
) -> Matched:
    """The trajectories in the light of the truth in `path`, whichever of the two kinds it is."""
    with path.open("rb") as file:
        header = file.readline(1 << 16).decode("utf-8-sig", "replace")
    columns = [column.strip().strip('"') for column in header.strip().split(",")]
    if set(BOX_COLUMNS) <= set(columns):
        matches = (_match_table(path, trajectories, saved, scale) for scale in _scales(folder))
        return max(matches, key=lambda match: match.found_boxes or 0)  # the first of equals
    if set(EXPORT_COLUMNS) <= set(columns):
        return match_tags(trajectories, saved, _identities(path, folder, trajectories, names))
    raise InputError(
        f"{path}:1: neither a table of boxes ({', '.join(BOX_COLUMNS)}) "
        f"nor an export ({', '.join(EXPORT_COLUMNS)})"
    )


def _scales(folder: MovieFolder) -> list[tuple[float, float]]:
    """What a table's x and y may have to be multiplied by to be display pixels."""
    video = read_manifest(folder).get("video", {})
    stored, shown = video.get("stored_size"), video.get("display_size")
    if not stored or not shown or stored == shown or video.get("rotation"):
        return [(1.0, 1.0)]
    return [(1.0, 1.0), (shown[0] / stored[0], shown[1] / stored[1])]


def _match_table(
    path: Path,
    trajectories: Sequence[Trajectory],
    saved: Mapping[int, Sequence[int]],
    scale: tuple[float, float],
) -> Matched:
    """Match with a table's boxes after multiplying them by `scale`, in x and in y."""
    frames, boxes, tracks, identities = [], [], [], []
    for line, row in read_table(path, BOX_COLUMNS):
        try:
            x, y, w, h = (float(row[key]) for key in "xywh")
            frames.append(int(row["frame"]))
        except ValueError:
            raise ContractError(path, "frame is an int and x, y, w, h are numbers", line) from None
        if not (0 <= frames[-1] <= MAX_FRAME and w > 0 and h > 0 and math.isfinite(x + y + w + h)):
            raise ContractError(path, "no frame number, or a box without area", line)
        boxes.append((x, y, x + w, y + h))
        tracks.append(row["track"])
        identities.append(_identity(row["identity"]))
    return match_boxes(
        trajectories,
        saved,
        np.array(frames, np.int64),
        np.array(boxes, float).reshape(-1, 4) * (scale * 2),
        tracks,
        identities,
    )


def _identity(cell: str) -> str | None:
    if _UNSURE in cell:
        return None
    return NO_FACE if cell == NO_FACE else plain_name(cell) or None


def _identities(
    path: Path, folder: MovieFolder, trajectories: Sequence[Trajectory], names: Mapping[str, str]
) -> dict[tuple[int, int], str]:
    """Identity by (trajectory, frame) of an export's pictures; what annotators left open is not there."""
    identities: dict[tuple[int, int], str] = {}
    open_to_doubt = set()
    for row in read_export(path, folder.movie_id, trajectories):
        person = names.get(row.label) or plain_name(row.label)
        if row.image_status == "invalid":
            identity = NO_FACE
        elif row.cluster_status == "labeled" and person and row.image_status:
            identity = person if row.image_status == "same" else NOT + person
        else:
            continue
        if identities.setdefault((row.trajectory, row.frame), identity) != identity:
            open_to_doubt.add((row.trajectory, row.frame))
    if open_to_doubt:
        logging.warning("%s: %d pictures have several answers and count as open", path, len(open_to_doubt))
    return {where: identity for where, identity in identities.items() if where not in open_to_doubt}
