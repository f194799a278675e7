"""Run all checks on one movie folder and summarise them; holds no rule but that the folder must exist."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from facerec.actors.database import ActorDatabase
from facerec.checks.actors import check_actor_database
from facerec.checks.history import check_history, check_plan
from facerec.checks.results import check_results
from facerec.checks.violations import Expected, Violations
from facerec.errors import ContractError, InputError
from facerec.folder.layout import MovieFolder
from facerec.folder.readers import read_display_size


@dataclass(frozen=True)
class Inspection:
    """A movie folder, the rules that it breaks and the warnings about it.

    Attributes:
        path: the folder as it was given.
        movie_id: None if the folder's name has none.
        summary: counts of what the folder holds, as a phrase.
    """

    path: Path
    violations: Violations
    movie_id: int | None = None
    summary: str = ""

    @property
    def first(self) -> ContractError | None:
        """The violation to report where only one is: if possible one in a file that the backend reads."""
        return next(iter(self.violations.kept), None)

    @property
    def backend_accepts(self) -> bool:
        """No violation at all, kept or not, lies in a file that the labeling backend reads."""
        return not self.violations.fatal_count

    @property
    def warnings(self) -> list[str]:
        """What breaks no rule but should be known before the folder is handed over, a sentence each."""
        return self.violations.warnings


def inspect_folder(path: Path | str, actor_db: Path | None = None) -> Inspection:
    """Check the movie folder at `path` and, if given, the actor database that the backend reads beside it.

    Raises:
        OSError: a file cannot be read for lack of permission or because the disk fails.
    """
    path = Path(path)
    databases = {actor_db} if actor_db is not None else set()  # the backend reads every file in it
    try:
        folder = MovieFolder(path)
    except InputError as error:
        violations = Violations({path}, databases)
        violations.add_failure(path, error)
        return Inspection(path, violations)
    violations = Violations(
        {folder.path, folder.images, folder.trajectories, folder.clusters, folder.predictions},
        databases | {folder.images},
    )
    summary = ""
    if folder.path.is_dir():
        summary = _run_checks(folder, actor_db, violations)
    else:
        violations.add(folder.path, "this folder must exist")
    return Inspection(path, violations, folder.movie_id, summary)


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
            read_display_size(folder) or (plan.display_size if plan else None),
            violations,
        )
    contents = check_results(folder, Expected.from_plan(plan), cast, violations)
    missing = check_history(folder, plan, violations)
    return ", ".join(filter(None, (contents, missing)))
