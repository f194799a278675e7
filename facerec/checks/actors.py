"""Rules for the actor database beside a movie folder: its tables, pictures and embeddings."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from pathlib import Path

from facerec.actors.aspect_ratios import find_size_error, read_aspect_rows
from facerec.actors.backend_tables import find_changed_ids, read_as_backend
from facerec.actors.database import ActorDatabase, Gallery
from facerec.actors.provenance import SHOWN_LAST, read_origins
from facerec.checks.violations import Violations
from facerec.errors import ContractError, FacerecError
from facerec.folder.names import other_unicode_form
from facerec.support.text import counted

_BIRTHDAY = re.compile(r"(\d\d\.\d\d\.)?\d{4}", re.ASCII)


class DatabaseCheck:
    """Checks all files of an actor database once, then the rows of each movie beside it.

    Args:
        movies: ids of the movies that have a data folder.
    """

    def __init__(self, database: ActorDatabase, movies: Collection[int], violations: Violations) -> None:
        self._database, self._violations = database, violations
        ids: set[str] = set()
        self._casts: dict[int, dict[str, str]] = {movie: {} for movie in movies}
        self._unnamed: dict[str, list[str]] = {}
        self._gallery: Gallery | None = None
        known = self._read_to_end(database.actors, lambda: _check_actors(database, movies, ids, violations))
        listed = self._read_to_end(
            database.images, lambda: _check_images(database, ids if known else None, violations)
        )
        if known:
            self._read_to_end(database.actors, lambda: _check_cells_in_backend(database, movies, violations))
        _warn_of_learnt_pictures(database, violations)
        readable = self._read_to_end(database.embeddings, lambda: _check_embeddings(database))
        self._sized = self._read_to_end(database.aspect_ratios, self._read_aspect_rows)
        self._known = known and self._read_to_end(database.actors, self._read_casts)
        if self._known and listed and readable and any(self._casts.values()):
            self._read_to_end(database.embeddings, lambda: self._read_gallery(movies))

    def check_movie(
        self,
        movie_id: int,
        film_name: str | None,
        display_size: tuple[int, int] | None,
        *,
        shown: bool = True,
    ) -> dict[str, str] | None:
        """Check what the database has of a movie.

        Args:
            film_name: file name of the film, which `aspect_ratios.csv` must list; None if it is unknown.
            display_size: width and height of the frame that boxes are in; None if it is unknown.
            shown: the film is there, so that the labeling backend reads its size.

        Returns:
            The movie's cast without those who must not be named, names by actor id; None where `actors.csv`
            cannot be read.
        """
        database = self._database
        compare = self._sized and shown
        if compare and (error := find_size_error(database.aspect_ratios, movie_id, film_name, display_size)):
            self._violations.add_error(error)
        cast = self._casts[movie_id]
        if cast and self._gallery is not None:
            for sentence in database.without_pictures(self._gallery, movie_id, cast):
                self._violations.warn(database.folder, sentence)
        if not self._known:
            return None
        return {actor: name for actor, name in cast.items() if actor not in self._unnamed}

    def _read_to_end(self, path: Path, read: Callable[[], None]) -> bool:
        """Run `read` on a file; returns whether it came to the end (readers stop at the first bad row)."""
        try:
            read()
        except ContractError as error:
            self._violations.add_error(error)
        except FacerecError as error:
            self._violations.add_failure(path, error)
        else:
            return True
        return False

    def _read_aspect_rows(self) -> None:
        for _ in read_aspect_rows(self._database.aspect_ratios):
            pass

    def _read_casts(self) -> None:
        self._casts |= self._database.casts(self._casts)
        self._unnamed = self._database.unnamed()

    def _read_gallery(self, movies: Collection[int]) -> None:
        only = next(iter(movies)) if len(movies) == 1 else None
        self._gallery = self._database.gallery(only)


def _check_actors(
    database: ActorDatabase, movies: Collection[int], ids: set[str], violations: Violations
) -> None:
    """Check every row of `actors.csv` and that each of the movies has one; adds all actor ids to `ids`.

    The labeling backend reads the name of every movie from its first row, with or without a data folder.
    """
    listed: set[int] = set()
    for line, movie, row in database.read_actors():
        ids.add(row["id"])
        required = ["role", "name"]
        if movie in movies:
            required += ["movie_name", "movie_year"]
        elif movie not in listed:
            required.append("movie_name")
        listed.add(movie)
        for column in required:
            if not row[column].strip():
                violations.add(database.actors, f"{column} is empty", line)
        birthday = row["birthday"].strip()
        if birthday and not _BIRTHDAY.fullmatch(birthday):
            rule = f"birthday {row['birthday']!r} is neither dd.mm.yyyy nor yyyy"
            violations.add(database.actors, rule, line)
    for movie in sorted(set(movies) - listed):
        violations.add(database.actors, f"no row for movie {movie}, which has a data folder")


def _check_cells_in_backend(database: ActorDatabase, movies: Collection[int], violations: Violations) -> None:
    """Check that the labeling backend has the ids of both tables, and the cells that must not be empty."""
    columns = ("role", "name", "movie_name", "movie_year")
    for line, row, read in read_as_backend(database.actors, ("movie_id", *columns)):
        for column in columns if int(row["movie_id"]) in movies else columns[:2]:
            if row[column].strip() and not read[column]:
                rule = (
                    f"{column} {row[column]!r} is an empty cell for the labeling backend; write another word"
                )
                violations.add(database.actors, rule, line)
    for error in find_changed_ids(database):
        violations.add_error(error)


def _check_images(database: ActorDatabase, ids: set[str] | None, violations: Violations) -> None:
    """Check every row of `actor_images.csv`; `ids` are the known actors, None if they are unknown."""
    for line, row in database.read_images():
        if not re.fullmatch("[0-9]{1,9}", row.get("n_detections", "")):
            violations.add(database.images, "n_detections is not a number; run prepare_actors.py", line)
        if row["movie_id"].strip() and not re.fullmatch("-?[0-9]{1,10}", row["movie_id"].strip()):
            violations.add(database.images, f"movie_id {row['movie_id']!r} is not an integer", line)
        if ids is not None and row["actor_id"] not in ids:
            violations.add(database.images, f"actors.csv has no row with the id {row['actor_id']!r}", line)
        path = database.picture(row["filename"])
        if not path.is_file():
            violations.add(database.images, f"picture {row['filename']!r} is missing", line)
        elif path != database.pictures / row["filename"]:
            violations.add(database.images, other_unicode_form(row["filename"], path), line)


def _warn_of_learnt_pictures(database: ActorDatabase, violations: Violations) -> None:
    """Warn if the labeling backend may show pictures that were learnt from films before portraits."""
    try:
        learnt = {one.filename for one in read_origins(database).values() if one.learnt}
        shown_first = sum(
            row["filename"] in learnt and any(row.get(key) != cell for key, cell in SHOWN_LAST.items())
            for _, row in (database.read_images() if learnt else ())
        )
    except FacerecError as error:  # the backend does not read this file
        violations.warnings.append(str(error))
        return
    if shown_first:
        violations.warn(
            database.images,
            f"{counted(shown_first, 'picture')} learnt from films may hide portraits from annotators; run "
            "prepare_actors.py, which moves them behind the portraits",
        )


def _check_embeddings(database: ActorDatabase) -> None:
    """Read every line of `actor_embeddings.jsonl`: its reader raises at the first that breaks a rule."""
    has_pictures = any(True for _ in database.read_images())
    for _ in database.read_embeddings() if has_pictures or database.embeddings.exists() else ():
        pass
