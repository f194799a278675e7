"""Export of all saved faces of a movie, for training: `<movie_id>/<trajectory>/<tag>.jpeg`."""

from __future__ import annotations

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
    temporary_dir,
)


def export_faces(
    out: Path, folder: MovieFolder, faces: Sequence[ArchivedFaces], trajectories: Sequence[Sequence[FaceKey]]
) -> Path:
    """Write the thumbnails of a movie's saved faces to `out`, all of them or none.

    Args:
        faces: where the archives of the shards hold them.
        trajectories: the saved faces of each trajectory, by trajectory index.

    Returns:
        The directory `out`/<movie_id>.

    Raises:
        InputError: the directory exists and holds other files, which are left as they are.
    """
    trajectory_of = {
        tag_of(folder.movie_id, frame, box): str(index)
        for index, keys in enumerate(trajectories)
        for frame, *box in keys
    }

    def thumbnails() -> Iterator[tuple[Path, bytes]]:
        for shard_faces in faces:
            for tag, jpeg in shard_faces.thumbnails():
                yield Path(trajectory_of[tag], thumbnail_name(tag)), jpeg

    remove_stale_temporaries(out)  # also the lock of a process that was killed when the faces were complete
    target = out / str(folder.movie_id)
    if target.exists():
        present = {path.relative_to(target): sha256_of(path) for path in target.rglob("*") if path.is_file()}
        if present != {path: sha256(jpeg).hexdigest() for path, jpeg in thumbnails()}:
            raise InputError(
                f"{target}: contains other faces; move them away, or give another folder with --faces"
            )
        remove_stale_temporaries(out)  # of a process that was killed after it had renamed its folder
        return target
    with path_in_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        with temporary_dir(out, target.name) as directory:
            written = []
            for path, jpeg in thumbnails():
                written.append(directory / path)
                written[-1].parent.mkdir(exist_ok=True)
                written[-1].write_bytes(jpeg)
            sync_files(written)
            for subdirectory in (*{path.parent for path in written}, directory):
                sync_folder(subdirectory)
            directory.rename(target)
        sync_folder(out)
    return target
