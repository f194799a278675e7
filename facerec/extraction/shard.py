"""The work of one shard: everything about the frames `[beg, end)` that needs their pixels.

Four stages run beside each other: decode and compare with the frame before, detect, embed and
compress, write. All is written into a staging folder and moved into place when the shard is whole,
the marker last.
"""

from __future__ import annotations

import logging
import time
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np

from facerec.errors import PlanError
from facerec.extraction import faces
from facerec.folder.documents import scene_changes_bytes
from facerec.folder.face_archive import new_face_archive
from facerec.folder.frame_records import FaceRecord, FrameRecord
from facerec.folder.layout import MovieFolder, ShardFiles
from facerec.folder.plan import Plan, read_plan
from facerec.folder.publish import staging
from facerec.folder.records import Feature, to_line
from facerec.folder.shards import marker_bytes, read_marker
from facerec.folder.thumbnails import thumbnail_bytes
from facerec.geometry import Image
from facerec.models.base import Detections, Detector, Embedder
from facerec.support.atomic import host, sync_files, sync_folder
from facerec.support.locks import locked
from facerec.support.prefetch import Profile, prefetch
from facerec.support.signals import StopRequest
from facerec.tracking.trajectories import to_trajectories, track_sampled_frames
from facerec.video.film import Film, read_frames
from facerec.video.identity import check_unchanged
from facerec.video.shots import ChangeScorer, find_cuts

DEPTH = 2  # batches that may wait between two stages


@dataclass(frozen=True)
class Extractor:
    """What a process holds ready for all its shards.

    Attributes:
        save_every: a face is saved and embedded where the frame's number is a multiple of this.
        min_face_size: shorter side in display pixels below which a face is ignored.
        pictures: whether pictures are saved.
        detect_every: faces are looked for where the frame's number is a multiple of this.
    """

    detector: Detector
    embedder: Embedder
    save_every: int
    min_face_size: int
    pictures: bool
    detect_every: int = 1


@dataclass
class _Frame:
    number: int
    image: Image | None  # None where no face is looked for
    change: float | None
    found: Detections | None = None


@dataclass
class _Saved:
    feature: Feature
    picture: bytes | None


@dataclass
class _Seen:
    evidence: FrameRecord
    saved: list[_Saved] = field(default_factory=list)


def extract_shard(
    extractor: Extractor,
    film: Film,
    folder: MovieFolder,
    plan: Plan,
    shard: int,
    stop: StopRequest,
    advance: Callable[[int], None],
) -> dict[str, object]:
    """Extract one shard and put its files and its marker into the folder.

    Returns:
        The report that stands in the marker: frames, faces, saved faces, skipped frames, seconds, host.

    Raises:
        Interrupted: the process was asked to stop; nothing of the shard is left behind.
        PlanError: the film changed meanwhile, or another run began afresh; nor here.
    """
    beg, end = plan.range_of(shard)
    profile, begun = Profile(), time.perf_counter()
    with staging(folder) as room:
        files = folder.shard(beg, end, room)
        for path in (*files.results, files.marker):
            path.parent.mkdir(exist_ok=True)
        log = ShardLog()
        with (
            prefetch(decode_batches(film, beg, end, extractor, profile), DEPTH) as read,
            prefetch(detect_batches(extractor.detector, read, profile), DEPTH) as found,
            prefetch(embed_batches(extractor, film, folder.movie_id, found, profile), DEPTH) as seen,
            files.frame_records.open("wb") as evidence,
            files.features.open("wb") as features,
            new_face_archive(files.faces) as add_picture,
        ):
            for batch in seen:
                stop.check()
                with profile.time("write"):
                    for one in batch:
                        write_frame(one, evidence, features, add_picture, log)
                advance(len(batch))
        stop.check()
        with profile.time("write"):
            _write_time(film, folder.movie_id, extractor.detect_every, files, log)
        sound = set(log.numbers)
        report: dict[str, object] = {
            "frames": end - beg,
            "skipped": [number for number in range(beg, end) if number not in sound],
            "faces": len(log.frames),
            "saved": log.saved,
            "dimension": extractor.embedder.dimension,
            "same_person": extractor.embedder.same_person,
            "seconds": round(time.perf_counter() - begun, 3),
            "stage_seconds": {stage: round(seconds, 3) for stage, seconds in profile.seconds.items()},
            "host": host(),
        }
        check_unchanged(film.path, plan.film)
        made = marker_bytes(folder, plan, beg, end, room, report)
        commit_shard(folder, plan, beg, end, room, made)
    return report


@dataclass
class ShardLog:
    """What is remembered of a shard until its end: numbers, never pixels, and 8 bytes for each."""

    numbers: array[int] = field(default_factory=lambda: array("q"))
    changes: array[float] = field(default_factory=lambda: array("d"))
    frames: array[int] = field(default_factory=lambda: array("q"))  # of each box
    boxes: array[int] = field(default_factory=lambda: array("q"))  # x1, y1, x2, y2 of each, one after another
    saved: int = 0


def decode_batches(
    film: Film, beg: int, end: int, extractor: Extractor, profile: Profile
) -> Iterator[list[_Frame]]:
    """Batches of the shard's frames, each with its difference from the one before it.

    A batch has as many frames in which to look for faces as the detector takes at once.
    """
    every = extractor.detect_every
    scorer = ChangeScorer()

    def frames() -> Iterator[_Frame]:
        for number, image in profile.timed("decode", read_frames(film, beg, end)):
            with profile.time("change"):
                change = scorer.change(image)
            if number >= beg:
                yield _Frame(number, None if number % every else image, change)

    source = frames()
    while batch := list(islice(source, extractor.detector.batch_size * every)):
        yield batch


def detect_batches(
    detector: Detector, batches: Iterator[list[_Frame]], profile: Profile
) -> Iterator[list[_Frame]]:
    """The same batches, with what was found in each frame that is looked at."""
    for batch in batches:
        with profile.time("detect"):
            images = [frame.image for frame in batch if frame.image is not None]
            found = iter(detector.detect(images))
            for frame in batch:
                frame.found = None if frame.image is None else next(found)
        yield batch


def embed_batches(
    extractor: Extractor, film: Film, movie_id: int, batches: Iterator[list[_Frame]], profile: Profile
) -> Iterator[list[_Seen]]:
    """What is kept of each frame: its evidence and, where it is saved, embeddings and pictures."""
    width, height = film.display_width, film.display_height
    for batch in batches:
        seen: list[_Seen] = []
        crops: list[Image] = []
        saved: list[tuple[_Seen, Feature, bytes | None]] = []
        with profile.time("crop"):
            for frame in batch:
                if frame.image is None or frame.found is None:
                    seen.append(_Seen(FrameRecord(frame.number, frame.change, ())))
                    continue
                boxes, which = faces.integer_boxes(frame.found, width, height, extractor.min_face_size)
                save = frame.number % extractor.save_every == 0
                evidence = tuple(
                    FaceRecord(
                        tuple(box.tolist()),
                        round(float(frame.found.scores[index]), 4),
                        faces.sharpness(frame.image, box) if save else None,
                    )
                    for box, index in zip(boxes, which, strict=True)
                )
                one = _Seen(FrameRecord(frame.number, frame.change, evidence))
                seen.append(one)
                for box, index in zip(boxes, which, strict=True) if save else ():
                    keypoints = frame.found.keypoints[index]
                    crops.append(extractor.embedder.crop(frame.image, box.astype(np.float32), keypoints))
                    picture = thumbnail_bytes(frame.image, box) if extractor.pictures else None
                    empty = np.empty(0, np.float32)
                    feature = Feature(
                        movie_id, frame.number, tuple(box.tolist()), keypoints, empty, width, height
                    )
                    saved.append((one, feature, picture))
        with profile.time("embed"):
            embeddings = extractor.embedder.embed(crops)
        for (one, feature, picture), embedding in zip(saved, embeddings, strict=True):
            one.saved.append(_Saved(feature.with_embedding(embedding), picture))
        yield seen


def write_frame(
    one: _Seen,
    evidence: BinaryIO,
    features: BinaryIO,
    add_picture: Callable[[str, bytes], None],
    log: ShardLog,
) -> None:
    """Write what is kept of one frame, and remember it for the shard's end."""
    evidence.write(to_line(one.evidence))
    log.numbers.append(one.evidence.frame)
    log.changes.append(np.nan if one.evidence.change is None else one.evidence.change)
    for found in one.evidence.faces:
        log.frames.append(one.evidence.frame)
        log.boxes.extend(found.box)
    for face in one.saved:
        features.write(to_line(face.feature))
        log.saved += 1
        if face.picture is not None:
            add_picture(face.feature.tag, face.picture)


def _write_time(film: Film, movie_id: int, detect_every: int, files: ShardFiles, log: ShardLog) -> None:
    """The shard's own view of time: cuts and trajectories of its slice. The merge decides anew."""
    cuts = find_cuts(np.array(log.numbers, np.int64), np.array(log.changes, np.float64))
    files.scene_changes.write_bytes(scene_changes_bytes(movie_id, cuts))
    boxes = np.array(log.boxes, np.int64).reshape(-1, 4)
    tracks = track_sampled_frames(detect_every, np.array(log.frames, np.int64), boxes, cuts)
    with files.trajectories.open("wb") as file:
        for trajectory in to_trajectories(tracks, movie_id, film.display_width, film.display_height):
            file.write(to_line(trajectory))


def commit_shard(folder: MovieFolder, plan: Plan, beg: int, end: int, room: Path, marker: bytes) -> None:
    """Move the shard's files into place, the marker last; of two processes the second finds it done."""
    made, final = folder.shard(beg, end, room), folder.shard(beg, end)
    made.marker.write_bytes(marker)
    sync_files((*made.results, made.marker))
    with locked(folder.lock, 1 + beg):
        now = read_plan(folder)
        if now is None or now.fingerprint != plan.fingerprint:
            raise PlanError(f"{folder.path}: another run began afresh there; this shard's work is dropped")
        try:
            read_marker(folder, plan, beg, end)
            logging.info("%s: another process finished this shard meanwhile; its result stays", final.marker)
            return
        except PlanError:
            final.marker.unlink(missing_ok=True)
        for source, target in zip(made.results, final.results, strict=True):
            source.replace(target)
        for path in final.results:
            sync_folder(path.parent)
        made.marker.replace(final.marker)
        sync_folder(final.marker.parent)
