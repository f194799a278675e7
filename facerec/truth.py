"""Reads what people found true of a film: tables of boxes, or the labeling backend's export."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import orjson

from facerec.actor_db import ActorDatabase
from facerec.documents import read_clusters, read_predictions
from facerec.errors import ContractError, InputError
from facerec.evaluation import NO_FACE, Matched, match_boxes, match_tags, plain_name, score
from facerec.movie_folder import MovieFolder, parse_tag
from facerec.records import Trajectory, read_features, read_trajectories
from facerec.tables import read_table

BOX_COLUMNS = ("frame", "track", "x", "y", "w", "h", "identity")
EXPORT_COLUMNS = ("movie_id", "cluster_id", "cluster_status", "label", "tag", "image_status", "trajectory")
IMAGE_STATUSES = ("same", "different", "invalid")  # as the backend's: the cluster's label, another, no face
CLUSTER_STATUSES = ("labeled", "mixed", "postponed", "discarded")
_UNSURE = "(SWITCH"  # an identity that changes somewhere inside its track


def evaluate_folder(folder: MovieFolder, truth: Path, actor_db: Path, min_trajectory: int) -> bytes:
    """Every figure of `evaluation.Scores` for a folder, as JSON.

    Args:
        min_trajectory: frames; shorter trajectories are not scored.
    """
    trajectories = read_trajectories(folder.trajectories, folder.movie_id)
    clusters = read_clusters(folder.clusters, folder.movie_id, len(trajectories))
    predictions = read_predictions(folder.predictions, folder.movie_id, len(set(clusters)))
    saved = saved_frames(folder, trajectories)
    names = names_of(actor_db, folder.movie_id)
    matched = read_truth(truth, folder, trajectories, saved, names)
    for index, trajectory in enumerate(trajectories):
        if len(trajectory.boxes) < min_trajectory:
            matched.boxes[index].clear()
    scores = score(matched, clusters, predictions, names)
    record = {
        "movie_id": folder.movie_id,
        "truth": truth.name,
        "min_trajectory": min_trajectory,
        **asdict(scores),
    }
    return orjson.dumps(record, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def saved_frames(folder: MovieFolder, trajectories: Sequence[Trajectory]) -> dict[int, list[int]]:
    """The frames of the saved faces of each trajectory, ascending, by index."""
    faces = {(face.frame, *face.box) for face in read_features(folder.features, folder.movie_id)}
    return {
        t.index: [frame for frame, box in enumerate(t.boxes.tolist(), t.start) if (frame, *box) in faces]
        for t in trajectories
    }


def names_of(actor_db: Path, movie_id: int) -> dict[str, str]:
    """The name, as truth files spell it, of each actor id; empty where there is no actor database."""
    database = ActorDatabase(actor_db)
    if not database.actors.exists():
        return {}
    return {actor: plain_name(name) for actor, name in database.cast(movie_id).items()}


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
        return _match_table(path, trajectories, saved)
    if set(EXPORT_COLUMNS) <= set(columns):
        labels = export_labels(path, folder.movie_id, trajectories)
        named = {NO_FACE: NO_FACE, **names}  # a label is an actor id, or a name that somebody typed
        known = {where: named.get(label) or plain_name(label) for where, label in labels.items()}
        return match_tags(trajectories, saved, known)
    raise InputError(
        f"{path}:1: neither a table of boxes ({', '.join(BOX_COLUMNS)}) "
        f"nor an export ({', '.join(EXPORT_COLUMNS)})"
    )


def _match_table(
    path: Path, trajectories: Sequence[Trajectory], saved: Mapping[int, Sequence[int]]
) -> Matched:
    frames, boxes, tracks, identities = [], [], [], []
    for line, row in read_table(path, BOX_COLUMNS):
        try:
            x, y, w, h = (float(row[key]) for key in "xywh")
            frames.append(int(row["frame"]))
        except ValueError:
            raise ContractError(path, "frame is an int and x, y, w, h are numbers", line) from None
        boxes.append((x, y, x + w, y + h))
        tracks.append(row["track"])
        identities.append(None if _UNSURE in row["identity"] else row["identity"])
    return match_boxes(
        trajectories,
        saved,
        np.array(frames, np.int64),
        np.array(boxes, float).reshape(-1, 4),
        tracks,
        identities,
    )


def export_labels(
    path: Path, movie_id: int, trajectories: Sequence[Trajectory]
) -> dict[tuple[int, int], str]:
    """Identity by (trajectory, frame) from the backend's export; what annotators left open is not there.

    Raises:
        ContractError: a status that the backend does not have, a tag or trajectory that is not this folder's.
    """
    labels: dict[tuple[int, int], str] = {}
    for line, row in read_table(path, EXPORT_COLUMNS):
        if row["movie_id"] != str(movie_id):
            continue
        if row["cluster_status"] not in ("", *CLUSTER_STATUSES):
            raise ContractError(
                path,
                f"cluster_status {row['cluster_status']!r} is none of {', '.join(CLUSTER_STATUSES)}",
                line,
            )
        if row["image_status"] not in ("", *IMAGE_STATUSES):
            raise ContractError(
                path, f"image_status {row['image_status']!r} is none of {', '.join(IMAGE_STATUSES)}", line
            )
        try:
            index, (_, frame, box) = int(row["trajectory"]), parse_tag(row["tag"])
            trajectory = trajectories[index]
            here = (
                trajectory.boxes[frame - trajectory.start].tolist()
                if trajectory.start <= frame < trajectory.end
                else None
            )
        except (ValueError, IndexError) as error:
            raise ContractError(path, f"no picture of this folder: {error}", line) from None
        if here != list(box):
            raise ContractError(
                path,
                f"trajectory {index} has no box {row['tag']}: labels of another version of the folder",
                line,
            )
        if row["image_status"] == "invalid":
            labels[index, frame] = NO_FACE
        elif row["image_status"] == "same" and row["label"] and row["cluster_status"] == "labeled":
            labels[index, frame] = row["label"]
    return labels
