"""The rules of the actor database that the labeling backend reads beside a movie's data folder."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from facerec.actors.database import ActorDatabase
from facerec.checks.violations import Deviations
from facerec.errors import ContractError, FacerecError

_BIRTHDAY = re.compile(r"(\d\d\.\d\d\.)?\d{4}", re.ASCII)


def check_actor_database(
    database: ActorDatabase, movie_id: int, film: str | None, found: Deviations
) -> dict[str, str] | None:
    """Check the tables; returns the cast of the movie, names by id, or None where it cannot be known.

    Args:
        film: name of the film's file, which `aspect_ratios.csv` must list; None where it is not known.
    """

    def whole(path: Path, read: Callable[[], None]) -> bool:
        """Whether a table was read to its end; its reader stops at the first row that is broken."""
        try:
            read()
        except ContractError as error:
            found.take(error)
        except FacerecError as error:
            found.add(path, str(error).removeprefix(f"{path}: "))
        else:
            return True
        return False

    ids: set[str] = set()
    known = whole(database.actors, lambda: _check_actors(database, movie_id, ids, found))
    whole(database.images, lambda: _check_images(database, ids if known else None, found))
    whole(database.embeddings, lambda: _check_embeddings(database))
    whole(database.aspect_ratios, lambda: _check_aspect_ratios(database, film, found))
    return database.cast(movie_id) if known else None


def _check_actors(database: ActorDatabase, movie_id: int, ids: set[str], found: Deviations) -> None:
    """Every row, and that the movie has one; `ids` takes up the ids of all."""
    listed = False
    for line, movie, row in database.read_actors():
        ids.add(row["id"])
        listed |= movie == movie_id
        needed = ("role", "name", *(("movie_name", "movie_year") if movie == movie_id else ()))
        for column in needed:
            if not row[column].strip():
                found.add(database.actors, f"{column} is empty", line)
        if row["birthday"].strip() and not _BIRTHDAY.fullmatch(row["birthday"].strip()):
            found.add(database.actors, f"birthday {row['birthday']!r} is neither dd.mm.yyyy nor yyyy", line)
    if not listed:
        found.add(database.actors, f"no row for movie {movie_id}, which has data")


def _check_images(database: ActorDatabase, ids: set[str] | None, found: Deviations) -> None:
    for line, row in database.read_images():
        if not re.fullmatch("[0-9]{1,9}", row.get("n_detections", "")):
            found.add(database.images, "n_detections is no number of faces; run prepare_actors.py", line)
        if ids is not None and row["actor_id"] not in ids:
            found.add(database.images, f"no row of actors.csv has the id {row['actor_id']!r}", line)
        if not database.picture(row["filename"]).is_file():
            found.add(database.images, f"picture {row['filename']!r} is missing", line)


def _check_embeddings(database: ActorDatabase) -> None:
    for _ in database.read_embeddings():
        pass


def _check_aspect_ratios(database: ActorDatabase, film: str | None, found: Deviations) -> None:
    from facerec.actors.database import read_aspect_ratio

    if read_aspect_ratio(database.aspect_ratios, film or "") is None and film:
        found.add(database.aspect_ratios, f"the film {film!r} is not listed")
