"""Pictures of actors into vectors: what `prepare_actors.py` writes, and only where something changed.

In a picture that was learnt from a film nothing is searched: where its face is, is known.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from facerec import __version__
from facerec.actors.database import LISTED, ActorDatabase
from facerec.actors.pictures import read_picture
from facerec.actors.provenance import Origin, read_origins
from facerec.errors import ContractError, InputError
from facerec.folder.thumbnails import THUMBNAIL_SIDE
from facerec.geometry import Image
from facerec.models.base import Detector, Embedder, ModelCard
from facerec.settings import GallerySettings
from facerec.support.atomic import remove_stale_temporaries, sha256_of, write_changed
from facerec.support.csv_tables import set_column
from facerec.support.locks import locked

_PROGRAM = f"facerec {__version__}"


@dataclass(frozen=True)
class Prepared:
    """What became of a database's pictures.

    Attributes:
        faces: number of faces found in each picture.
        sha256: of each picture's bytes.
        fresh: how many pictures were embedded now; the others are as they were.
        written: names of the files that changed.
        same_person: the embedder's distance, see `models.base.Embedder`.
    """

    faces: dict[str, int]
    sha256: dict[str, str]
    fresh: int
    written: tuple[str, ...]
    same_person: float


def faces_of(
    picture: Image, detector: Detector, embedder: Embedder, settings: GallerySettings | None = None
) -> NDArray[np.float32]:
    """The vectors (n, d) of the faces of one picture that count, best score first."""
    (found,) = detector.detect([picture])
    heights = found.boxes[:, 3] - found.boxes[:, 1]
    share = (settings or GallerySettings()).min_share
    counted = np.flatnonzero(heights >= share * heights.max(initial=0))
    return embedder.embed([embedder.crop(picture, found.boxes[i], found.keypoints[i]) for i in counted])


def _learnt_face(picture: Image, origin: Origin, embedder: Embedder) -> NDArray[np.float32]:
    """The vector (1, d) of the face of a learnt picture."""
    assert origin.box is not None and origin.keypoints is not None
    return embedder.embed([embedder.crop(picture, origin.box, origin.keypoints)])


def embedding_line(name: str, vectors: NDArray[np.float32]) -> bytes:
    """The line of `actor_embeddings.jsonl` of a picture with faces `vectors` (n, d), without newline."""
    record = {"image": name, "n": len(vectors), "faces": [{"vector": row} for row in vectors]}
    return orjson.dumps(record, option=orjson.OPT_SERIALIZE_NUMPY)


def prepare(
    database: ActorDatabase,
    cards: tuple[ModelCard, ModelCard],
    load: Callable[[], tuple[Detector, Embedder]],
    settings: GallerySettings,
    advance: Callable[[int], None] = lambda n: None,
) -> Prepared:
    """Bring the database's embeddings and its `n_detections` column up to its pictures.

    A picture whose bytes are known keeps its line if the same models made it; a learnt one, for which no
    detector was needed, if the same embedder did. The files change together, after everything
    succeeded, and not at all where they would be as before.

    Args:
        cards: of the detector and the embedder.
        load: gives the two models; only called where a picture is not known.
        advance: called with the number of pictures just done.

    Raises:
        InputError: pictures are missing or cannot be read; up to five are named. Or the table changed.
        ContractError: a row of the tables cannot be used.
    """
    rows = [row["filename"] for _, row in database.read_images()]
    table = database.images.read_bytes()
    paths = {name: database.picture(name) for name in rows}
    _refuse([f"{path}: no such picture" for path in paths.values() if not path.is_file()])
    remove_stale_temporaries(database.folder)
    hashes = {name: sha256_of(path) for name, path in paths.items()}
    judged = read_origins(database).values()
    learnt = {one.filename: one for one in judged if hashes.get(one.filename) == one.sha256}
    known = _Known(database, cards, settings, learnt)
    embedder_says = known.embedder_says
    models: tuple[Detector, Embedder] | None = None
    if embedder_says is None or any(not known.line(name, digest) for name, digest in hashes.items()):
        models = load()
        embedder_says = {"dimension": models[1].dimension, "same_person": models[1].same_person}
    lines: dict[str, bytes] = {}
    fresh, wrong = 0, []
    for name, path in paths.items():
        line = known.line(name, hashes[name])
        if line is None:
            assert models is not None
            try:
                if name in learnt:
                    vectors = _learnt_face(read_picture(path, THUMBNAIL_SIDE), learnt[name], models[1])
                else:
                    vectors = faces_of(read_picture(path, settings.max_side), *models, settings)
            except InputError as error:
                wrong.append(str(error))
                continue
            line = embedding_line(name, vectors)
            fresh += 1
        lines[name] = line
        advance(1)
    _refuse(wrong)
    faces = {name: int(orjson.loads(line)["n"]) for name, line in lines.items()}
    meta = {
        "program": _PROGRAM,
        "detector": asdict(cards[0]),
        "embedder": {**asdict(cards[1]), **embedder_says},
        "settings": asdict(settings),
        "pictures": hashes,
    }
    with locked(database.lock):
        if database.images.read_bytes() != table:
            raise InputError(f"{database.images}: changed while its pictures were embedded; run this again")
        written = _write(database, lines, [faces[name] for name in rows], meta)
    return Prepared(faces, hashes, fresh, written, embedder_says["same_person"])


class _Known:
    """What an earlier run found; nothing where anything about it is unsure."""

    def __init__(
        self,
        database: ActorDatabase,
        cards: tuple[ModelCard, ModelCard],
        settings: GallerySettings,
        learnt: Mapping[str, Origin],
    ) -> None:
        self.embedder_says: dict[str, Any] | None = None
        self._lines: dict[tuple[str, str], bytes] = {}
        try:
            meta = database.read_meta()
            if meta is None or not database.embeddings.is_file():
                return
            embedder_says = {key: meta["embedder"][key] for key in ("dimension", "same_person")}
            if meta["embedder"] != {**asdict(cards[1]), **embedder_says}:
                return
            if meta["embeddings_sha256"] != sha256_of(database.embeddings):
                return
            made_by = meta["program"], meta["detector"], meta["settings"]
            alike = made_by == (_PROGRAM, asdict(cards[0]), asdict(settings))
            lines = database.embeddings.read_bytes().split(b"\n")
            for number, faces in database.read_embeddings():
                if alike or faces.image in learnt:
                    self._lines[faces.image, meta["pictures"][faces.image]] = lines[number - 1]
            self.embedder_says = embedder_says
        except (ContractError, KeyError, TypeError) as error:
            logging.warning("%s is not used, all pictures are embedded again: %s", database.embeddings, error)

    def line(self, name: str, sha256: str) -> bytes | None:
        return self._lines.get((name, sha256)) if self.embedder_says else None


def _refuse(wrong: list[str]) -> None:
    if wrong:
        more = f"; and {len(wrong) - LISTED} more" if len(wrong) > LISTED else ""
        raise InputError("; ".join(wrong[:LISTED]) + more)


def _write(
    database: ActorDatabase, lines: Mapping[str, bytes], column: list[int], made: dict[str, Any]
) -> tuple[str, ...]:
    """Replace the files that change, all of them or none, and return their names."""
    embeddings = b"".join(line + b"\n" for line in lines.values())
    meta = {**made, "embeddings_sha256": sha256(embeddings).hexdigest()}
    try:
        before = database.read_meta() or {}
    except ContractError:  # about to be replaced
        before = {}
    made_at = datetime.now(UTC).isoformat(timespec="seconds")
    if all(before.get(key) == value for key, value in meta.items()):
        made_at = before.get("made_at", made_at)
    said = orjson.dumps({"made_at": made_at, **meta}, option=orjson.OPT_INDENT_2) + b"\n"
    table = set_column(database.images.read_bytes().decode(), "n_detections", column).encode()
    # in this order: nothing is said of vectors that are not there yet
    changed = write_changed(
        {database.images: table, database.embeddings: embeddings, database.embeddings_meta: said}
    )
    return tuple(path.name for path in changed)
