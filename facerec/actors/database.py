"""The actor database: its file names, its readers and the gallery that names are taken from.

`actors.csv` says who plays in which movie, `actor_images.csv` which picture shows which actor, and
`actor_embeddings.jsonl` holds the embeddings of the faces in the pictures. Tables are read as streams:
memory grows with the rows that are used, not with the table. A row that cannot be used is an error with
file and line.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerec.actors.embeddings import PictureFaces, describe_embedder, read_embeddings, read_meta
from facerec.actors.pictures import checked_filename
from facerec.errors import ContractError, InputError
from facerec.folder.names import existing_path
from facerec.support.atomic import sha256_of
from facerec.support.csv_tables import read_table
from facerec.support.shell import add_movie_command, option, prepare_command
from facerec.support.text import counted

MAX_LISTED = 5  # pictures named in one message
MAX_ID_LENGTH = 64  # characters, the width of the labeling backend's column

ACTOR_COLUMNS = ("movie_id", "movie_name", "movie_year", "id", "name", "role", "birthday", "birthplace")
IMAGE_COLUMNS = ("actor_id", "movie_id", "filename")  # prepare_actors.py adds n_detections
DO_NOT_NAME = "do_not_name"  # column of actors.csv that users may add
_YES, _NO = ("1", "yes", "y", "true", "x"), ("", "0", "no", "n", "false")


@dataclass(frozen=True)
class Gallery:
    """Reference pictures of actors, one face each.

    Attributes:
        actors: ids exactly as in `actors.csv` and in its order, without actors that have no usable picture.
        vectors: (m, d) float32, L2-normalised embedding of each picture's face.
        actor_of: (m,) int64, index into `actors`.
        images: (m,) file names.
        years: (m,) float64, in which each picture was taken, by the column `year`; NaN where unknown.
    """

    actors: tuple[str, ...]
    vectors: NDArray[np.float32]
    actor_of: NDArray[np.int64]
    images: tuple[str, ...]
    years: NDArray[np.float64]


class ActorDatabase:
    """Paths and readers of an actor database folder.

    Raises (all readers):
        InputError: a file is missing.
        ContractError: a row or line cannot be used; the message has file, line and rule.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self.actors = self.folder / "actors.csv"
        self.images = self.folder / "actor_images.csv"
        self.pictures = self.folder / "actor_images"
        self.embeddings = self.folder / "actor_embeddings.jsonl"
        self.embeddings_meta = self.folder / "actor_embeddings.meta.json"
        self.origins = self.folder / "actor_origins.csv"
        self.aspect_ratios = self.folder / "aspect_ratios.csv"
        self.stills = self.folder / "stills"  # proposals of add_movie.py --still, a folder for each movie
        self.lock = self.folder / ".lock"

    def picture(self, filename: str) -> Path:
        """Return the path of a picture, in whichever Unicode form its file is named.

        A name that leads out of the folder is an error.
        """
        return existing_path(self.pictures / checked_filename(filename, self.images, None))

    def read_actors(self) -> Iterator[tuple[int, int, dict[str, str]]]:
        """Yield line number, movie id and cells of every row of `actors.csv`; actor ids stay strings."""
        for line, row in read_table(self.actors, ACTOR_COLUMNS):
            _check_id(row["id"], "id", self.actors, line)
            yield line, _movie_id(row["movie_id"], self.actors, line), row

    def read_images(self) -> Iterator[tuple[int, dict[str, str]]]:
        """Yield line number and cells of every row of `actor_images.csv`."""
        for line, row in read_table(self.images, IMAGE_COLUMNS):
            _check_id(row["actor_id"], "actor_id", self.images, line)
            checked_filename(row["filename"], self.images, line)
            yield line, row

    def read_embeddings(self, dimension: int | None = None) -> Iterator[tuple[int, PictureFaces]]:
        """Yield line number and faces of every picture, see `embeddings.read_embeddings`."""
        return read_embeddings(self.embeddings, dimension)

    def read_meta(self) -> dict[str, Any] | None:
        """Read what made the embeddings, see `embeddings.read_meta`."""
        return read_meta(self.embeddings_meta)

    def check_embedder(self, embedder: Mapping[str, Any], made: Path | str) -> None:
        """Check that the embeddings were made by the embedder of a movie folder.

        Args:
            embedder: kind, sha256 and dimension, as in the folder's manifest; the last two may be absent.
            made: path of the folder, or the subject of a clause that ends in `with <embedder>`.

        Raises:
            InputError: they were made by another embedder.
        """
        meta = self.read_meta()
        if meta is None and not self.embeddings.exists():
            return
        if meta is None:
            logging.warning(
                "%s does not exist: cannot check that %s was made with %s, the embedder of %s; "
                "only the dimension is compared",
                self.embeddings_meta, self.embeddings.name, embedder["kind"], made,
            )  # fmt: skip
            return
        other = meta["embedder"]
        known = [key for key in ("kind", "sha256", "dimension") if embedder.get(key) is not None]
        if any(other[key] != embedder[key] for key in known):
            raise InputError(
                f"{self.embeddings} was made with {describe_embedder(other)}, but {made} with "
                f"{describe_embedder(embedder)}; run {prepare_command(self.folder, embedder['kind'])}, "
                f"or use another {option('--actor-db', 'DIR')}"
            )

    def outdated(self, gallery: Gallery) -> list[str]:
        """Return the names of files that changed since `prepare_actors.py` ran: embeddings and pictures.

        Without `actor_embeddings.meta.json` nothing is known to have changed. Missing pictures are ignored.
        """
        meta = self.read_meta() or {}
        recorded = meta.get("embeddings_sha256")
        changed = [self.embeddings.name] if recorded and recorded != sha256_of(self.embeddings) else []
        pictures = meta.get("pictures")
        known = pictures if isinstance(pictures, dict) else {}
        present = [image for image in gallery.images if image in known and self.picture(image).is_file()]
        return changed + [image for image in present if sha256_of(self.picture(image)) != known[image]]

    def cast(self, movie_id: int | None) -> dict[str, str]:
        """Read the names by id of a movie's actors (None: of all movies), in the order of the table."""
        if movie_id is not None:
            return self.casts([movie_id])[movie_id]
        names: dict[str, str] = {}
        for _, _, row in self.read_actors():  # movies may spell a name differently
            names.setdefault(row["id"], row["name"])
        return names

    def casts(self, movies: Collection[int]) -> dict[int, dict[str, str]]:
        """Read the casts of several movies in one pass, each as `cast` returns it."""
        casts: dict[int, dict[str, str]] = {movie: {} for movie in movies}
        for line, movie, row in self.read_actors():
            if movie not in casts:
                continue
            name = casts[movie].setdefault(row["id"], row["name"])
            if name != row["name"]:
                rule = f"duplicate: id {row['id']!r} is {name!r} in an earlier line, but {row['name']!r} here"
                raise ContractError(self.actors, rule, line)
        return casts

    def unnamed(self) -> dict[str, list[str]]:
        """Read the people who must not be named anywhere: all spellings of their names, by id.

        A yes in the column `do_not_name` holds for all rows of that id, in all movies.
        """
        spellings: dict[str, list[str]] = {}
        found = set()
        for line, _, row in self.read_actors() if self.actors.exists() else ():
            if DO_NOT_NAME not in row:
                break
            names = spellings.setdefault(row["id"], [])
            if row["name"] not in names:
                names.append(row["name"])
            cell = row[DO_NOT_NAME].strip().lower()
            if cell in _YES:
                found.add(row["id"])
            elif cell not in _NO:
                raise ContractError(self.actors, f"{DO_NOT_NAME} {cell[:40]!r} is neither yes nor no", line)
        return {actor: names for actor, names in spellings.items() if actor in found}

    def gallery(self, movie_id: int | None = None, dimension: int | None = None) -> Gallery:
        """Build the gallery of a movie's cast.

        A picture is usable if exactly one face was found in it and `actor_images.csv` gives it to exactly
        one actor, in any movie.

        Args:
            movie_id: None: all actors.
            dimension: of every embedding in the file; None: that of the first.
        """
        cast = self.cast(movie_id)
        owner: dict[str, str] = {}
        year_of: dict[str, float] = {}
        for _, row in self.read_images() if cast else ():
            if row["actor_id"] in cast:
                owner.setdefault(row["filename"], row["actor_id"])
                if (year := row.get("year", "").strip()).isdecimal() and len(year) == 4:
                    year_of[row["filename"]] = float(year)
        # second pass: drop pictures that another actor has as well, without keeping the table in memory
        for _, row in self.read_images() if owner else ():
            if owner.get(row["filename"], row["actor_id"]) != row["actor_id"]:
                del owner[row["filename"]]
        found: dict[str, NDArray[np.float32]] = {}
        seen: set[str] = set()
        for line, faces in self.read_embeddings(dimension) if owner or self.embeddings.exists() else ():
            dimension = faces.vectors.shape[1] if len(faces.vectors) else dimension
            if faces.image not in owner:
                continue
            if faces.image in seen:
                rule = f"duplicate: picture {faces.image!r} has an earlier line"
                raise ContractError(self.embeddings, rule, line)
            seen.add(faces.image)
            if len(faces.vectors) == 1:
                found[faces.image] = faces.vectors[0]
        if missing := sorted(owner.keys() - seen):
            logging.warning(
                "%s has no line for %s of the cast (%s); run prepare_actors.py",
                self.embeddings, counted(len(missing), "picture"), ", ".join(missing[:MAX_LISTED]),
            )  # fmt: skip
        images = sorted(found)  # independent of the order of the lines
        pictured = {owner[image] for image in images}
        actors = tuple(actor for actor in cast if actor in pictured)
        index = {actor: i for i, actor in enumerate(actors)}
        vectors = np.array([found[image] for image in images], np.float32)
        actor_of = np.array([index[owner[image]] for image in images], np.int64)
        years = np.array([year_of.get(image, np.nan) for image in images], np.float64)
        return Gallery(actors, vectors.reshape(len(images), dimension or 0), actor_of, tuple(images), years)

    def empty(self) -> str:
        """Return the clause that says that the database has nobody, with the command that adds a cast."""
        add = add_movie_command(self.folder)
        return f"{self.actors} has no row, so nobody can be named; add a movie's cast: {add}"

    def unlisted(self, movie_id: int) -> str:
        """Return the clause that says that a movie has no row in `actors.csv`."""
        return (
            f"{self.actors.name} has no row for movie {movie_id}, so no cluster gets a name, and the "
            "labeling backend does not start with its folder; add its cast: "
            f"{add_movie_command(self.folder, movie_id)}"
        )

    def without_pictures(
        self, gallery: Gallery, movie_id: int | None, cast: Mapping[str, str] | None = None
    ) -> list[str]:
        """Return a sentence for each actor of a movie (None: of all movies) who has no picture in `gallery`.

        One sentence for all if no actor has one.

        Args:
            cast: names of the movie's actors by id; None to read them.
        """
        cast = self.cast(movie_id) if cast is None else cast
        if not cast:
            return [self.unlisted(movie_id) if movie_id is not None else self.empty()]
        if cast.keys().isdisjoint(gallery.actors):
            movie = f"movie {movie_id}" if movie_id is not None else f"{self.actors.name}"
            return [f"no actor of {movie} has a usable picture, so no cluster gets a name"]
        return [
            f"no usable picture of {name} ({actor}): cannot be named"
            for actor, name in cast.items()
            if actor not in gallery.actors
        ]


def _movie_id(cell: str, path: Path, line: int) -> int:
    """Parse a movie id."""
    if not (cell.isascii() and cell.isdigit() and len(cell) <= 10 and int(cell) < 2**31):
        raise ContractError(path, f"movie_id {cell[:40]!r} is not an integer in 0..2147483647", line)
    return int(cell)


def _check_id(value: str, column: str, path: Path, line: int) -> None:
    """Raise unless an actor id has an allowed length."""
    if not 0 < len(value) <= MAX_ID_LENGTH:
        rule = f"{column} must have 1 to {MAX_ID_LENGTH} characters, not {len(value)}"
        raise ContractError(path, rule, line)
