"""Turn faces that annotators confirmed into pictures of the actor database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import orjson
from numpy.typing import NDArray

from facerec.actors.database import IMAGE_COLUMNS, ActorDatabase
from facerec.actors.embeddings import to_line
from facerec.actors.people import year_cell
from facerec.actors.provenance import SHOWN_LAST, Origin, origins_bytes, read_origins, show_last
from facerec.annotations.confirmed_faces import (
    ConfirmedFace,
    confirmed_actors,
    confirmed_faces,
    unfit_tags,
)
from facerec.annotations.cvat_labels import read_cvat_labels
from facerec.annotations.export import has_movie, read_export
from facerec.errors import ContractError, InputError
from facerec.folder.layout import MovieFolder
from facerec.folder.manifest import checked_inputs, read_embedder
from facerec.folder.names import parse_tag
from facerec.folder.readers import read_trajectories
from facerec.folder.records import SavedFace
from facerec.folder.thumbnails import thumbnail_region
from facerec.interchange.cvat import is_cvat
from facerec.settings import LearnSettings
from facerec.support.atomic import remove_stale_temporaries, sha256_of, write_changed
from facerec.support.csv_tables import read_table, replace_rows
from facerec.support.locks import locked
from facerec.support.text import counted

_PREPARE = "run prepare_actors.py first, with the models that the films are extracted with"


def learn_folder(
    folder: MovieFolder, labels: Path, database: ActorDatabase, settings: LearnSettings | None = None
) -> str:
    """Add a movie's confirmed faces to the actor database; returns a summary of one line.

    A movie that nobody annotated is skipped, whatever its folder holds.

    All files change together or none does. A face is learnt once. A rejected face is never learnt, whatever
    later labels say. Nothing is learnt from a trajectory that shows several people, or from a page that
    trajectories too poor to compare share. A learnt face is removed if it is rejected, given to another
    actor, or found in such a trajectory later.

    Raises:
        InputError: the database's embeddings are of another or an unknown embedder, or are not those that
            prepare_actors.py wrote; or a thumbnail cannot be read.
        StaleError: the folder's files are not those that the merge wrote.
        ContractError: a row of the labels or of the database, or a line of the folder, cannot be used.
    """
    if not has_movie(labels, folder.movie_id):
        return f"nobody annotated it ({labels} has no row of it): skipped"
    checked_inputs(folder, "cluster")
    trajectories = read_trajectories(folder.trajectories, folder.movie_id)
    if is_cvat(labels):
        rows = read_cvat_labels(labels, folder, trajectories)
    else:
        rows = list(read_export(labels, folder.movie_id, trajectories))
    with locked(database.lock):
        meta = _read_meta(database, folder)
        before = read_origins(database)
        rejected = {row.tag for row in rows if row.image_status in ("different", "invalid")}
        rejected |= {tag for tag, one in before.items() if not one.learnt}
        confirmed = confirmed_actors(rows, rejected, database, folder.movie_id, labels)
        unfit = unfit_tags(rows, confirmed, folder)
        actors = {tag: actor for tag, actor in confirmed.items() if tag not in unfit}
        after = {
            tag: one
            for tag, one in before.items()
            if one.learnt and tag not in rejected | unfit and actors.get(tag, one.actor_id) == one.actor_id
        }
        new = [row for row in rows if row.tag in actors and row.tag not in after]
        taken = Counter(one.actor_id for one in after.values() if one.movie_id == folder.movie_id)
        faces = confirmed_faces(folder, new, actors, labels)
        chosen = choose_faces(faces, taken, settings or LearnSettings())
        pictures = {_filename(one.face.tag): _read_thumbnail(folder, one.face) for one in chosen}
        for one in chosen:
            after[one.face.tag] = _origin_of(one, pictures[_filename(one.face.tag)])
        removed = {one.filename for tag, one in before.items() if one.learnt and after.get(tag) is not one}
        after |= {tag: Origin(tag) for tag in sorted(rejected)}
        changed = _write(database, meta, chosen, pictures, removed, after)
    learnt = Counter(one.actor for one in chosen)
    return (
        f"{counted(len(actors), 'face')} confirmed, {counted(len(chosen), 'face')} of "
        f"{counted(len(learnt), 'actor')} learnt, "
        f"{len(removed - pictures.keys())} removed, {sum(not one.learnt for one in after.values())} rejected"
        f"{'' if changed else '; nothing changed'}"
    )


def choose_faces(
    faces: Iterable[ConfirmedFace], taken: Mapping[str, int], settings: LearnSettings
) -> list[ConfirmedFace]:
    """Choose the best faces of each actor.

    The best face of every trajectory comes before the second of any: two faces of one trajectory are similar,
    so the second adds little.

    Args:
        taken: number of faces already learnt, by actor.
    """
    ranked = []
    rank_in: Counter[int] = Counter()  # faces of the trajectory so far
    for one in sorted(faces, key=lambda one: (-one.quality, one.face.frame, one.face.box)):
        ranked.append((rank_in[one.trajectory], one))
        rank_in[one.trajectory] += 1
    count = Counter(taken)
    chosen = []
    for _, one in sorted(ranked, key=lambda item: item[0]):
        if count[one.actor] < settings.per_actor:
            count[one.actor] += 1
            chosen.append(one)
    return chosen


def _read_meta(database: ActorDatabase, folder: MovieFolder) -> dict[str, Any]:
    """Read what made the database's embeddings and check that it was the folder's embedder."""
    meta = database.read_meta()
    if meta is None or not isinstance(meta.get("pictures"), dict):
        raise InputError(f"{database.embeddings_meta}: does not name the embedder; {_PREPARE}")
    next(read_table(database.images, (*IMAGE_COLUMNS, *SHOWN_LAST)), None)  # raises if one is missing
    embedder = read_embedder(folder)
    if embedder.dimension is not None:
        database.check_embedder(asdict(embedder), folder.path)
    if not database.embeddings.is_file() or meta.get("embeddings_sha256") != sha256_of(database.embeddings):
        raise InputError(
            f"{database.embeddings}: was changed after {meta.get('program')} wrote it; {_PREPARE}"
        )
    return meta


def _filename(tag: str) -> str:
    """Return the file name in the actor database of the learnt face `tag`."""
    return f"learnt-{tag.replace(':', '-')}.jpeg"


def _read_thumbnail(folder: MovieFolder, face: SavedFace) -> bytes:
    """Read the thumbnail of a confirmed face."""
    path = folder.thumbnail(face.tag)
    if not path.is_file():
        raise ContractError(path, "the thumbnail of a confirmed face must exist")
    return path.read_bytes()


def _origin_of(one: ConfirmedFace, picture: bytes) -> Origin:
    """Return the record of a learnt face, with its box and keypoints in pixels of its picture."""
    face = one.face
    name = _filename(face.tag)
    pixels = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        raise InputError(f"{face.tag}.jpeg: the thumbnail of a confirmed face cannot be read")
    x1, y1, x2, y2 = thumbnail_region(face.box, face.w, face.h)
    scale = np.array([pixels.shape[1] / (x2 - x1), pixels.shape[0] / (y2 - y1)])

    def to_picture(points: NDArray[np.float64]) -> NDArray[np.float32]:
        return np.asarray((points - [x1, y1]) * scale, np.float32)

    box = to_picture(np.array(face.box, float).reshape(2, 2)).reshape(4)
    keypoints = to_picture(face.keypoints.astype(float))
    return Origin(face.tag, one.actor, name, sha256(picture).hexdigest(), one.quality, box, keypoints)


def _write(
    database: ActorDatabase,
    meta: dict[str, Any],
    chosen: list[ConfirmedFace],
    pictures: Mapping[str, bytes],
    removed: set[str],
    after: Mapping[str, Origin],
) -> bool:
    """Write the database's new state; returns whether any file changed.

    Args:
        pictures: new pictures by file name; removed: file names of pictures that are no longer used.
        after: all judged faces by tag.
    """
    remove_stale_temporaries(database.folder)
    remove_stale_temporaries(database.pictures)
    replaced = removed | pictures.keys()
    lines = database.embeddings.read_bytes().split(b"\n")
    kept = [lines[number - 1] for number, faces in database.read_embeddings() if faces.image not in replaced]
    kept += [to_line(_filename(one.face.tag), one.face.embedding[None]) for one in chosen]
    embeddings = b"".join(line + b"\n" for line in kept)
    hashes = {name: digest for name, digest in meta["pictures"].items() if name not in replaced}
    hashes |= {name: sha256(picture).hexdigest() for name, picture in pictures.items()}
    new_meta = {**meta, "pictures": hashes, "embeddings_sha256": sha256(embeddings).hexdigest()}
    cells = {**SHOWN_LAST, **(year_cell(database, parse_tag(chosen[0].face.tag)[0]) if chosen else {})}
    rows = [{"actor_id": one.actor, "filename": _filename(one.face.tag), **cells} for one in chosen]
    table = replace_rows(database.images.read_bytes().decode(), "filename", replaced, rows)
    unchanged = {one.filename for one in after.values() if hashes.get(one.filename) == one.sha256}
    changed = write_changed(
        {database.picture(name): picture for name, picture in pictures.items()}
        | {
            database.embeddings: embeddings,
            database.embeddings_meta: orjson.dumps(new_meta, option=orjson.OPT_INDENT_2) + b"\n",
            database.images: show_last(table, unchanged).encode(),
            database.origins: origins_bytes(after.values()),  # last: until then a rerun starts again
        }
    )
    for name in removed - pictures.keys():
        database.picture(name).unlink(missing_ok=True)
    return bool(changed)
