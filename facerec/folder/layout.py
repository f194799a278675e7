"""The rooms of a movie's data folder: the one place where its file names are spelled.

<out>/<movie_id>-data/
    features/ trajectories/ scene_changes/   a shard's part of each, named by its frame range
    evidence/ faces/ done/                   what the merge needs besides, all saved faces; a shard's marker
    images/                                  the faces that annotators see, two a trajectory
    features.jsonl trajectories.jsonl scene_changes.json quality.jsonl     of the whole film
    clusters.json predictions.json
    plan.json manifest.json previous/                                      how it was made; versions before
    .lock                                                                  of no content, held while changing
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from facerec.errors import InputError
from facerec.folder.names import film_movie_id, parse_movie_id, thumbnail_name

_FOLDER = re.compile(r"(0|[1-9]\d*)-data", re.ASCII)


@dataclass(frozen=True)
class ShardFiles:
    """The files of the shard that owns the frames `[beg, end)`."""

    features: Path
    trajectories: Path
    scene_changes: Path
    frame_records: Path
    faces: Path
    marker: Path

    @property
    def results(self) -> tuple[Path, ...]:
        """All but the marker, which comes last."""
        return self.features, self.trajectories, self.scene_changes, self.frame_records, self.faces


def ensure_dir(path: Path) -> None:
    """Make the folder `path` where it is missing.

    Raises:
        InputError: a file lies there, or above it.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise InputError(
            f"{error.filename or path}: a file lies where a folder must be; move it away"
        ) from None


class MovieFolder:
    """The paths of one movie's data folder; `path` need not exist yet.

    Raises:
        InputError: the folder's name is not `<movie_id>-data`.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path).absolute()
        match = _FOLDER.fullmatch(self.path.name)
        if match is None:
            raise InputError(f"{path}: a movie's folder is named <movie_id>-data, as in 12345-data")
        self.movie_id = parse_movie_id(match[1], self.path)
        self.images = self.path / "images"
        self.features = self.path / "features.jsonl"
        self.quality = self.path / "quality.jsonl"
        self.trajectories = self.path / "trajectories.jsonl"
        self.scene_changes = self.path / "scene_changes.json"
        self.clusters = self.path / "clusters.json"
        self.predictions = self.path / "predictions.json"
        self.plan = self.path / "plan.json"
        self.manifest = self.path / "manifest.json"
        self.previous = self.path / "previous"
        self.lock = self.path / ".lock"
        rooms = ("features", "trajectories", "scene_changes", "evidence", "faces", "done")
        self.shard_dirs = tuple(self.path / name for name in rooms)
        self.contact_sheet = self.path / "contact_sheet.png"

    @classmethod
    def existing(cls, path: Path | str) -> MovieFolder:
        """The folder at `path`, which must be there."""
        folder = cls(path)
        if not folder.path.is_dir():
            there = "is a file" if folder.path.exists() else "is not there"
            raise InputError(f"{path} {there}: give the folder that extract.py made, <out>/<movie_id>-data")
        return folder

    @classmethod
    def of_film(cls, out: Path, film: Path) -> MovieFolder:
        """Where the results of `film` go under `out`."""
        return cls(out / f"{film_movie_id(film)}-data")

    def create(self) -> None:
        """Make the folder and its rooms where they are missing."""
        for room in (self.path, self.images, *self.shard_dirs):
            ensure_dir(room)

    def shard(self, beg: int, end: int, root: Path | None = None) -> ShardFiles:
        """The files of shard `[beg, end)`, under another `root` while they are being written."""
        features, trajectories, scene_changes, evidence, faces, done = (
            (root / room.name if root else room) for room in self.shard_dirs
        )
        part = f"{self.movie_id}_{beg}-{end}"
        return ShardFiles(
            features / f"features_{part}.jsonl",
            trajectories / f"trajectories_{part}.jsonl",
            scene_changes / f"scene_changes_{part}.json",
            evidence / f"evidence_{part}.jsonl",
            faces / f"faces_{part}.zip",
            done / f"done_{part}.json",
        )

    def thumbnail(self, tag: str) -> Path:
        """The picture of the face `tag`, where annotators see it."""
        return self.images / thumbnail_name(tag)

    def relative(self, path: Path) -> str:
        """A file's name as the folder's records spell it."""
        return path.relative_to(self.path).as_posix()
