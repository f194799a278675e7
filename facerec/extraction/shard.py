"""The extraction of one shard: everything about its frames `[beg, end)` that needs their pixels.

Four steps run concurrently: decode and reduce to miniatures, detect, embed and compress, write. All
files are written to a staging directory and moved into place when the shard is complete, the marker last.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np

from facerec.errors import PlanError
from facerec.extraction import faces
from facerec.extraction.conversions import Frame
from facerec.extraction.frames import DEPTH, frame_steps
from facerec.extraction.shard_log import ShardLog
from facerec.folder.documents import scene_changes_bytes
from facerec.folder.face_archive import new_face_archive
from facerec.folder.frame_records import FaceRecord, FrameRecord
from facerec.folder.layout import MovieFolder, ShardFiles
from facerec.folder.miniature_archive import MiniatureArchives, new_miniature_archive
from facerec.folder.plan import Plan, read_plan
from facerec.folder.publish import staging
from facerec.folder.records import SavedFace, to_line
from facerec.folder.shards import marker_bytes, read_marker
from facerec.folder.thumbnails import thumbnail_bytes
from facerec.geometry import Image
from facerec.models.base import Detector, Embedder
from facerec.models.finite import run_model
from facerec.support.atomic import host, sync_files, sync_folder
from facerec.support.locks import locked
from facerec.support.prefetch import Profile, prefetch
from facerec.support.signals import StopRequest
from facerec.tracking.trajectories import to_trajectories, track_sampled_frames
from facerec.video.film import Film
from facerec.video.identity import check_unchanged
from facerec.video.miniature import Miniature
from facerec.video.shots import cuts_of, find_transitions


@dataclass(frozen=True)
class Extractor:
    """The models and options that a process uses for all its shards.

    Attributes:
        save_every: faces are saved on frames with a number that is a multiple of this.
        min_face_size: shorter side of a box in display pixels below which a face is not saved.
        min_box_size: shorter side of a box in display pixels below which a face is ignored.
        save_thumbnails: whether saved faces get thumbnails.
        detect_every: faces are detected on frames with a number that is a multiple of this.
    """

    detector: Detector
    embedder: Embedder
    save_every: int
    min_face_size: int
    min_box_size: int
    save_thumbnails: bool
    detect_every: int = 1


@dataclass
class _SavedFace:
    feature: SavedFace
    thumbnail: bytes | None


@dataclass
class _FrameResult:
    record: FrameRecord
    miniature: Miniature
    saturated: bool = False  # see `Detections`
    saved: list[_SavedFace] = field(default_factory=list)


def extract_shard(
    extractor: Extractor,
    film: Film,
    folder: MovieFolder,
    plan: Plan,
    shard: int,
    stop: StopRequest,
    advance: Callable[[int], None],
) -> dict[str, object]:
    """Extract one shard and move its files and its marker into the folder.

    Args:
        stop: checked after every batch.
        advance: called with the number of frames after every batch.

    Returns:
        The report for the marker: frames, faces, saved faces, skipped frames, seconds, host.

    Raises:
        Interrupted: a stop was requested.
        PlanError: the film changed meanwhile, or another run replaced the plan.
        NonFiniteError: a network gave NaN or an infinite number.
        In all cases no file of the shard is left behind.
    """
    beg, end = plan.range_of(shard)
    profile, start = Profile(), time.perf_counter()
    with staging(folder) as directory:
        files = folder.shard(beg, end, directory)
        for path in (*files.results, files.marker):
            path.parent.mkdir(exist_ok=True)
        log = ShardLog()
        with (
            frame_steps(
                film, extractor.detector, extractor.detect_every, extractor.save_every, profile
            ) as steps,
            steps.run(beg, end) as detected,
            prefetch(embed_batches(extractor, film, folder.movie_id, detected, profile), DEPTH) as embedded,
            files.frame_records.open("wb") as frame_records,
            files.features.open("wb") as features,
            new_face_archive(files.faces) as add_thumbnail,
            new_miniature_archive(files.miniatures) as add_miniature,
        ):
            for batch in embedded:
                stop.check()
                with profile.time("write"):
                    for result in batch:
                        write_frame(result, frame_records, features, add_thumbnail, add_miniature, log)
                advance(len(batch))
        stop.check()
        with profile.time("write"):
            _write_cuts_and_trajectories(film, folder.movie_id, extractor.detect_every, files, log)
        for warning in log.warnings(extractor.detector.card.kind, extractor.detect_every):
            logging.warning("%s: shard %d: %s", folder.path, shard, warning)
        report: dict[str, object] = {
            **log.report(beg, end),
            "dimension": extractor.embedder.dimension,
            "same_person": extractor.embedder.same_person,
            "seconds": round(time.perf_counter() - start, 3),
            "stage_seconds": {stage: round(seconds, 3) for stage, seconds in profile.seconds.items()},
            "host": host(),
        }
        check_unchanged(film.path, plan.film, film.stamp)
        marker = marker_bytes(folder, plan, beg, end, directory, report)
        commit_shard(folder, plan, beg, end, directory, marker)
    return report


def embed_batches(
    extractor: Extractor, film: Film, movie_id: int, batches: Iterator[list[Frame]], profile: Profile
) -> Iterator[list[_FrameResult]]:
    """Yield the results of each frame: its record and its saved faces."""
    width, height = film.display_width, film.display_height
    for batch in batches:
        results: list[_FrameResult] = []
        crops: list[Image] = []
        saved: list[tuple[_FrameResult, SavedFace, bytes | None]] = []
        with profile.time("crop"):
            for frame in batch:
                assert frame.miniature is not None
                if frame.detections is None:
                    results.append(_FrameResult(FrameRecord(frame.number, ()), frame.miniature))
                    continue
                found = faces.integer_boxes(frame.detections, width, height, extractor.min_box_size)
                may_save = frame.number % extractor.save_every == 0
                saves = {
                    box for box in found if may_save and faces.shorter_side(box) >= extractor.min_face_size
                }
                scores = frame.detections.scores.tolist()
                face_records = tuple(
                    FaceRecord(
                        box,
                        round(scores[index], 4),
                        faces.sharpness(frame.rgb(), box) if box in saves else None,
                    )
                    for box, index in found.items()
                )
                record = FrameRecord(frame.number, face_records)
                result = _FrameResult(record, frame.miniature, frame.detections.saturated)
                results.append(result)
                for box, index in found.items():
                    if box not in saves:
                        continue
                    keypoints = frame.detections.keypoints[index]
                    crops.append(extractor.embedder.crop(frame.rgb(), np.array(box, np.float32), keypoints))
                    thumbnail = thumbnail_bytes(frame.rgb(), box) if extractor.save_thumbnails else None
                    no_embedding = np.empty(0, np.float32)
                    feature = SavedFace(movie_id, frame.number, box, keypoints, no_embedding, width, height)
                    saved.append((result, feature, thumbnail))
        with profile.time("embed"):
            numbers = [feature.frame for _, feature, _ in saved]
            embeddings = run_model(extractor.embedder.embed, crops, numbers, film.path)
        for (result, feature, thumbnail), embedding in zip(saved, embeddings, strict=True):
            result.saved.append(_SavedFace(feature.with_embedding(embedding), thumbnail))
        yield results


def write_frame(
    result: _FrameResult,
    frame_records: BinaryIO,
    features: BinaryIO,
    add_thumbnail: Callable[[str, bytes], None],
    add_miniature: Callable[[Miniature], None],
    log: ShardLog,
) -> None:
    """Write the results of one frame, and add to `log` the numbers needed at the end of the shard."""
    record = result.record
    frame_records.write(to_line(record))
    add_miniature(result.miniature)
    log.add(record, result.saturated)
    for saved in result.saved:
        features.write(to_line(saved.feature))
        log.saved += 1
        if saved.thumbnail is not None:
            add_thumbnail(saved.feature.tag, saved.thumbnail)


def _write_cuts_and_trajectories(
    film: Film, movie_id: int, detect_every: int, files: ShardFiles, log: ShardLog
) -> None:
    """Write the cuts and trajectories of the shard alone; the merge decides both again for the whole film."""
    miniatures = MiniatureArchives([(files.miniatures, len(log.numbers))])
    try:
        cuts = cuts_of(find_transitions(np.array(log.numbers, np.int64), miniatures))
    finally:
        miniatures.close()
    files.scene_changes.write_bytes(scene_changes_bytes(movie_id, cuts))
    boxes = np.array(log.boxes, np.int64).reshape(-1, 4)
    tracks = track_sampled_frames(detect_every, np.array(log.frames, np.int64), boxes, cuts)
    with files.trajectories.open("wb") as file:
        for trajectory in to_trajectories(tracks, movie_id, film.display_width, film.display_height):
            file.write(to_line(trajectory))


def commit_shard(folder: MovieFolder, plan: Plan, beg: int, end: int, directory: Path, marker: bytes) -> None:
    """Move the shard's files from `directory` into place, the marker last.

    If another process has committed the shard in the meantime, its files are kept.

    Raises:
        PlanError: another run replaced the plan.
    """
    staged, final = folder.shard(beg, end, directory), folder.shard(beg, end)
    staged.marker.write_bytes(marker)
    sync_files((*staged.results, staged.marker))
    with locked(folder.lock, 1 + beg):
        current = read_plan(folder)
        if current is None or current.fingerprint != plan.fingerprint:
            raise PlanError(
                f"{folder.path}: another run replaced the plan during the extraction; the results of this "
                "shard are discarded"
            )
        try:
            read_marker(folder, plan, beg, end)
            logging.info("%s: another process finished this shard first; its results are kept", final.marker)
            return
        except PlanError:
            final.marker.unlink(missing_ok=True)
        for source, target in zip(staged.results, final.results, strict=True):
            source.replace(target)
        for path in final.results:
            sync_folder(path.parent)
        staged.marker.replace(final.marker)
        sync_folder(final.marker.parent)
