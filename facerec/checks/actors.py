"""Rules for the actor database beside a movie folder: its tables, pictures and embeddings."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from facerec.actors.database import ActorDatabase, read_aspect_ratio
from facerec.checks.violations import Violations
from facerec.errors import ContractError, FacerecError

_BIRTHDAY = re.compile(r"(\d\d\.\d\d\.)?\d{4}", re.ASCII)


def check_actor_database(
    database: ActorDatabase, movie_id: int, film_name: str | None, violations: Violations
) -> dict[str, str] | None:
    """Check all files of the database.

    Args:
        film_name: file name of the film, which `aspect_ratios.csv` must list; None where it is unknown.

    Returns:
        The movie's cast, names by actor id; None where `actors.csv` cannot be read.
    """

    def read_to_end(path: Path, read: Callable[[], None]) -> bool:
        """Run `read` on a file; returns whether it came to the end (readers stop at the first bad row)."""
        try:
            read()
        except ContractError as error:
            violations.add_error(error)
        except FacerecError as error:
            violations.add_failure(path, error)
        else:
            return True
        return False

    ids: set[str] = set()
    known = read_to_end(database.actors, lambda: _check_actors(database, movie_id, ids, violations))
    read_to_end(database.images, lambda: _check_images(database, ids if known else None, violations))
    read_to_end(database.embeddings, lambda: _check_embeddings(database))
    read_to_end(database.aspect_ratios, lambda: _check_aspect_ratio(database, film_name, violations))
    return database.cast(movie_id) if known else None


def _check_actors(database: ActorDatabase, movie_id: int, ids: set[str], violations: Violations) -> None:
    """Check every row of `actors.csv` and that the movie has one; adds all actor ids to `ids`."""
    listed = False
    for line, movie, row in database.read_actors():
        ids.add(row["id"])
        listed |= movie == movie_id
        required = ("role", "name", *(("movie_name", "movie_year") if movie == movie_id else ()))
        for column in required:
            if not row[column].strip():
                violations.add(database.actors, f"{column} is empty", line)
        birthday = row["birthday"].strip()
        if birthday and not _BIRTHDAY.fullmatch(birthday):
            rule = f"birthday {row['birthday']!r} is neither dd.mm.yyyy nor yyyy"
            violations.add(database.actors, rule, line)
    if not listed:
        violations.add(database.actors, f"no row for movie {movie_id}, which has a data folder")


def _check_images(database: ActorDatabase, ids: set[str] | None, violations: Violations) -> None:
    """Check every row of `actor_images.csv`; `ids` are the known actors, None where they are unknown."""
    for line, row in database.read_images():
        if not re.fullmatch("[0-9]{1,9}", row.get("n_detections", "")):
            violations.add(database.images, "n_detections is not a number; run prepare_actors.py", line)
        if ids is not None and row["actor_id"] not in ids:
            violations.add(database.images, f"actors.csv has no row with the id {row['actor_id']!r}", line)
        if not database.picture(row["filename"]).is_file():
            violations.add(database.images, f"picture {row['filename']!r} is missing", line)


def _check_embeddings(database: ActorDatabase) -> None:
    """Read every line of `actor_embeddings.jsonl`: its reader raises at the first that breaks a rule."""
    for _ in database.read_embeddings():
        pass


def _check_aspect_ratio(database: ActorDatabase, film_name: str | None, violations: Violations) -> None:
    """Check that `aspect_ratios.csv` can be read and lists the film."""
    ratio = read_aspect_ratio(database.aspect_ratios, film_name or "")
    if film_name and ratio is None:
        violations.add(database.aspect_ratios, f"no row for the film {film_name!r}")
