"""Read and check a finished movie folder, and decide who each trajectory shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from facerec.actors.cast import Cast, read_cast
from facerec.actors.database import ActorDatabase
from facerec.annotations.apply import people_from_labels
from facerec.errors import ContractError, StaleError
from facerec.folder.documents import read_clusters, read_predictions, read_scene_changes
from facerec.folder.layout import MovieFolder
from facerec.folder.manifest import checked_stages, read_manifest, recorded_poor_pages
from facerec.folder.people import People, read_people
from facerec.folder.plan import Plan, read_plan
from facerec.folder.readers import read_trajectories
from facerec.folder.records import Trajectory
from facerec.movies.identities import Identity, anonymous, identify
from facerec.movies.times import FrameTimes, frame_times
from facerec.stages import PIPELINE
from facerec.support.jsonl import is_int


@dataclass(frozen=True)
class MovieRecords:
    """The contents of a movie folder without its saved faces, checked.

    Attributes:
        clusters: cluster of each trajectory.
        cuts: first frame of each new shot, ascending.
        identities: who each trajectory shows; None for no face.
        display_size: width and height in pixels; stored_size: as `Movie.stored_size`.
        least: a prediction names a person if its probability is above this.
    """

    folder: MovieFolder
    plan: Plan
    manifest: Mapping[str, Any]
    times: FrameTimes
    trajectories: Sequence[Trajectory]
    clusters: Sequence[int]
    cuts: Sequence[int]
    cast: Cast
    identities: Sequence[Identity | None]
    display_size: tuple[int, int]
    stored_size: tuple[int, int]
    least: float


def read_records(
    folder: MovieFolder, database: ActorDatabase, labels: Path | None, least: float, *, anonymously: bool
) -> MovieRecords:
    """Read a finished folder; see `open_movie` for the errors.

    Args:
        database: need not exist.
        labels: the labeling backend's export; None: the folder's people.json if there is one.
        anonymously: with numbers for people, and without a cast.
    """
    hashes = checked_stages(folder, PIPELINE.recorded)
    plan = read_plan(folder)
    if plan is None:
        raise ContractError(folder.plan, "this file must exist")
    manifest = read_manifest(folder)
    times = frame_times(folder, plan)
    trajectories = read_trajectories(folder.trajectories, folder.movie_id)
    clusters = read_clusters(folder.clusters, folder.movie_id, len(trajectories))
    predictions = read_predictions(folder.predictions, folder.movie_id, len(set(clusters)))
    cuts = read_scene_changes(folder.scene_changes, folder.movie_id)
    _check_length(folder, trajectories, cuts, times.frame_count)
    cast = read_cast(folder, database)
    if labels is not None:
        answers: People | None = people_from_labels(
            folder, labels, database, trajectories, clusters, predictions, least
        )
    else:
        answers = _read_people(folder, len(trajectories), hashes)
    identities = identify(clusters, predictions, recorded_poor_pages(manifest), cast, answers, least)
    if anonymously:
        identities, cast = anonymous(identities), replace(cast, members={}, unnamed={})
    size = _display_size(folder, plan, trajectories)
    return MovieRecords(
        folder,
        plan,
        manifest,
        times,
        trajectories,
        clusters,
        cuts,
        cast,
        identities,
        size,
        _stored_size(plan, size),
        least,
    )


def _read_people(folder: MovieFolder, trajectories: int, hashes: Mapping[str, str]) -> People | None:
    """Return what people.json says; None if there is none.

    Raises:
        StaleError: it was made for other trajectories. Annotators' answers outlive another clustering.
    """
    if not folder.people.exists():
        return None
    name = folder.trajectories.name
    if read_people(folder.people, folder.movie_id).inputs[name] != hashes[name]:
        raise StaleError(
            f"{folder.people}: was made for another version of {name}; "
            "run apply_labels.py again with the annotators' labels, or move it away"
        )
    return read_people(folder.people, folder.movie_id, trajectories)


def _check_length(
    folder: MovieFolder, trajectories: Sequence[Trajectory], cuts: Sequence[int], frames: int
) -> None:
    """Check that trajectories and cuts lie inside the film."""
    for one in trajectories:
        if one.end > frames:
            rule = f"the trajectory ends at frame {one.end} of a film of {frames} frames"
            raise ContractError(folder.trajectories, rule, one.index + 1)
    if cuts and cuts[-1] >= frames:
        rule = f"frame_indices has the frame {cuts[-1]} of a film of {frames} frames"
        raise ContractError(folder.scene_changes, rule)


def _stored_size(plan: Plan, display_size: tuple[int, int]) -> tuple[int, int]:
    """Return width and height of an upright frame before the correction of the pixel aspect ratio."""
    stored, rotation = plan.video.get("stored_size"), plan.video.get("rotation") or 0
    if not isinstance(stored, list) or len(stored) != 2 or not all(is_int(n) and n > 0 for n in stored):
        return display_size
    width, height = stored
    return (height, width) if is_int(rotation) and rotation % 180 else (width, height)


def _display_size(folder: MovieFolder, plan: Plan, trajectories: Sequence[Trajectory]) -> tuple[int, int]:
    """Return width and height of the frame that boxes are in."""
    if trajectories:
        return trajectories[0].w, trajectories[0].h
    if plan.display_size is None:
        raise ContractError(folder.plan, "video must have display_size, two integers")
    return plan.display_size
