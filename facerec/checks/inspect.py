"""Run all checks on one movie folder and summarise them; holds no rule but that the folder must exist."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from facerec.actors.database import ActorDatabase
from facerec.checks.actors import DatabaseCheck
from facerec.checks.films import FilmsFolder
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
    violations = Violations(files_of_backend([folder]), databases | {folder.images})
    summary = ""
    if folder.path.is_dir():
        database = DatabaseCheck(ActorDatabase(actor_db), [folder.movie_id], violations) if actor_db else None
        summary = check_folder(folder, database, None, violations)
    else:
        violations.add(folder.path, "this folder must exist")
    return Inspection(path, violations, folder.movie_id, summary)


def files_of_backend(folders: Iterable[MovieFolder]) -> set[Path]:
    """Return the files and folders that the labeling backend reads of movies, without the thumbnails."""
    return {
        path
        for folder in folders
        for path in (folder.path, folder.images, folder.trajectories, folder.clusters, folder.predictions)
    }


def is_copy_for_backend(folder: MovieFolder) -> bool:
    """Whether a folder holds only what the labeling backend reads, as `handover.py` makes it."""
    others = (folder.plan, folder.manifest, folder.features, folder.quality, folder.scene_changes)
    return folder.trajectories.exists() and not any(path.exists() for path in (*others, *folder.shard_dirs))


def check_folder(
    folder: MovieFolder, database: DatabaseCheck | None, films: FilmsFolder | None, violations: Violations
) -> str:
    """Run every check on an existing folder; returns the folder's summary.

    Args:
        database: the actor database beside it, None if it is not checked.
        films: the folder of films, None if it is not checked.
    """
    is_copy = is_copy_for_backend(folder)
    plan = None if is_copy else check_plan(folder, violations)
    recorded = plan.film.get("name") if plan else None
    film_name = recorded if isinstance(recorded, str) else None
    shown = True
    if films is not None:
        film = films.check_movie(folder.movie_id, plan, violations)
        shown, film_name = film is not None, film.name if film else None
    cast = None
    if database is not None:
        size = read_display_size(folder) or (plan.display_size if plan else None)
        cast = database.check_movie(folder.movie_id, film_name, size if shown else None, shown=shown)
    contents = check_results(folder, Expected.from_plan(plan), cast, violations, is_copy=is_copy)
    missing = "a copy of what the backend reads" if is_copy else check_history(folder, plan, violations)
    return ", ".join(filter(None, (contents, missing)))
