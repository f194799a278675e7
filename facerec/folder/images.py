"""What `images/` holds: just the pictures that annotators see, as their shards saved them."""

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

FaceKey = tuple[int, ...]  # of a face: frame, x1, y1, x2, y2


@dataclass(frozen=True)
class ArchivedFaces:
    """Some faces of a shard's pack.

    Attributes:
        pack: the file.
        saved: how many faces the shard saved.
        tags: those that are meant.
    """

    pack: Path
    saved: int
    tags: Sequence[str]

    def thumbnails(self) -> Iterator[tuple[str, bytes]]:
        """Tag and JPEG of each.

        Raises:
            ContractError: the pack is missing, damaged, or lacks one of them.
        """
        if self.tags:
            with open_face_archive(self.pack, self.saved) as archive:
                yield from ((tag, archive.read(tag)) for tag in self.tags)


def locate_faces(
    folder: MovieFolder,
    ranges: Iterable[tuple[int, int]],
    saved: Iterable[FaceKey],
    wanted: Iterable[FaceKey],
) -> list[ArchivedFaces]:
    """Where the faces `wanted` lie, of all that the shards of the frame `ranges` have saved."""
    frames, sought = sorted(place[0] for place in saved), sorted(wanted)
    sought_frames = [place[0] for place in sought]
    found = []
    for beg, end in ranges:
        count = bisect_left(frames, end) - bisect_left(frames, beg)
        own = sought[bisect_left(sought_frames, beg) : bisect_left(sought_frames, end)]
        tags = [tag_of(folder.movie_id, frame, box) for frame, *box in own]
        found.append(ArchivedFaces(folder.shard(beg, end).faces, count, tags))
    return found


class Thumbnails:
    """The pictures that a folder's `images/` is to hold, of faces that lie in its shards' packs.

    Raises:
        ContractError: a pack is missing, damaged, or lacks a face.
    """

    def __init__(self, faces: Sequence[ArchivedFaces]) -> None:
        self._faces = faces
        self.hashes = {
            thumbnail_name(tag): sha256(jpeg).hexdigest() for one in faces for tag, jpeg in one.thumbnails()
        }

    @cached_property
    def digest(self) -> str:
        return thumbnails_digest(self.hashes)

    def are_in(self, folder: MovieFolder) -> bool:
        """Whether `images/` holds just these."""
        return folder.images.is_dir() and thumbnail_hashes(folder) == self.hashes

    def put(self, folder: MovieFolder, room: Path) -> None:
        """Put into `images/` what is missing or different there, each picture whole or not at all.

        Args:
            room: an empty folder on the same file system, for pictures in the making.
        """
        folder.images.mkdir(exist_ok=True)
        there = thumbnail_hashes(folder)
        names = {name for name, digest in self.hashes.items() if there.get(name) != digest}
        made: list[Path] = []
        for one in self._faces:
            mine = [tag for tag in one.tags if thumbnail_name(tag) in names]
            for tag, jpeg in replace(one, tags=mine).thumbnails():
                made.append(room / thumbnail_name(tag))
                made[-1].write_bytes(jpeg)
        sync_files(made)
        for path in made:
            path.replace(folder.images / path.name)
        sync_folder(folder.images)

    def prune(self, folder: MovieFolder) -> None:
        """Remove from `images/` what is none of these."""
        for entry in list(os.scandir(folder.images)):
            if entry.name not in self.hashes and not entry.is_dir(follow_symlinks=False):
                Path(entry.path).unlink()
        sync_folder(folder.images)


def thumbnail_hashes(folder: MovieFolder) -> dict[str, str]:
    """The SHA-256 of every file in `images/`, by name."""
    if not folder.images.is_dir():
        return {}
    entries = (entry for entry in os.scandir(folder.images) if not entry.is_dir(follow_symlinks=False))
    return {e.name: sha256_of(Path(e.path)) if e.is_file(follow_symlinks=False) else "" for e in entries}


def thumbnails_digest(hashes: Mapping[str, str]) -> str:
    """One SHA-256 for a set of pictures: their names and what they hold."""
    lines = "".join(f"{name}\0{hashes[name]}\n" for name in sorted(hashes))
    return sha256(os.fsencode(lines)).hexdigest()  # a name that is no text is not ours, but may lie there


def thumbnail_tags(folder: MovieFolder, trajectories: Sequence[Trajectory]) -> dict[int, tuple[str, ...]]:
    """The tags of each trajectory's pictures, in the order of time, by the trajectory's index."""
    there = {entry.name for entry in os.scandir(folder.images)} if folder.images.is_dir() else set()
    shown = {}
    for one in trajectories:
        boxes = enumerate(one.boxes.tolist(), one.start)
        tags = (tag_of(folder.movie_id, frame, box) for frame, box in boxes)
        shown[one.index] = tuple(tag for tag in tags if thumbnail_name(tag) in there)
    return shown
