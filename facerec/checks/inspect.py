"""Run all checks on one movie folder and summarise them; holds no rule but that the folder must exist."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from facerec.actors.database import ActorDatabase
from facerec.checks.actors import check_actor_database
from facerec.checks.history import check_history, check_plan
from facerec.checks.results import check_results
from facerec.checks.violations import Expected, Violations
from facerec.errors import ContractError, InputError
from facerec.folder.layout import MovieFolder


@dataclass
class Inspection:
    """A movie folder and the rules that it breaks.

    Attributes:
        path: the folder as it was given.
        movie_id: None where the folder's name has none.
        summary: counts of what the folder holds, as a phrase.
        first: the violation to report where only one is reported: if possible one in a file that the
            labeling backend reads.
        backend_accepts: no violation lies in a file that the labeling backend reads.
    """

    path: Path
    violations: Violations = field(default_factory=Violations)
    movie_id: int | None = None
    summary: str = ""
    first: ContractError | None = None
    backend_accepts: bool = True


def inspect_folder(path: Path | str, actor_db: Path | None = None) -> Inspection:
    """Check the movie folder at `path` and, if given, the actor database that the backend reads beside it.

    Raises:
        OSError: a file cannot be read for lack of permission or because the disk fails.
    """
    inspection = Inspection(Path(path))
    violations = inspection.violations
    read_by_backend = {inspection.path}
    read_folders = {actor_db}  # the backend reads every file in them
    try:
        folder = MovieFolder(path)
    except InputError as error:
        violations.add_failure(inspection.path, error)
    else:
        inspection.movie_id = folder.movie_id
        read_by_backend = {
            folder.path, folder.images, folder.trajectories, folder.clusters, folder.predictions
        }  # fmt: skip
        read_folders.add(folder.images)
        if folder.path.is_dir():
            inspection.summary = _run_checks(folder, actor_db, violations)
        else:
            violations.add(folder.path, "this folder must exist")
    fatal = [
        error
        for error in violations.kept
        if error.path in read_by_backend or read_folders & {*error.path.parents}
    ]
    inspection.first = next(iter(fatal or violations.kept), None)
    inspection.backend_accepts = not fatal
    return inspection


def _run_checks(folder: MovieFolder, actor_db: Path | None, violations: Violations) -> str:
    """Run every check on an existing folder; returns the folder's summary."""
    plan = check_plan(folder, violations)
    cast = None
    if actor_db is not None:
        film_name = plan.film.get("name") if plan else None
        cast = check_actor_database(
            ActorDatabase(actor_db),
            folder.movie_id,
            film_name if isinstance(film_name, str) else None,
            violations,
        )
    contents = check_results(folder, Expected.from_plan(plan), cast, violations)
    missing = check_history(folder, plan, violations)
    return ", ".join(filter(None, (contents, missing)))
