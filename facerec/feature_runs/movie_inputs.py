"""Read and check the inputs of a movie's features: its film and the cuts of `scene_changes.json`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from facerec.errors import InputError, PlanError, StaleError
from facerec.extraction.planned_film import planned_film
from facerec.feature_runs.spans import Span, divide
from facerec.folder.documents import read_scene_changes
from facerec.folder.film_hash import hash_once
from facerec.folder.films import check_film_exists
from facerec.folder.layout import MovieFolder
from facerec.folder.manifest import read_manifest
from facerec.folder.plan import Plan, read_plan
from facerec.support.atomic import sha256_of
from facerec.support.shell import stage_command
from facerec.video.film import Film, open_film
from facerec.video.identity import file_stamp, probe_sha256, sha256_if_changed


@dataclass(frozen=True)
class MovieInputs:
    """A film and its shots.

    Attributes:
        shots: first frame and end of each shot, half-open.
        identity: the inputs as provenance records them.
    """

    film: Film
    shots: tuple[tuple[int, int], ...]
    identity: dict[str, Any]

    def spans(self) -> list[Span]:
        """Divide the film into units of work, by its cuts alone."""
        return divide(self.shots)


def read_inputs(folder: MovieFolder, path: Path) -> MovieInputs:
    """Open the film and read the cuts.

    Args:
        path: the film.

    Raises:
        InputError: there is no film or no `scene_changes.json`, or its cuts are not those of the film.
        PlanError: the folder was made from another film.
        StaleError: `scene_changes.json` is not the file that the last merge wrote.
    """
    check_film_exists(path)
    if not folder.scene_changes.is_file():
        raise InputError(
            f"{folder.scene_changes}: this file must exist, because features are made for each shot; "
            "extract and merge the film first (extract.py, merge_shards.py)"
        )
    stamp = file_stamp(path)
    identity = {"bytes": stamp[2], "probe": probe_sha256(path)}
    plan = read_plan(folder)
    if plan is not None:
        _check_film(folder, plan, path, identity)
    digest = sha256_of(folder.scene_changes)
    _check_cuts(folder, plan, digest)
    film = planned_film(plan, path) if plan is not None else open_film(path)
    cuts = read_scene_changes(folder.scene_changes, folder.movie_id)
    if cuts and cuts[-1] >= film.frame_count:
        raise InputError(
            f"{folder.scene_changes}: has a cut at frame {cuts[-1]}, but {path} has {film.frame_count} "
            "frames; give the film that the cuts were made from"
        )
    if file_stamp(path) != stamp:
        raise InputError(
            f"{path}: was written to while it was read; run this again when the copy is complete"
        )
    return MovieInputs(
        film,
        tuple(pairwise([0, *cuts, film.frame_count])),
        {
            "movie_id": folder.movie_id,
            "film": identity,
            "display_size": [film.display_width, film.display_height],
            "scene_changes_sha256": digest,
        },
    )


def _check_film(folder: MovieFolder, plan: Plan, path: Path, identity: dict[str, Any]) -> None:
    """Raise PlanError if the plan was made for another film; its name may differ."""
    other = plan.differences({"film": identity}) or sha256_if_changed(
        path, plan.film, partial(hash_once, folder)
    )
    if other:
        raise PlanError(
            f"{path}: is not the film that {folder.path} was made from ({plan.film.get('name')}, "
            f"{plan.film.get('bytes')} bytes); give that film"
        )


def _check_cuts(folder: MovieFolder, plan: Plan | None, digest: str) -> None:
    """Raise StaleError if the manifest says that the cuts are of another merge or plan."""
    merged = read_manifest(folder)["stages"].get("merge_shards")
    if merged is None:
        return
    name = folder.relative(folder.scene_changes)
    again = f"run: {stage_command('merge_shards', '--path', str(folder.path))}"
    if merged["outputs"].get(name) != digest:
        raise StaleError(f"{folder.scene_changes}: not the file that merge_shards.py wrote; {again}")
    planned = merged["inputs"].get(folder.relative(folder.plan))
    if plan is not None and planned is not None and planned != plan.fingerprint:
        raise StaleError(f"{folder.scene_changes}: was made from another version of the plan; {again}")
