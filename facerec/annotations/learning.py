"""Faces that annotators confirmed, turned into pictures of the actor database."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import orjson
from numpy.typing import NDArray

from facerec.actors.database import ActorDatabase
from facerec.actors.embed import embedding_line
from facerec.actors.provenance import Origin, origins_bytes, read_origins
from facerec.annotations.export import Annotation, plain_name, read_export
from facerec.errors import ContractError, InputError
from facerec.folder.layout import MovieFolder
from facerec.folder.manifest import checked_inputs, read_embedder
from facerec.folder.readers import read_faces, read_trajectories
from facerec.folder.records import Feature
from facerec.folder.thumbnails import thumbnail_region
from facerec.people.quality import qualities
from facerec.settings import LearnSettings, VectorSettings
from facerec.support.atomic import remove_stale_temporaries, sha256_of, write_changed
from facerec.support.csv_tables import replace_rows
from facerec.support.locks import locked

_LISTED = 5  # labels without an actor that a warning names; a film has hundreds of extras
_PREPARE = "run prepare_actors.py first, with the models that the films are extracted with"


@dataclass(frozen=True)
class Confirmed:
    """A saved face of which people said that it shows `actor`; `quality` 0..1 is its worth."""

    face: Feature
    actor: str
    trajectory: int
    quality: float


def learn_folder(
    folder: MovieFolder, labels: Path, database: ActorDatabase, settings: LearnSettings | None = None
) -> str:
    """Add a movie's confirmed faces to the actor database; returns what was done, as one line.

    All files change together, or none does; a face is learnt once, and a rejected one never, whatever
    later labels say. A learnt face that is rejected now, or somebody else's, leaves the database.

    Raises:
        InputError: the database was made with another embedder, or by an unknown one.
        StaleError: the folder's files are not those that the merge made.
        ContractError: a row of the labels or of the database, or a line of the folder, cannot be used.
    """
    checked_inputs(folder, "cluster")
    trajectories = read_trajectories(folder.trajectories, folder.movie_id)
    rows = list(read_export(labels, folder.movie_id, trajectories))
    with locked(database.lock):
        meta = _checked_meta(database, folder)
        before = read_origins(database)
        rejected = {row.tag for row in rows if row.image_status in ("different", "invalid")}
        rejected |= {tag for tag, one in before.items() if not one.learnt}
        actors = _confirmed(rows, rejected, database, folder.movie_id, labels)
        after = {
            tag: one
            for tag, one in before.items()
            if one.learnt and tag not in rejected and actors.get(tag, one.actor_id) == one.actor_id
        }
        new = [row for row in rows if row.tag in actors and row.tag not in after]
        taken = Counter(one.actor_id for one in after.values() if one.movie_id == folder.movie_id)
        chosen = choose(_faces(folder, new, actors, labels), taken, settings or LearnSettings())
        pictures = {_filename(one.face.tag): _picture(folder, one.face) for one in chosen}
        for one in chosen:
            after[one.face.tag] = _origin(one, pictures[_filename(one.face.tag)])
        gone = {one.filename for tag, one in before.items() if one.learnt and after.get(tag) is not one}
        after |= {tag: Origin(tag) for tag in sorted(rejected)}
        changed = _write(database, meta, folder.movie_id, chosen, pictures, gone, after)
    learnt = Counter(one.actor for one in chosen)
    return (
        f"{len(actors)} faces confirmed, {len(chosen)} of {len(learnt)} actors learnt, "
        f"{len(gone - pictures.keys())} taken back, {sum(not one.learnt for one in after.values())} kept out"
        f"{'' if changed else '; nothing changed'}"
    )


def choose(faces: Iterable[Confirmed], taken: Mapping[str, int], settings: LearnSettings) -> list[Confirmed]:
    """The best faces of each actor: every trajectory's best before any trajectory's second.

    Two faces of one trajectory look alike, so the second teaches little.

    Args:
        taken: how many faces of each actor are learnt already.
    """
    ranked = []
    of_trajectory: Counter[int] = Counter()
    for one in sorted(faces, key=lambda one: (-one.quality, one.face.frame, one.face.box)):
        ranked.append((of_trajectory[one.trajectory], one))
        of_trajectory[one.trajectory] += 1
    count = Counter(taken)
    chosen = []
    for _, one in sorted(ranked, key=lambda item: item[0]):
        if count[one.actor] < settings.per_actor:
            count[one.actor] += 1
            chosen.append(one)
    return chosen


def _checked_meta(database: ActorDatabase, folder: MovieFolder) -> dict[str, Any]:
    """What made the database's vectors, which must be the folder's embedder and no other."""
    meta = database.read_meta()
    if meta is None or not isinstance(meta.get("pictures"), dict):
        raise InputError(f"{database.embeddings_meta}: does not say what made the vectors; {_PREPARE}")
    embedder = read_embedder(folder)
    if embedder.dimension is not None:
        database.check_embedder(asdict(embedder), folder.path)
    if not database.embeddings.is_file() or meta.get("embeddings_sha256") != sha256_of(database.embeddings):
        raise InputError(f"{database.embeddings}: not the file that {meta.get('program')} made; {_PREPARE}")
    return meta


def _confirmed(
    rows: Iterable[Annotation], rejected: set[str], database: ActorDatabase, movie_id: int, labels: Path
) -> dict[str, str]:
    """The actor on each confirmed face, by tag."""
    ids = database.cast(None)
    by_name: dict[str, list[str]] = {}
    for actor, name in database.cast(movie_id).items():
        by_name.setdefault(plain_name(name), []).append(actor)
    actors: dict[str, str] = {}
    strangers: Counter[str] = Counter()
    unsure = set()
    for row in rows:
        if row.image_status != "same" or row.cluster_status != "labeled" or row.tag in rejected:
            continue
        namesakes = [row.label] if row.label in ids else by_name.get(plain_name(row.label), [])
        if len(namesakes) != 1:
            strangers[row.label] += 1
        elif actors.setdefault(row.tag, namesakes[0]) != namesakes[0]:
            unsure.add(row.tag)
    if strangers:
        few = ", ".join(f"{label!r} ({strangers[label]})" for label in sorted(strangers)[:_LISTED])
        logging.warning(
            "%s: faces are not learnt whose label is no id in %s, nor one actor's name in movie %d: %s%s",
            labels, database.actors.name, movie_id, few,
            f" and {len(strangers) - _LISTED} labels more" if len(strangers) > _LISTED else "",
        )  # fmt: skip
    if unsure:
        logging.warning("%s: %d faces have several labels and are not learnt", labels, len(unsure))
    return {tag: actor for tag, actor in actors.items() if tag not in unsure}


def _faces(
    folder: MovieFolder, rows: Iterable[Annotation], actors: Mapping[str, str], labels: Path
) -> list[Confirmed]:
    """The saved faces of `rows` that are good enough to tell people apart."""
    wanted = {row.tag: row for row in rows}
    faces = [item for item in read_faces(folder) if item[0].tag in wanted]
    for tag in sorted(wanted.keys() - {face.tag for face, _ in faces}):
        rule = f"{tag} is no saved face of {folder.features}"
        raise ContractError(labels, rule, wanted[tag].line)
    settings = VectorSettings()
    worth = qualities(faces, settings).tolist()
    return [
        Confirmed(face, actors[face.tag], wanted[face.tag].trajectory, quality)
        for (face, _), quality in zip(faces, worth, strict=True)
        if quality >= settings.min_quality
    ]


def _filename(tag: str) -> str:
    return f"learnt-{tag.replace(':', '-')}.jpeg"


def _picture(folder: MovieFolder, face: Feature) -> bytes:
    path = folder.thumbnail(face.tag)
    if not path.is_file():
        raise ContractError(path, "the picture of a confirmed face must exist")
    return path.read_bytes()


def _origin(one: Confirmed, picture: bytes) -> Origin:
    """What is recorded of a learnt face: among others where it is in its picture."""
    face = one.face
    name = _filename(face.tag)
    pixels = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        raise InputError(f"{face.tag}.jpeg: the picture of a confirmed face cannot be read")
    x1, y1, x2, y2 = thumbnail_region(face.box, face.w, face.h)
    scale = np.array([pixels.shape[1] / (x2 - x1), pixels.shape[0] / (y2 - y1)])

    def inside(points: NDArray[np.float64]) -> NDArray[np.float32]:
        return np.asarray((points - [x1, y1]) * scale, np.float32)

    box = inside(np.array(face.box, float).reshape(2, 2)).reshape(4)
    keypoints = inside(face.keypoints.astype(float))
    return Origin(face.tag, one.actor, name, sha256(picture).hexdigest(), one.quality, box, keypoints)


def _write(
    database: ActorDatabase,
    meta: dict[str, Any],
    movie_id: int,
    chosen: list[Confirmed],
    pictures: Mapping[str, bytes],
    gone: set[str],
    after: Mapping[str, Origin],
) -> bool:
    """Bring the database's files to the new state; returns whether any of them changed."""
    remove_stale_temporaries(database.folder)
    remove_stale_temporaries(database.pictures)
    old = gone | pictures.keys()
    lines = database.embeddings.read_bytes().split(b"\n")
    kept = [lines[number - 1] for number, faces in database.read_embeddings() if faces.image not in old]
    kept += [embedding_line(_filename(one.face.tag), one.face.embedding[None]) for one in chosen]
    embeddings = b"".join(line + b"\n" for line in kept)
    hashes = {name: digest for name, digest in meta["pictures"].items() if name not in old}
    hashes |= {name: sha256(picture).hexdigest() for name, picture in pictures.items()}
    said = {**meta, "pictures": hashes, "embeddings_sha256": sha256(embeddings).hexdigest()}
    rows = [
        {"actor_id": one.actor, "movie_id": str(movie_id), "filename": _filename(one.face.tag)}
        | {"n_detections": "1"}
        for one in chosen
    ]
    table = replace_rows(database.images.read_bytes().decode(), "filename", old, rows)
    changed = write_changed(
        {database.picture(name): picture for name, picture in pictures.items()}
        | {
            database.embeddings: embeddings,
            database.embeddings_meta: orjson.dumps(said, option=orjson.OPT_INDENT_2) + b"\n",
            database.images: table.encode(),
            database.origins: origins_bytes(after.values()),  # until they say so, a rerun does it all again
        }
    )
    for name in gone - pictures.keys():
        database.picture(name).unlink(missing_ok=True)
    return bool(changed)
