"""A complete data folder of invented faces, written by the program's own writers: no film, no model."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np

import facerec.folder.plan
from facerec.actors.database import ACTOR_COLUMNS, ActorDatabase
from facerec.folder.documents import clusters_bytes, predictions_bytes, read_clusters, scene_changes_bytes
from facerec.folder.face_archive import new_face_archive
from facerec.folder.frame_records import FaceRecord, FrameRecord
from facerec.folder.layout import MovieFolder
from facerec.folder.manifest import checked_inputs
from facerec.folder.plan import Plan, write_plan
from facerec.folder.publish import publish, staging
from facerec.folder.readers import read_trajectories
from facerec.folder.records import SavedFace, to_line
from facerec.folder.shards import marker_bytes
from facerec.folder.thumbnails import thumbnail_bytes
from facerec.geometry import Box
from facerec.merging.merge import merge
from facerec.settings import RESULTS_VERSION, KeepSettings, TrackSettings
from facerec.tracking.tracker import track
from facerec.tracking.trajectories import to_trajectories
from tests.miniatures import write_stills

MOVIE, WIDTH, HEIGHT = 7, 320, 180
FRAMES, SHARDS, CUT, EVERY = 40, 3, 20, 5
FILM = f"{MOVIE}-Film.mp4"


@dataclass(frozen=True)
class Face:
    """A person in frames `first`..`last` but not in `missed`; `who` is the axis of the embedding."""

    who: int
    first: int
    last: int
    x: int
    missed: tuple[int, ...] = ()

    def box(self, frame: int) -> Box | None:
        if not self.first <= frame <= self.last or frame in self.missed:
            return None
        x = self.x + frame % 7
        return x, 30, x + 50, 90


FACES = (  # two people before the cut, one of them missed in one frame; one after it; a third in one frame
    Face(0, 0, 19, 20),
    Face(1, 2, 19, 150, missed=(12,)),
    Face(0, 20, 39, 80),
    Face(2, 25, 25, 250),
)


def make_folder(
    out: Path,
    faces: Sequence[Face] = FACES,
    thumbnails: bool = True,
    skip: Sequence[int] = (),
    results_version: int = RESULTS_VERSION,
) -> MovieFolder:
    """Make the published folder `7-data` under `out`: cluster 0 has trajectories 0 and 2, cluster 1 has 1.

    Args:
        skip: shards that are not extracted; the merge then runs with `allow_missing`.
        results_version: 1 for a folder as 0.1.0 left it.
    """
    folder = MovieFolder(out / f"{MOVIE}-data")
    folder.create()
    settings = {"save_every": EVERY, "min_face_size": 20, "images": thumbnails}
    models = {role: {"kind": "toy", "sha256": role[0] * 64} for role in ("detector", "embedder")}
    video = {"display_size": [WIDTH, HEIGHT]}
    film, version = {"name": FILM, "bytes": 1}, results_version
    plan = Plan(MOVIE, film, video, FRAMES, SHARDS, settings, models, (), results_version=version)
    with (
        mock.patch.object(facerec.folder.plan, "RESULTS_VERSION", version),
        mock.patch("os.fsync"),  # syncing is slow, and no test here cuts the power
    ):
        write_plan(folder, plan, Path(FILM), [])
        for shard in set(range(SHARDS)) - set(skip):
            _write_shard(folder, plan, *plan.range_of(shard), faces, thumbnails)
        merge(folder, TrackSettings(), KeepSettings(), allow_missing=bool(skip), overwrite=False)
        trajectories = read_trajectories(folder.trajectories, MOVIE)
        who = [next(f.who for f in faces if f.box(t.end - 1) == tuple(t.boxes[-1])) for t in trajectories]
        _publish(folder, "cluster", folder.clusters, clusters_bytes(MOVIE, who))
        clusters = set(read_clusters(folder.clusters, MOVIE))
        names = {cluster: {"nm1": 0.9, "nm2": 0.06} if cluster == 0 else {} for cluster in clusters}
        _publish(folder, "classify_knn", folder.predictions, predictions_bytes(MOVIE, names))
    if not plan.has_miniatures:  # the merge above needed them
        shutil.rmtree(folder.shard(0, 0).miniatures.parent)
    return folder


def _publish(folder: MovieFolder, stage: str, path: Path, data: bytes) -> None:
    inputs = checked_inputs(folder, stage)
    with staging(folder) as directory:
        (directory / path.name).write_bytes(data)
        publish(
            folder,
            stage,
            {path: directory / path.name},
            inputs=inputs,
            settings={},
            report={},
            overwrite=False,
        )


def _write_shard(
    folder: MovieFolder, plan: Plan, beg: int, end: int, faces: Sequence[Face], thumbnails: bool
) -> None:
    files = folder.shard(beg, end)
    boxes, frame_records, features, jpegs = [], [], [], []
    image = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    for frame in range(beg, end):
        here = sorted((box, face.who) for face in faces if (box := face.box(frame)))
        boxes += [(frame, box) for box, _ in here]
        sharpness = 20.0 if frame % EVERY == 0 else None
        face_records = tuple(FaceRecord(box, 0.9, sharpness) for box, _ in here)
        line = to_line(FrameRecord(frame, face_records))
        if not plan.has_miniatures:
            line = line.replace(b'"faces"', b'"change":%s,"faces"' % (b"1.5" if frame else b"null"))
        frame_records.append(line)
        for box, who in here if frame % EVERY == 0 else ():
            keypoints = np.array(box[:2], np.float32) + np.arange(10, dtype=np.float32).reshape(5, 2)
            vector = np.eye(8, dtype=np.float32)[who]
            feature = SavedFace(MOVIE, frame, box, keypoints, vector, WIDTH, HEIGHT)
            features.append(to_line(feature))
            if thumbnails:
                jpegs.append((feature.tag, thumbnail_bytes(image, box)))
    cuts = [CUT] if beg <= CUT < end else []
    tracks = track([f for f, _ in boxes], np.array([b for _, b in boxes], np.int64).reshape(-1, 4), cuts)
    trajectories = to_trajectories(tracks, MOVIE, WIDTH, HEIGHT)
    files.frame_records.write_bytes(b"".join(frame_records))
    files.features.write_bytes(b"".join(features))
    files.trajectories.write_bytes(b"".join(map(to_line, trajectories)))
    files.scene_changes.write_bytes(scene_changes_bytes(MOVIE, cuts))
    with new_face_archive(files.faces) as add_thumbnail:
        for tag, jpeg in jpegs:
            add_thumbnail(tag, jpeg)
    write_stills(files.miniatures, (frame >= CUT for frame in range(beg, end)))
    report = {"skipped": [], "dimension": 8, "same_person": 1.1}
    files.marker.write_bytes(marker_bytes(folder, plan, beg, end, folder.path, report))


def make_cast(folder: Path) -> ActorDatabase:
    """Make a valid actor database for the folder: nm1 and nm2, one picture each."""
    database = ActorDatabase(folder)
    database.pictures.mkdir(parents=True)
    actors, images, vectors = [",".join(ACTOR_COLUMNS)], ["actor_id,movie_id,filename,n_detections"], []
    for i, actor in enumerate(("nm1", "nm2")):
        actors.append(f"{MOVIE},A film,1999,{actor},Name {i},Role,0{i + 1}.02.1970,Rome")
        images.append(f"{actor},{MOVIE},{actor}.jpg,1")
        vectors.append(f'{{"image":"{actor}.jpg","n":1,"faces":[{{"vector":[{1 - i},{i},0,0,0,0,0,0]}}]}}')
        (database.pictures / f"{actor}.jpg").write_bytes(b"a picture")
    for path, lines in ((database.actors, actors), (database.images, images), (database.embeddings, vectors)):
        path.write_text("\n".join(lines) + "\n")
    database.aspect_ratios.write_text(f"filename,display_width,display_height\n{FILM},{WIDTH},{HEIGHT}\n")
    return database
