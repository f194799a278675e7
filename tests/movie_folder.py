"""A movie folder in which all stages have run and are recorded, with what is seen in it given by a test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import PIL.Image

from facerec.folder.documents import Predictions, clusters_bytes, predictions_bytes, scene_changes_bytes
from facerec.folder.frame_records import QualityRecord
from facerec.folder.layout import MovieFolder
from facerec.folder.manifest import checked_inputs
from facerec.folder.plan import Plan, pack_times, write_plan
from facerec.folder.publish import publish, staging
from facerec.folder.records import SavedFace, Trajectory, to_line
from tests.merged_folder import EMBEDDER, FRONTAL, HEIGHT, WIDTH, person

EVERY = 5  # frames; a face is saved in every one of these


@dataclass(frozen=True)
class Shown:
    """A face of a cluster in the frames [begin, end), `height` pixels high, at `x`."""

    cluster: int
    begin: int
    end: int
    x: int = 0
    height: int = 90

    @property
    def box(self) -> tuple[int, int, int, int]:
        return self.x, 10, self.x + 50, 10 + self.height


def movie_folder(
    parent: Path,
    shown: Sequence[Shown],
    names: Predictions | None = None,
    *,
    movie_id: int = 7,
    cuts: Sequence[int] = (),
    frames: int = 100,
    pts: Sequence[int] | None = None,
    time_base: str = "1/25",
    frame_rate: str = "25",
    seekable: bool = True,
    stored_size: tuple[int, int] = (WIDTH, HEIGHT),
    film: Path | None = None,
    poor_pages: Sequence[int] = (),
    cast: Mapping[str, str] | None = None,
    strays: Sequence[Shown] = (),
) -> MovieFolder:
    """Make a finished folder.

    Args:
        shown: in the order of the trajectories; their clusters are dense from 0.
        names: probabilities of actors by cluster; others have none.
        pts: presentation time of each frame in units of `time_base`; default its number.
        seekable: False: the film has no usable times.
        stored_size: width and height of a frame in the film; it is shown at 640x360.
        film: whose size and probe the plan records.
        poor_pages: clusters that are not one person.
        cast: names of actors, as the manifest records them.
        strays: faces that are saved, but in no trajectory.
    """
    folder = MovieFolder(parent / f"{movie_id}-data")
    folder.create()
    times = np.arange(frames) if pts is None else np.array(pts)
    video = {
        "display_size": [WIDTH, HEIGHT],
        "stored_size": list(stored_size),
        "frame_rate": frame_rate,
        "time_base": time_base,
        "times": pack_times(times.astype(np.int64)),
        "rotation": 0,
        "seekable": seekable,
        "losses": [],
    }
    trajectories = [
        Trajectory(i, movie_id, s.begin, _boxes(s), np.ones(s.end - s.begin, bool), WIDTH, HEIGHT)
        for i, s in enumerate(shown)
    ]
    faces = sorted(
        {
            (frame, s.box): s
            for s in (*shown, *strays)
            for frame in range(s.begin, s.end)
            if frame % EVERY == 0
        }.items()
    )
    features = [
        SavedFace(movie_id, frame, box, FRONTAL + np.float32(s.x), person(s.cluster % 16), WIDTH, HEIGHT)
        for (frame, box), s in faces
    ]
    for face in features:
        PIL.Image.new("RGB", (40, 50), (90, 90, 90)).save(folder.thumbnail(face.tag), quality=95)
    clusters = [s.cluster for s in shown]
    predictions = {cluster: (names or {}).get(cluster, {}) for cluster in clusters}
    with mock.patch("os.fsync"):  # syncing is slow, and no test here cuts the power
        _plan(folder, video, frames, film)
        _publish(
            folder,
            "merge_shards",
            {
                folder.trajectories: b"".join(map(to_line, trajectories)),
                folder.features: b"".join(map(to_line, features)),
                folder.quality: b"".join(to_line(QualityRecord(f.tag, 0.95, 60.0)) for f in features),
                folder.scene_changes: scene_changes_bytes(movie_id, cuts),
            },
            {},
        )
        clustered = clusters_bytes(movie_id, clusters)
        _publish(folder, "cluster", {folder.clusters: clustered}, {"poor_pages": list(poor_pages)})
        named = predictions_bytes(movie_id, predictions)
        _publish(folder, "classify_knn", {folder.predictions: named}, {"cast": dict(cast or {})})
    return folder


def _boxes(s: Shown) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    return np.tile(np.array(s.box, np.int64), (s.end - s.begin, 1))


def _plan(folder: MovieFolder, video: Mapping[str, object], frames: int, film: Path | None) -> None:
    name = film.name if film else f"{folder.movie_id}-Film.mp4"
    identity: dict[str, object] = {"name": name}
    if film:
        from facerec.video.identity import probe_sha256

        identity |= {"bytes": film.stat().st_size, "probe": probe_sha256(film)}
    models = {"embedder": {"kind": "toy", "sha256": "ab" * 32}}
    write_plan(
        folder, Plan(folder.movie_id, identity, video, frames, 3, {}, models, ()), film or Path(name), []
    )


def _publish(
    folder: MovieFolder, stage: str, files: Mapping[Path, bytes], report: Mapping[str, object]
) -> None:
    inputs = {} if stage == "merge_shards" else checked_inputs(folder, stage)
    with staging(folder) as directory:
        for path, data in files.items():
            (directory / path.name).write_bytes(data)
        publish(
            folder,
            stage,
            {path: directory / path.name for path in files},
            inputs=inputs,
            settings={},
            report=report,
            overwrite=True,
            manifest_entries={"models": {"embedder": dict(EMBEDDER)}} if stage == "merge_shards" else None,
        )


def variable_times(frames: int, short: int, long: int, change: int) -> list[int]:
    """Return times of frames that last `short` units before frame `change`, and `long` from it on."""
    steps = [short] * change + [long] * (frames - change)
    return [0, *np.cumsum(steps).tolist()][:frames]
