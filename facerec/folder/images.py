"""The contents of `images/`: the thumbnails that annotators see, copied from the shards' face archives."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from facerec.folder.face_archive import open_face_archive
from facerec.folder.layout import MovieFolder
from facerec.folder.names import tag_of, thumbnail_name
from facerec.folder.records import Trajectory
from facerec.support.atomic import sha256_of, sync_files, sync_folder

FaceKey = tuple[int, ...]  # identifies a face in a film: frame, x1, y1, x2, y2


@dataclass(frozen=True)
class ArchivedFaces:
    """Some of the faces in a shard's face archive.

    Attributes:
        archive: the file.
        saved: number of faces that the shard saved.
        tags: the selected faces.
    """

    archive: Path
    saved: int
    tags: Sequence[str]

    def thumbnails(self) -> Iterator[tuple[str, bytes]]:
        """Yield tag and JPEG of each selected face.

        Raises:
            ContractError: the archive is missing or damaged, or lacks one of the faces.
        """
        if self.tags:
            with open_face_archive(self.archive, self.saved) as archive:
                yield from ((tag, archive.read(tag)) for tag in self.tags)


def locate_faces(
    folder: MovieFolder,
    ranges: Iterable[tuple[int, int]],
    saved: Iterable[FaceKey],
    wanted: Iterable[FaceKey],
) -> list[ArchivedFaces]:
    """Find the faces `wanted` in the archives of the shards with the frame `ranges`.

    Args:
        saved: all faces that these shards saved.
    """
    saved_frames, ordered = sorted(key[0] for key in saved), sorted(wanted)
    wanted_frames = [key[0] for key in ordered]
    located = []
    for beg, end in ranges:
        count = bisect_left(saved_frames, end) - bisect_left(saved_frames, beg)
        in_shard = ordered[bisect_left(wanted_frames, beg) : bisect_left(wanted_frames, end)]
        tags = [tag_of(folder.movie_id, frame, box) for frame, *box in in_shard]
        located.append(ArchivedFaces(folder.shard(beg, end).faces, count, tags))
    return located


class Thumbnails:
    """The thumbnails that `images/` of a folder must contain; they are in the face archives of its shards.

    Raises:
        ContractError: an archive is missing or damaged, or lacks a face.
    """

    def __init__(self, faces: Sequence[ArchivedFaces]) -> None:
        self._faces = faces
        self.hashes = {
            thumbnail_name(tag): sha256(jpeg).hexdigest()
            for shard_faces in faces
            for tag, jpeg in shard_faces.thumbnails()
        }

    @cached_property
    def digest(self) -> str:
        return thumbnails_digest(self.hashes)

    def match(self, folder: MovieFolder) -> bool:
        """Whether `images/` holds exactly these thumbnails."""
        return folder.images.is_dir() and thumbnail_hashes(folder) == self.hashes

    def write_missing(self, folder: MovieFolder, directory: Path) -> None:
        """Write to `images/` every thumbnail that is missing or different there, each one atomically.

        Args:
            directory: an empty directory on the same file system, for files that are not complete yet.
        """
        folder.images.mkdir(exist_ok=True)
        present = thumbnail_hashes(folder)
        names = {name for name, digest in self.hashes.items() if present.get(name) != digest}
        written: list[Path] = []
        for shard_faces in self._faces:
            tags = [tag for tag in shard_faces.tags if thumbnail_name(tag) in names]
            for tag, jpeg in replace(shard_faces, tags=tags).thumbnails():
                written.append(directory / thumbnail_name(tag))
                written[-1].write_bytes(jpeg)
        sync_files(written)
        for path in written:
            path.replace(folder.images / path.name)
        sync_folder(folder.images)

    def remove_others(self, folder: MovieFolder) -> None:
        """Remove every other file from `images/`."""
        for entry in list(os.scandir(folder.images)):
            if entry.name not in self.hashes and not entry.is_dir(follow_symlinks=False):
                Path(entry.path).unlink()
        sync_folder(folder.images)


def thumbnail_hashes(folder: MovieFolder) -> dict[str, str]:
    """Return the SHA-256 of every file in `images/` by name; "" for what is not a regular file."""
    if not folder.images.is_dir():
        return {}
    entries = (entry for entry in os.scandir(folder.images) if not entry.is_dir(follow_symlinks=False))
    return {e.name: sha256_of(Path(e.path)) if e.is_file(follow_symlinks=False) else "" for e in entries}


def thumbnails_digest(hashes: Mapping[str, str]) -> str:
    """Return one SHA-256 for a set of files, given as SHA-256 by name."""
    lines = "".join(f"{name}\0{hashes[name]}\n" for name in sorted(hashes))
    return sha256(os.fsencode(lines)).hexdigest()  # the name of a stray file need not be valid UTF-8


def thumbnail_tags(folder: MovieFolder, trajectories: Sequence[Trajectory]) -> dict[int, tuple[str, ...]]:
    """Return the tags of each trajectory's thumbnails in `images/`, by trajectory index, sorted by frame."""
    names = {entry.name for entry in os.scandir(folder.images)} if folder.images.is_dir() else set()
    shown = {}
    for trajectory in trajectories:
        boxes = enumerate(trajectory.boxes.tolist(), trajectory.start)
        tags = (tag_of(folder.movie_id, frame, box) for frame, box in boxes)
        shown[trajectory.index] = tuple(tag for tag in tags if thumbnail_name(tag) in names)
    return shown
