"""Detect and embed the faces in the pictures of an actor database, and write its files if they change.

Pictures that an earlier run embedded with the same models keep their embeddings. In a picture that was learnt
from a film no face is detected: its box and keypoints are recorded.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from facerec import __version__
from facerec.actors.database import MAX_LISTED, ActorDatabase
from facerec.actors.embeddings import to_line
from facerec.actors.pictures import read_picture
from facerec.actors.provenance import Origin, read_origins, show_last
from facerec.errors import ContractError, InputError, NonFiniteError
from facerec.folder.thumbnails import THUMBNAIL_SIDE
from facerec.geometry import Image
from facerec.models.base import Detector, Embedder, ModelCard, identity_of
from facerec.settings import RESULTS_VERSION, GallerySettings
from facerec.support.atomic import remove_stale_temporaries, sha256_of, write_changed
from facerec.support.csv_tables import set_column
from facerec.support.locks import locked
from facerec.support.text import counted


@dataclass(frozen=True)
class Prepared:
    """Result of `prepare`.

    Attributes:
        faces: number of faces found, by picture.
        sha256: of the bytes, by picture.
        embedded: number of pictures embedded in this run; the others kept their embeddings.
        written: names of the files that changed.
        same_person: distance up to which two faces are of one person, see `models.base.Embedder`.
    """

    faces: dict[str, int]
    sha256: dict[str, str]
    embedded: int
    written: tuple[str, ...]
    same_person: float


def faces_of(
    picture: Image, detector: Detector, embedder: Embedder, settings: GallerySettings | None = None
) -> NDArray[np.float32]:
    """Detect and embed the faces of one picture.

    Faces lower than a share (`FaceSettings.min_share`) of the highest one are ignored as bystanders.

    Returns:
        (n, d) embeddings, best detection score first.
    """
    (found,) = detector.detect([picture])
    heights = found.boxes[:, 3] - found.boxes[:, 1]
    share = (settings or GallerySettings()).min_share
    kept = np.flatnonzero(heights >= share * heights.max(initial=0))
    return embedder.embed([embedder.crop(picture, found.boxes[i], found.keypoints[i]) for i in kept])


def _embed_learnt(picture: Image, origin: Origin, embedder: Embedder) -> NDArray[np.float32]:
    """Embed the face of a learnt picture at its recorded place; returns (1, d)."""
    assert origin.box is not None and origin.keypoints is not None
    return embedder.embed([embedder.crop(picture, origin.box, origin.keypoints)])


def prepare(
    database: ActorDatabase,
    cards: tuple[ModelCard, ModelCard],
    load: Callable[[], tuple[Detector, Embedder]],
    settings: GallerySettings,
    advance: Callable[[int], None] = lambda n: None,
) -> Prepared:
    """Update the database's embeddings and its `n_detections` column to its pictures.

    The rows of learnt pictures are those that the labeling backend shows last, see `provenance`.

    A picture with unchanged bytes keeps its line if the same models made it; for a learnt one, which needs no
    detector, the same embedder is enough. The files change together after the last picture; a file that
    would not change is not written. A picture that cannot be read gets no embedding and counts as one without
    a face; the error is raised after the others were written.

    Args:
        cards: of detector and embedder.
        load: returns the two models; called only if a picture has to be embedded.
        advance: called with the number of pictures just done.

    Raises:
        InputError: pictures are missing or cannot be read (up to five are named), or the table of pictures
            was changed during the run. If no picture can be read, nothing is written.
        ContractError: a row of the tables cannot be used.
        NonFiniteError: a network returned NaN or an infinite number for a picture; the message names it.
    """
    rows = [row["filename"] for _, row in database.read_images()]
    table = database.images.read_bytes()
    paths = {name: database.picture(name) for name in rows}
    errors = [f"{path}: no such picture" for path in paths.values() if not path.is_file()]
    if errors and len(errors) == len(paths):
        raise _unreadable(errors, 0)
    remove_stale_temporaries(database.folder)
    hashes = {name: sha256_of(path) for name, path in paths.items() if path.is_file()}
    origins = read_origins(database).values()
    learnt = {one.filename: one for one in origins if hashes.get(one.filename) == one.sha256}
    earlier = _EarlierRun(database, cards, settings, learnt)
    embedder_facts = earlier.embedder_facts
    models: tuple[Detector, Embedder] | None = None
    if embedder_facts is None or any(not earlier.line(name, digest) for name, digest in hashes.items()):
        models = load()
        embedder_facts = {"dimension": models[1].dimension, "same_person": models[1].same_person}
    lines: dict[str, bytes] = {}
    embedded = 0
    for name in hashes:
        path = paths[name]
        line = earlier.line(name, hashes[name])
        if line is None:
            assert models is not None
            try:
                if name in learnt:
                    vectors = _embed_learnt(read_picture(path, THUMBNAIL_SIDE), learnt[name], models[1])
                else:
                    vectors = faces_of(read_picture(path, settings.max_side), *models, settings)
            except InputError as error:
                errors.append(str(error))
                continue
            except NonFiniteError as error:
                raise NonFiniteError(f"{path}: {error}") from error
            line = to_line(name, vectors)
            embedded += 1
        lines[name] = line
        advance(1)
    if errors and not lines:
        raise _unreadable(errors, 0)
    faces = {name: int(orjson.loads(line)["n"]) for name, line in lines.items()}
    meta = {
        "program": f"facerec {__version__}",
        "results_version": RESULTS_VERSION,
        "detector": asdict(cards[0]),
        "embedder": {**asdict(cards[1]), **embedder_facts},
        "settings": asdict(settings),
        "pictures": {name: hashes[name] for name in lines},
    }
    with locked(database.lock):
        if database.images.read_bytes() != table:
            raise InputError(
                f"{database.images}: changed while its pictures were embedded; run prepare_actors.py again"
            )
        written = _write(database, lines, [faces.get(name, 0) for name in rows], learnt, meta)
    if errors:
        raise _unreadable(errors, len(lines))
    return Prepared(faces, hashes, embedded, written, embedder_facts["same_person"])


class _EarlierRun:
    """Lines that an earlier run wrote and that can be kept; none if its files are not as it left them.

    Attributes:
        embedder_facts: dimension and same_person of its embedder; None if no line can be kept.
    """

    def __init__(
        self,
        database: ActorDatabase,
        cards: tuple[ModelCard, ModelCard],
        settings: GallerySettings,
        learnt: Mapping[str, Origin],
    ) -> None:
        self.embedder_facts: dict[str, Any] | None = None
        self._lines: dict[tuple[str, str], bytes] = {}
        try:
            meta = database.read_meta()
            if meta is None or not database.embeddings.is_file():
                return
            embedder_facts = {key: meta["embedder"][key] for key in ("dimension", "same_person")}
            if identity_of(meta["embedder"]) != identity_of(cards[1]):
                return
            if meta["embeddings_sha256"] != sha256_of(database.embeddings):
                return
            made_by = meta.get("results_version", 1), identity_of(meta["detector"]), meta["settings"]
            alike = made_by == (RESULTS_VERSION, identity_of(cards[0]), asdict(settings))
            lines = database.embeddings.read_bytes().split(b"\n")
            for number, faces in database.read_embeddings():
                if alike or faces.image in learnt:
                    self._lines[faces.image, meta["pictures"][faces.image]] = lines[number - 1]
            self.embedder_facts = embedder_facts
        except (ContractError, KeyError, TypeError) as error:
            logging.warning(
                "%s cannot be reused, so all pictures are embedded again: %s", database.embeddings, error
            )

    def line(self, name: str, sha256: str) -> bytes | None:
        """Return the line of a picture with these bytes; None if it has to be embedded."""
        return self._lines.get((name, sha256)) if self.embedder_facts else None


def _unreadable(errors: Sequence[str], embedded: int) -> InputError:
    """Return one error for all pictures that cannot be read.

    Args:
        embedded: number of pictures that have embeddings.
    """
    more = f"; and {len(errors) - MAX_LISTED} more" if len(errors) > MAX_LISTED else ""
    kept = f"; the other {counted(embedded, 'picture is', 'pictures are')} embedded" if embedded else ""
    remedy = ". Replace the picture or remove its row, and run prepare_actors.py again"
    return InputError("; ".join(errors[:MAX_LISTED]) + more + kept + remedy)


def _write(
    database: ActorDatabase,
    lines: Mapping[str, bytes],
    column: list[int],
    learnt: Collection[str],
    made: dict[str, Any],
) -> tuple[str, ...]:
    """Write the files that change, all or none; returns their names.

    Args:
        lines: of the embeddings file, by picture; column: number of faces in each row of the table.
        learnt: file names of the pictures learnt from films.
        made: content of the meta file but for the time and the embeddings' hash.
    """
    embeddings = b"".join(line + b"\n" for line in lines.values())
    meta = {**made, "embeddings_sha256": sha256(embeddings).hexdigest()}
    try:
        before = database.read_meta() or {}
    except ContractError:  # it is replaced below
        before = {}
    made_at = datetime.now(UTC).isoformat(timespec="seconds")
    if all(before.get(key) == value for key, value in meta.items()):
        made_at = before.get("made_at", made_at)
    meta_bytes = orjson.dumps({"made_at": made_at, **meta}, option=orjson.OPT_INDENT_2) + b"\n"
    table = set_column(database.images.read_bytes().decode(), "n_detections", column)
    # in this order: the meta file never describes embeddings that are not written yet
    changed = write_changed(
        {
            database.images: show_last(table, learnt).encode(),
            database.embeddings: embeddings,
            database.embeddings_meta: meta_bytes,
        }
    )
    return tuple(path.name for path in changed)
