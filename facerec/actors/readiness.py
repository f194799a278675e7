"""Whether an actor database can name movies, checked before they are extracted."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from facerec.actors.aspect_ratios import read_aspect_rows
from facerec.actors.backend_tables import first_changed_id
from facerec.actors.database import ActorDatabase
from facerec.errors import InputError
from facerec.folder.names import is_film_of
from facerec.models.packs import models_to_prepare
from facerec.support.shell import option, prepare_command
from facerec.support.text import counted


class ReadyDatabase:
    """An actor database in which every file that `classify_knn.py` reads was read to its end.

    Args:
        embedder: of the movies, for the command that embeds the pictures; empty if it is not known.

    Raises:
        InputError: a file is missing.
        ContractError: a row or line cannot be used, or the labeling backend would have another id.
    """

    def __init__(self, database: ActorDatabase, embedder: str = "") -> None:
        self._database = database
        for path in (database.actors, database.images):
            if not path.is_file():
                other = option("--actor-db", "DIR")
                raise InputError(
                    f"{path}: no such file; actor_db/README.md says how to make it, or give {other}"
                )
        if not database.embeddings.is_file() and any(True for _ in database.read_images()):
            detector, other = models_to_prepare(None)
            run = prepare_command(database.folder, embedder or other, detector)
            raise InputError(f"{database.embeddings}: no such file; embed the pictures of actors: {run}")
        if error := first_changed_id(database):
            raise error
        self._casts: dict[int, set[str]] = {}
        for _, movie, row in database.read_actors():
            self._casts.setdefault(movie, set()).add(row["id"])
        self._pictured = frozenset(database.gallery().actors)
        sizes = database.aspect_ratios
        self._films = [row.name for row in read_aspect_rows(sizes)] if sizes.is_file() else []

    def check_movie(
        self, movie_id: int, embedder: Mapping[str, Any] | None, made: str, *, allow_unlisted: bool
    ) -> str:
        """Check that the clusters of a movie can be named; returns a summary.

        Args:
            embedder: kind, sha256 and dimension of the movie's embedder, as far as they are known.
            made: where the embedder is from, for messages: `but <made> with dlib`.
            allow_unlisted: accept a movie without rows in `actors.csv`.

        Raises:
            InputError: the pictures were embedded by another embedder, or the movie has no row.
        """
        if embedder is not None:
            self._database.check_embedder(embedder, made)
        cast = self._casts.get(movie_id, set())
        if not cast:
            rule = self._database.unlisted(movie_id)
            if not allow_unlisted:
                accept = option("--classify-args", "--allow-unlisted")
                raise InputError(f"{self._database.folder}: {rule}, or group it without names: {accept}")
            logging.warning("%s: %s", self._database.folder, rule)
        elif not cast & self._pictured:
            logging.warning(
                "%s: no actor of movie %d has a usable picture, so no cluster gets a name",
                self._database.folder, movie_id,
            )  # fmt: skip
        if not any(is_film_of(movie_id, name) for name in self._films):
            logging.warning(
                "%s: no row for a film of movie %d, without which the labeling backend does not start; "
                "check.py prints the row when the film is extracted",
                self._database.aspect_ratios, movie_id,
            )  # fmt: skip
        return f"{counted(len(cast), 'actor')}, {len(cast & self._pictured)} of them with pictures"
