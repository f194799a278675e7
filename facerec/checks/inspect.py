"""A movie's data folder held against all rules: the contract's, the manifest's, the actor database's."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from facerec.actors.database import ActorDatabase
from facerec.checks.actors import check_actor_database
from facerec.checks.history import check_provenance, sound_plan
from facerec.checks.results import check_results
from facerec.checks.violations import Deviations, Expected
from facerec.errors import ContractError, InputError
from facerec.folder.layout import MovieFolder


@dataclass
class Inspection:
    """A folder and what is wrong with it.

    Attributes:
        path: as it was given.
        movie_id: None where the folder's name says none.
        summary: what the folder holds.
        first: the deviation that is told where only one is: one that the backend minds, if there is.
        fit_for_backend: no deviation lies in what the labeling backend reads.
    """

    path: Path
    deviations: Deviations = field(default_factory=Deviations)
    movie_id: int | None = None
    summary: str = ""
    first: ContractError | None = None
    fit_for_backend: bool = True


def inspect(path: Path | str, actor_db: Path | None = None) -> Inspection:
    """Check the folder at `path` and, where given, the actor database that the backend reads beside it.

    Raises:
        OSError: something may not be read.
    """
    seen, rooms = Inspection(Path(path)), {actor_db}
    try:
        folder = MovieFolder(path)
    except InputError as error:
        seen.deviations.add(seen.path, str(error).removeprefix(f"{path}: "))
        minded = {seen.path}
    else:
        seen.movie_id = folder.movie_id
        minded = {folder.path, folder.images, folder.trajectories, folder.clusters, folder.predictions}
        rooms.add(folder.images)
        if folder.path.is_dir():
            _check(seen, folder, actor_db)
        else:
            seen.deviations.add(folder.path, "this folder must exist")
    kept = seen.deviations.kept
    harmful = [error for error in kept if error.path in minded or rooms & {*error.path.parents}]
    seen.first = next(iter(harmful or kept), None)
    seen.fit_for_backend = not harmful
    return seen


def deviations(path: Path | str, actor_db: Path | None = None) -> list[ContractError]:
    """Where the folder at `path` deviates from the rules; the first thousand places."""
    return inspect(path, actor_db).deviations.kept


def _check(seen: Inspection, folder: MovieFolder, actor_db: Path | None) -> None:
    found = seen.deviations
    plan = sound_plan(folder, found)
    cast = None
    if actor_db is not None:
        film = plan.film.get("name") if plan else None
        name = film if isinstance(film, str) else None
        cast = check_actor_database(ActorDatabase(actor_db), folder.movie_id, name, found)
    held = check_results(folder, Expected.by(plan), cast, found)
    seen.summary = ", ".join(filter(None, (held, check_provenance(folder, plan, found))))
