"""Check a data root as the labeling backend reads it: every folder in it, the films and the actor database.

The backend reads all folders that end in `-data` when it starts, and one that it cannot read stops it for
all movies.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from facerec.actors.database import ActorDatabase
from facerec.checks.actors import DatabaseCheck
from facerec.checks.films import FilmsFolder, backend_movie_id
from facerec.checks.inspect import check_folder, files_of_backend
from facerec.checks.violations import Violations
from facerec.errors import InputError
from facerec.folder.layout import MovieFolder

_GLOB = frozenset("*?[")


@dataclass(frozen=True)
class RootInspection:
    """A data root and the rules that it breaks.

    Attributes:
        movies: number of folders that are named as a movie's.
    """

    path: Path
    movies: int
    violations: Violations


def folders_of_backend(root: Path) -> list[Path]:
    """Return what the labeling backend takes for movie folders in `root`."""
    return sorted(path for path in root.iterdir() if path.name.endswith("-data") and path.name[0] != ".")


def inspect_root(
    root: Path, films: Path | None, actor_db: Path | None, advance: Callable[[int], None] = lambda _: None
) -> RootInspection:
    """Check everything that the labeling backend reads.

    Args:
        films, actor_db: folders of the films and of the actor database; None if they are not checked.
        advance: called with 1 after each movie folder.

    Raises:
        InputError: `root` is not a folder.
        OSError: a file cannot be read for lack of permission or because the disk fails.
    """
    if not root.is_dir():
        problem = "is not a folder" if root.exists() else "does not exist"
        raise InputError(f"{root} {problem}: give the folder that holds the folders <movie_id>-data")
    root = root.absolute()
    found = folders_of_backend(root)
    movies: list[MovieFolder] = []
    foreign: list[Path] = []
    for path in found:
        try:
            folder = MovieFolder.existing(path)
        except InputError:
            foreign.append(path)
        else:
            movies.append(folder)
    images = {folder.images for folder in movies}
    databases = {actor_db} if actor_db is not None else set()
    violations = Violations(files_of_backend(movies), images | databases)
    if _GLOB & set(str(root)):
        rule = "the labeling backend finds no folder in a path with *, ? or [; rename it"
        violations.add(root, rule, fatal=True)
    if not found:
        violations.add(root, "no folder <movie_id>-data is here", fatal=True)
    for path in foreign:
        _report_foreign(path, {folder.movie_id for folder in movies}, violations)
    database = None
    if actor_db is not None:
        ids = [folder.movie_id for folder in movies]
        database = DatabaseCheck(ActorDatabase(actor_db), ids, violations)
    films_folder = FilmsFolder(films, violations) if films is not None else None
    for folder in movies:
        check_folder(folder, database, films_folder, violations)
        advance(1)
    return RootInspection(root, len(movies), violations)


def _report_foreign(path: Path, movies: set[int], violations: Violations) -> None:
    """Report what ends in `-data` but is not the folder of a movie."""
    movie_id = backend_movie_id(path.name)
    fatal = True
    if path.is_dir() and movie_id in movies:
        other = MovieFolder(path.with_name(f"{movie_id}-data"))
        names = {other.relative(file) for file in files_of_backend([other]) - {other.path}}
        fatal = not all((path / name).exists() for name in names)
        rule = f"the labeling backend reads it as movie {movie_id}, as {movie_id}-data, and shows one of them"
    else:
        rule = (
            "not the folder of a movie, but the labeling backend reads all that ends in -data, and stops here"
        )
    violations.add(path, f"{rule}; rename it or move it elsewhere", fatal=fatal)
