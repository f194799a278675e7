"""Every saved face of a movie's trajectories, for training: `<movie_id>/<trajectory>/<tag>.jpeg`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path

from facerec.errors import InputError
from facerec.folder.images import ArchivedFaces, FaceKey
from facerec.folder.layout import MovieFolder
from facerec.folder.names import tag_of, thumbnail_name
from facerec.support.atomic import (
    path_in_errors,
    remove_stale_temporaries,
    sha256_of,
    sync_files,
    sync_folder,
    temporary_name,
)


def export_faces(
    out: Path, folder: MovieFolder, faces: Sequence[ArchivedFaces], trajectories: Sequence[Sequence[FaceKey]]
) -> Path:
    """Write the movie's faces under `out`, all of them or none; returns the folder that they are in.

    Args:
        faces: where they lie.
        trajectories: the saved faces of each trajectory, by its index.

    Raises:
        InputError: other faces lie there already; theirs may be somebody's work, and stay.
    """
    index = {
        tag_of(folder.movie_id, frame, box): str(number)
        for number, places in enumerate(trajectories)
        for frame, *box in places
    }

    def pictures() -> Iterator[tuple[Path, bytes]]:
        for one in faces:
            for tag, jpeg in one.thumbnails():
                yield Path(index[tag], thumbnail_name(tag)), jpeg

    target = out / str(folder.movie_id)
    if target.exists():
        there = {path.relative_to(target): sha256_of(path) for path in target.rglob("*") if path.is_file()}
        if there != {path: sha256(jpeg).hexdigest() for path, jpeg in pictures()}:
            raise InputError(f"{target}: other faces lie here; move them away, or give another --faces")
        return target
    with path_in_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        remove_stale_temporaries(out)
        room = out / temporary_name(target.name)
        room.mkdir()
        try:
            made = []
            for path, jpeg in pictures():
                made.append(room / path)
                made[-1].parent.mkdir(exist_ok=True)
                made[-1].write_bytes(jpeg)
            sync_files(made)
            for inner in (*{path.parent for path in made}, room):
                sync_folder(inner)
            room.rename(target)
        finally:
            shutil.rmtree(room, ignore_errors=True)
        sync_folder(out)
    return target
