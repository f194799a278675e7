"""The actor database: its file names, and readers that trust nothing that others wrote into it.

`actors.csv` says who plays in which movie, `actor_images.csv` whose picture is which, and
`actor_embeddings.jsonl` what the faces in those pictures look like to an embedder. All are read as
streams, so a table of a million rows costs no more memory than the rows that are wanted, and whatever
cannot be used is refused with its file and line.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facerec.errors import ContractError, InputError
from facerec.folder.layout import MovieFolder
from facerec.folder.manifest import read_manifest
from facerec.support.atomic import sha256_of
from facerec.support.csv_tables import read_table, read_text_lines

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
import re
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    pass

MAX_LINE_BYTES = 8 << 20  # of the embeddings: a picture of a hundred faces still fits
LISTED = 5  # pictures that one message names
MAX_ID_LENGTH = 64  # characters; the labeling backend's column
MAX_FILENAME_LENGTH = 255  # characters; what file systems take
MAX_DIMENSION = 1 << 14  # of an embedding

ACTOR_COLUMNS = ("movie_id", "movie_name", "movie_year", "id", "name", "role", "birthday", "birthplace")
IMAGE_COLUMNS = ("actor_id", "movie_id", "filename")  # prepare_actors.py adds n_detections


@dataclass(frozen=True)
class PictureFaces:
    """A line of `actor_embeddings.jsonl`.

    Attributes:
        image: the picture's file name.
        vectors: (n, d) float32, one row per face found, Euclidean length 1.
    """

    image: str
    vectors: NDArray[np.float32]


@dataclass(frozen=True)
class Gallery:
    """The known faces that a name may be given by.

    Attributes:
        actors: ids, character for character as in `actors.csv`, in its order; those without a usable
            picture are left out.
        vectors: (m, d) float32, Euclidean length 1.
        actor_of: (m,) int64, index into `actors`.
        images: file name of each of the m pictures.
    """

    actors: tuple[str, ...]
    vectors: NDArray[np.float32]
    actor_of: NDArray[np.int64]
    images: tuple[str, ...]


class ActorDatabase:
    """Paths and readers of an actor database folder; nobody else spells its file names.

    Raises (all readers):
        InputError: a file is missing.
        ContractError: naming file, line and rule, for whatever cannot be used.
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
        self.lock = self.folder / ".lock"

    def picture(self, filename: str) -> Path:
        """Where the picture called `filename` lies; a name that leads out of the folder is refused."""
        return self.pictures / _inside(filename, self.images, None)

    def read_actors(self) -> Iterator[tuple[int, int, dict[str, str]]]:
        """Line, movie id and cells of every row of `actors.csv`; ids are strings, kept as they are."""
        for line, row in read_table(self.actors, ACTOR_COLUMNS):
            _check_id(row["id"], "id", self.actors, line)
            yield line, _movie_id(row["movie_id"], self.actors, line), row

    def read_images(self) -> Iterator[tuple[int, dict[str, str]]]:
        """Line and cells of every row of `actor_images.csv`."""
        for line, row in read_table(self.images, IMAGE_COLUMNS):
            _check_id(row["actor_id"], "actor_id", self.images, line)
            _inside(row["filename"], self.images, line)
            yield line, row

    def read_embeddings(self, dimension: int | None = None) -> Iterator[tuple[int, PictureFaces]]:
        """Line and faces of every picture; all vectors must have `dimension` (default: the first's)."""
        import orjson

        path = self.embeddings
        for line, text in read_text_lines(path, MAX_LINE_BYTES):
            if not text.strip():
                continue
            try:
                record = orjson.loads(text)
            except orjson.JSONDecodeError as error:
                raise ContractError(path, f"is not JSON, which has no NaN either ({error})", line) from None
            faces = _picture_faces(record, dimension, path, line)
            if len(faces.vectors):
                dimension = faces.vectors.shape[1]
            yield line, faces

    def read_meta(self) -> dict[str, Any] | None:
        """What made the embeddings: `{"embedder": {"kind", "sha256", "dimension", …}, …}`; None if unsaid."""
        import orjson

        path = self.embeddings_meta
        if not path.exists():
            return None
        try:
            meta = orjson.loads(path.read_bytes())
        except orjson.JSONDecodeError as error:
            raise ContractError(path, f"is not JSON ({error}); run prepare_actors.py again") from None
        embedder = meta.get("embedder") if isinstance(meta, dict) else None
        if not isinstance(embedder, dict) or not {"kind", "sha256", "dimension"} <= embedder.keys():
            rule = "must say the embedder's kind, sha256 and dimension; run prepare_actors.py again"
            raise ContractError(path, rule)
        return dict(meta)

    def check_embedder(self, embedder: Mapping[str, Any], maker: Path) -> None:
        """Refuse embeddings of another embedder than `embedder`, which made those of `maker`.

        Args:
            embedder: kind, sha256 and dimension, as the movie folder's manifest has them.

        Raises:
            InputError: naming both.
        """
        meta = self.read_meta()
        if meta is None:
            logging.warning(
                "%s does not exist: only the dimension can tell whether %s were made by %s, as %s was",
                self.embeddings_meta, self.embeddings.name, embedder["kind"], maker,
            )  # fmt: skip
            return
        other = meta["embedder"]
        if any(other[key] != embedder[key] for key in ("kind", "sha256", "dimension")):
            raise InputError(
                f"{self.embeddings} was made with {_describe(other)}, but {maker} with "
                f"{_describe(embedder)}; run prepare_actors.py --actor-db {self.folder} "
                f"--embedder {embedder['kind']}, or use another --actor-db"
            )

    def outdated(self, gallery: Gallery) -> list[str]:
        """Names of what changed since `prepare_actors.py` ran: the embeddings, pictures of the gallery.

        Nothing where it is not known who made the embeddings; a picture that is not there is no other one.
        """
        meta = self.read_meta() or {}
        made = meta.get("embeddings_sha256")
        changed = [self.embeddings.name] if made and made != sha256_of(self.embeddings) else []
        pictures = meta.get("pictures")
        known = pictures if isinstance(pictures, dict) else {}
        there = [image for image in gallery.images if image in known and self.picture(image).is_file()]
        return changed + [image for image in there if sha256_of(self.picture(image)) != known[image]]

    def cast(self, movie_id: int | None) -> dict[str, str]:
        """Id → name of every actor of a movie (None: of all), in the order of the table."""
        cast: dict[str, str] = {}
        for line, movie, row in self.read_actors():
            if movie_id not in (None, movie):
                continue
            name = cast.setdefault(row["id"], row["name"])
            if movie_id is not None and name != row["name"]:  # elsewhere it may be spelt otherwise
                rule = f"duplicate: id {row['id']!r} is {name!r} in an earlier line, {row['name']!r} here"
                raise ContractError(self.actors, rule, line)
        return cast

    def gallery(self, movie_id: int | None = None, dimension: int | None = None) -> Gallery:
        """The usable faces of a movie's cast (None: of everybody).

        A picture is usable if it shows exactly one face and `actor_images.csv` ties it to exactly one
        actor, for whatever movie. `dimension` is what every vector of the file must have.
        """
        import numpy as np

        cast = self.cast(movie_id)
        owner: dict[str, str] = {}
        for _, row in self.read_images() if cast else ():
            if row["actor_id"] in cast:
                owner.setdefault(row["filename"], row["actor_id"])
        # a second pass finds the pictures that somebody else claims as well, without keeping the table
        for _, row in self.read_images() if owner else ():
            if owner.get(row["filename"], row["actor_id"]) != row["actor_id"]:
                del owner[row["filename"]]
        found: dict[str, NDArray[np.float32]] = {}
        seen: set[str] = set()
        for line, faces in self.read_embeddings(dimension):
            dimension = faces.vectors.shape[1] if len(faces.vectors) else dimension
            if faces.image not in owner:
                continue
            if faces.image in seen:
                rule = f"duplicate: picture {faces.image!r} has an earlier line as well"
                raise ContractError(self.embeddings, rule, line)
            seen.add(faces.image)
            if len(faces.vectors) == 1:
                found[faces.image] = faces.vectors[0]
        if unseen := sorted(owner.keys() - seen):
            logging.warning(
                "%s has no line of %d pictures of the cast (%s); run prepare_actors.py",
                self.embeddings, len(unseen), ", ".join(unseen[:LISTED]),
            )  # fmt: skip
        images = sorted(found)  # the order of the lines is nobody's business
        pictured = {owner[image] for image in images}
        actors = tuple(actor for actor in cast if actor in pictured)
        index = {actor: i for i, actor in enumerate(actors)}
        vectors = np.array([found[image] for image in images], np.float32)
        actor_of = np.array([index[owner[image]] for image in images], np.int64)
        return Gallery(actors, vectors.reshape(len(images), dimension or 0), actor_of, tuple(images))


def _picture_faces(record: object, dimension: int | None, path: Path, line: int) -> PictureFaces:
    """Check one line of the embeddings and bring its vectors to length 1."""
    import numpy as np

    if not isinstance(record, dict) or not {"image", "n", "faces"} <= record.keys():
        raise ContractError(path, 'must be an object with the keys "image", "n" and "faces"', line)
    image, n, faces = record["image"], record["n"], record["faces"]
    if not isinstance(image, str):
        raise ContractError(path, '"image" must be a file name', line)
    _inside(image, path, line)
    if type(n) is not int or not isinstance(faces, list) or len(faces) != n:
        raise ContractError(path, '"n" must be the number of entries of the list "faces"', line)
    rows = []
    for face in faces:
        vector = face.get("vector") if isinstance(face, dict) else None
        if not isinstance(vector, list) or not all(type(x) is float or type(x) is int for x in vector):
            raise ContractError(path, 'every face must have a "vector", a list of numbers', line)
        if not vector or len(vector) > MAX_DIMENSION or len(vector) != (dimension or len(vector)):
            wanted = dimension or f"1 to {MAX_DIMENSION}"
            raise ContractError(path, f"the vector has {len(vector)} numbers instead of {wanted}", line)
        dimension = len(vector)
        row = np.array(vector, np.float64)
        with np.errstate(over="ignore"):
            length = float(np.sqrt(np.square(row).sum()))
        if not 1e-6 < length < 1e6:  # NaN fails as well
            raise ContractError(path, "the vector is all zero or absurdly large", line)
        rows.append(row / length)
    return PictureFaces(image, np.array(rows, np.float32).reshape(n, (dimension or 0) if n else 0))


def _movie_id(cell: str, path: Path, line: int) -> int:
    if not (cell.isascii() and cell.isdigit() and len(cell) <= 10 and int(cell) < 2**31):
        raise ContractError(path, f"movie_id {cell[:40]!r} is not an integer in 0..2147483647", line)
    return int(cell)


def _check_id(value: str, column: str, path: Path, line: int) -> None:
    if not 0 < len(value) <= MAX_ID_LENGTH:
        rule = f"{column} must have 1 to {MAX_ID_LENGTH} characters, not {len(value)}"
        raise ContractError(path, rule, line)


def _inside(filename: str, path: Path, line: int | None) -> str:
    """`filename` itself, if it cannot lead out of the folder that it is joined to."""
    parts = filename.split("/")
    odd = "\\" in filename or "\0" in filename or len(filename) > MAX_FILENAME_LENGTH
    if odd or not {"", ".", ".."}.isdisjoint(parts):
        raise ContractError(path, f"{filename[:80]!r} is no file name inside the pictures' folder", line)
    return filename


def _describe(embedder: Mapping[str, Any]) -> str:
    return f"{embedder['kind']} ({embedder['dimension']}-d, weights {str(embedder['sha256'])[:12]})"


ASPECT_COLUMNS = ("filename", "display_width", "display_height")


def read_aspect_ratio(table: Path, film_name: str) -> Fraction | None:
    """The display aspect ratio of a film by `aspect_ratios.csv`; None if it has no row for it.

    Raises:
        ContractError: a column is missing; a size is empty, zero or no integer; a film has two rows.
    """
    found, seen = None, set()
    for line, row in read_table(table, ASPECT_COLUMNS):
        name, *sides = (row[column].strip() for column in ASPECT_COLUMNS)
        if not all(re.fullmatch(r"0*[1-9][0-9]{0,8}", side) for side in sides):
            rule = f"{name!r} is {sides[0]!r} x {sides[1]!r}; both must be integers above 0"
            raise ContractError(table, rule, line)
        if name in seen:
            raise ContractError(table, f"{name!r} has a second row; keep one", line)
        seen.add(name)
        if name == film_name:
            found = Fraction(int(sides[0]), int(sides[1]))
    return found


def cast_names(folder: MovieFolder, database: ActorDatabase) -> dict[str, str]:
    """Read the names of actors by id.

    Returns:
        The cast that the manifest records, updated by the movie's cast in the database if that exists.
    """
    report = read_manifest(folder)["stages"].get("classify_knn", {}).get("report", {})
    cast = report.get("cast", {})
    names = {actor: str(name) for actor, name in cast.items()} if isinstance(cast, dict) else {}
    return names | (database.cast(folder.movie_id) if database.actors.exists() else {})
