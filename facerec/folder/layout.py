"""The layout of a movie's data folder: spells its file names; those of thumbnails are in `names.py`.

<out>/<movie_id>-data/
    features/ trajectories/ scene_changes/    one file per shard, named by its frame range
    evidence/                                 frame records: the merge needs them, the contract does not
    faces/                                    one archive per shard with the thumbnails of all its saved faces
    miniatures/                               one archive per shard with its frames, reduced to 48x27 pixels
    done/                                     the markers of finished shards
    images/                                   the thumbnails that annotators see, at most two per trajectory
    features.jsonl trajectories.jsonl scene_changes.json transitions.json quality.jsonl    of the whole film
    clusters.json predictions.json
    contact_sheet.png report.html report-standalone.html      for people; not part of the results
    exports/                                  files for other programs, by export.py
    plan.json manifest.json                   how the results were made
    people.json                               names by annotators and predictions; not a stage's
    shot_features/                            a folder for each feature of the film and its shots
    previous/                                 replaced versions of published results
    .lock                                     empty; locked by a process that changes the folder
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path

from facerec.errors import InputError
from facerec.folder.names import film_movie_id, parse_movie_id, thumbnail_name

INDEX = "index.html"  # beside the movie folders, of all of them
INDEX_MARK = b'<meta name="facerec" content="index">'  # near its beginning; another program's has none
_FOLDER = re.compile(r"(0|[1-9]\d*)-data", re.ASCII)


@dataclass(frozen=True)
class ShardFiles:
    """The files of the shard that owns the frames `[beg, end)`."""

    features: Path
    trajectories: Path
    scene_changes: Path
    frame_records: Path
    faces: Path
    miniatures: Path
    marker: Path

    @property
    def results(self) -> tuple[Path, ...]:
        """All files but the marker, which is written last."""
        return (
            self.features,
            self.trajectories,
            self.scene_changes,
            self.frame_records,
            self.faces,
            self.miniatures,
        )


@dataclass(frozen=True)
class ShotFeatureFiles:
    """The files of one feature of a film and its shots.

    Attributes:
        suffix: of the files of features: `.npy` for one array, `.npz` for several.
    """

    folder: Path
    suffix: str

    @property
    def provenance(self) -> Path:
        """What the features were made from, and how."""
        return self.folder / "provenance.json"

    @property
    def film(self) -> Path:
        """Features of the whole film."""
        return self.folder / f"film{self.suffix}"

    def shot(self, number: int) -> Path:
        """Return the file of the features of a shot, counted from 0."""
        return self.folder / f"shot_{number:05d}{self.suffix}"


def ensure_dir(path: Path) -> None:
    """Create the directory `path` and its parents unless they exist.

    Raises:
        InputError: `path` or one of its parents is a file.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise InputError(
            f"{error.filename or path}: this must be a folder, but it is a file; move it away"
        ) from None


class MovieFolder:
    """The paths in the data folder of one movie; the folder need not exist yet.

    Raises:
        InputError: the folder's name is not `<movie_id>-data`.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path).absolute()
        match = _FOLDER.fullmatch(self.path.name)
        if match is None:
            raise InputError(f"{path}: the folder of a movie must be named <movie_id>-data, as in 12345-data")
        self.movie_id = parse_movie_id(match[1], self.path)
        self.opened = time.monotonic()  # when a stage began to work on the folder
        self.images = self.path / "images"
        self.features = self.path / "features.jsonl"
        self.quality = self.path / "quality.jsonl"
        self.trajectories = self.path / "trajectories.jsonl"
        self.scene_changes = self.path / "scene_changes.json"
        self.transitions = self.path / "transitions.json"
        self.clusters = self.path / "clusters.json"
        self.predictions = self.path / "predictions.json"
        self.people = self.path / "people.json"
        self.plan = self.path / "plan.json"
        self.manifest = self.path / "manifest.json"
        self.previous = self.path / "previous"
        self.lock = self.path / ".lock"
        self.planning_lock = self.path / ".planning"
        self.film_hash = self.path / ".film.json"
        self.film_hash_lock = self.path / ".film.lock"
        names = ("features", "trajectories", "scene_changes", "evidence", "faces", "miniatures", "done")
        self.shard_dirs = tuple(self.path / name for name in names)
        self.contact_sheet = self.path / "contact_sheet.png"
        self.report = self.path / "report.html"
        self.index = self.path.parent / INDEX
        self.standalone_report = self.path / "report-standalone.html"
        self.exports = self.path / "exports"
        self.logs = self.path.parent / "logs" / str(self.movie_id)  # of the launcher's jobs
        self.shot_features = self.path / "shot_features"  # its own files: see feature_runs.feature_folder

    @property
    def has_miniatures(self) -> bool:
        """Whether a shard of it has miniatures; those of a folder with `results_version` 1 do not."""
        directory = self.shard(0, 0).miniatures.parent
        return directory.is_dir() and any(directory.iterdir())

    @classmethod
    def existing(cls, path: Path | str) -> MovieFolder:
        """Return the folder at `path`.

        Raises:
            InputError: it does not exist, is a file, or is not named `<movie_id>-data`.
        """
        folder = cls(path)
        if not folder.path.is_dir():
            problem = "is a file" if folder.path.exists() else "does not exist"
            raise InputError(f"{path} {problem}: give the folder that extract.py made, <out>/<movie_id>-data")
        return folder

    @classmethod
    def of_film(cls, out: Path, film: Path) -> MovieFolder:
        """Return the folder under `out` for the results of `film`."""
        return cls(out / f"{film_movie_id(film)}-data")

    def create(self) -> None:
        """Create the folder and its subdirectories unless they exist."""
        for directory in (self.path, self.images, *self.shard_dirs):
            ensure_dir(directory)

    def shard(self, beg: int, end: int, root: Path | None = None) -> ShardFiles:
        """Return the files of the shard `[beg, end)`.

        Args:
            root: directory to use instead of the folder itself, while the files are being written.
        """
        features, trajectories, scene_changes, frame_records, faces, miniatures, markers = (
            (root / directory.name if root else directory) for directory in self.shard_dirs
        )
        suffix = f"{self.movie_id}_{beg}-{end}"
        return ShardFiles(
            features / f"features_{suffix}.jsonl",
            trajectories / f"trajectories_{suffix}.jsonl",
            scene_changes / f"scene_changes_{suffix}.json",
            frame_records / f"evidence_{suffix}.jsonl",
            faces / f"faces_{suffix}.zip",
            miniatures / f"miniatures_{suffix}.npz",
            markers / f"done_{suffix}.json",
        )

    def feature_files(self, feature: str, suffix: str) -> ShotFeatureFiles:
        """Return the files of a feature of the film and its shots."""
        return ShotFeatureFiles(self.shot_features / feature, suffix)

    def thumbnail(self, tag: str) -> Path:
        """Return the path of the thumbnail of the face `tag` in `images/`."""
        return self.images / thumbnail_name(tag)

    def relative(self, path: Path) -> str:
        """Return the path of a file relative to the folder, as plan, markers and manifest name it."""
        return path.relative_to(self.path).as_posix()
