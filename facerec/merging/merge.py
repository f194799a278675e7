"""A film's shards as one: coverage proved, cuts and trajectories decided once over the whole film."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from facerec.errors import ContractError, InputError, PlanError
from facerec.folder.documents import scene_changes_bytes
from facerec.folder.frame_records import FrameRecord, Quality
from facerec.folder.images import FaceKey, Thumbnails, locate_faces
from facerec.folder.layout import MovieFolder
from facerec.folder.manifest import outputs_of
from facerec.folder.names import tag_of
from facerec.folder.plan import Plan, format_ranges, read_plan, rerun_command
from facerec.folder.publish import publish, staging
from facerec.folder.readers import read_features, read_trajectories
from facerec.folder.records import Feature, to_line
from facerec.folder.shards import NOT_DONE, Markers, done_markers, shards_digest
from facerec.merging.face_export import export_faces
from facerec.merging.thumbnail_choice import best_pair
from facerec.people.quality import qualities as face_qualities
from facerec.settings import KeepSettings, ShowSettings, TrackSettings, VectorSettings
from facerec.support.jsonl import read_lines
from facerec.tracking.identity_switch import split_by_appearance
from facerec.tracking.tracker import Track
from facerec.tracking.trajectories import to_trajectories, track_sampled_frames
from facerec.video.shots import find_cuts

STAGE = "merge_shards"
_AT_ONCE = 1000  # faces whose quality is judged together


class SavedFace(NamedTuple):
    """Vector (d,) of length 1, and quality 0..1, of a saved face."""

    vector: NDArray[np.float32]
    quality: float


Saved = dict[FaceKey, SavedFace]


@dataclass(frozen=True)
class Detections:
    """Every detection of a film.

    Attributes:
        frames: (n,) int64.
        boxes: (n, 4) int64 x1, y1, x2, y2.
        numbers: (m,) the frames that could be decoded, ascending.
        changes: (m,) difference of each from the decoded frame before it; NaN for the first.
        saved: the quality of each saved face, by frame and box.
    """

    frames: NDArray[np.int64]
    boxes: NDArray[np.int64]
    numbers: NDArray[np.int64]
    changes: NDArray[np.float64]
    saved: list[Quality]


def merge(
    folder: MovieFolder,
    linking: TrackSettings,
    keeping: KeepSettings,
    *,
    allow_missing: bool,
    overwrite: bool,
    faces_to: Path | None = None,
) -> str:
    """Merge the shards of `folder` and publish the results.

    Args:
        faces_to: where every saved face of the trajectories is written as well, for training.

    Returns:
        What was made, as one line.

    Raises:
        PlanError: there is no plan, or shards are missing and `allow_missing` is not given; no
            top-level file is touched.
        StaleError: the folder is published and the results differ.
        InputError: the faces cannot be written for training: there are none, or others lie there.
    """
    plan, showing = read_plan(folder), ShowSettings()
    if plan is None:
        raise PlanError(f"{folder.path}: no plan.json, so no shard was extracted here; run extract.py first")
    if faces_to and not plan.settings["images"]:
        raise InputError(f"{folder.path}: was extracted with --no-images, so there are no faces to write")
    markers = covered(folder, plan, allow_missing)
    detected = read_detections(folder, plan, markers)
    cuts = find_cuts(detected.numbers, detected.changes)
    holes = [edge for shard in set(range(plan.n)) - markers.keys() for edge in plan.range_of(shard)]
    every = plan.settings.get("detect_every", 1)
    tracks = track_sampled_frames(every, detected.frames, detected.boxes, sorted({*cuts, *holes}), linking)
    with staging(folder) as room:
        made = {path: room / path.name for path in outputs_of(folder, STAGE)}
        features = _saved_faces(folder, plan, markers)
        saved = write_saved_faces(
            folder, features, detected.saved, made[folder.features], made[folder.quality]
        )
        tracks = _of_one_person(tracks, saved, same_person(markers))
        large = (one for one in tracks if _is_large(one, keeping))
        with_faces = [(one, places) for one in large if (places := _saved_of(one, saved))]
        kept, faces = [one for one, _ in with_faces], [places for _, places in with_faces]
        shown = [place for own in faces for place in _shown(own, saved, showing)]
        ranges = [plan.range_of(shard) for shard in sorted(markers)]
        pictures = Thumbnails(locate_faces(folder, ranges, saved, shown if plan.settings["images"] else ()))
        trajectories = to_trajectories(kept, folder.movie_id, *plan.video["display_size"])
        with made[folder.trajectories].open("wb") as file:
            file.writelines(map(to_line, trajectories))
        made[folder.scene_changes].write_bytes(scene_changes_bytes(folder.movie_id, cuts))
        changed = publish(
            folder,
            STAGE,
            made,
            inputs={folder.relative(folder.plan): plan.fingerprint, "shards": shards_digest(markers)},
            settings={**asdict(linking), **asdict(keeping), **asdict(showing)},
            report={"trajectories": len(trajectories), "dropped": len(tracks) - len(kept), "cuts": len(cuts)},
            overwrite=overwrite,
            about=_about(plan, markers),
            pictures=pictures,
        )
    if faces_to:
        export_faces(faces_to, folder, locate_faces(folder, ranges, saved, chain(*faces)), faces)
    return (
        f"{len(trajectories)} trajectories, {len(saved)} saved faces, {len(cuts)} scene changes "
        f"from {len(markers)} shards{'' if changed else '; nothing changed'}"
    )


def covered(folder: MovieFolder, plan: Plan, allow_missing: bool) -> Markers:
    """The markers of all shards, proving that every frame is owned once.

    Raises:
        PlanError: shards are not done; says which, and the command that runs just those.
    """
    why: dict[int, str] = {}
    markers = done_markers(folder, plan, tell=why.__setitem__)
    if not why:
        return markers
    for shard, reason in list(why.items())[:20]:
        if reason != NOT_DONE:
            logging.warning("%s: shard %d: %s", folder.path, shard, reason)
    missing = f"{folder.path}: shards {format_ranges(why)} of {plan.n} are not done"
    command = rerun_command(folder, plan, why)
    if not allow_missing:
        raise PlanError(f"{missing}; run: {command}")
    logging.warning("%s; merged without them. To complete it: %s", missing, command)
    return markers


def read_detections(folder: MovieFolder, plan: Plan, markers: Markers) -> Detections:
    """What the shards saw; every frame of theirs is there, or recorded as one that cannot be decoded."""
    numbers: list[int] = []
    changes: list[float] = []
    frames: list[NDArray[np.int64]] = [np.empty(0, np.int64)]
    boxes: list[NDArray[np.int64]] = [np.empty((0, 4), np.int64)]
    saved: list[Quality] = []
    for shard in sorted(markers):
        beg, end = plan.range_of(shard)
        files = folder.shard(beg, end)
        seen = set(markers[shard]["report"]["skipped"])
        for line, frame in read_lines(files.frame_records, FrameRecord.from_json):
            if not beg <= frame.frame < end or frame.frame in seen:
                raise ContractError(
                    files.frame_records, f"frame {frame.frame} is not this shard's, or stands twice", line
                )
            seen.add(frame.frame)
            numbers.append(frame.frame)
            changes.append(np.nan if frame.change is None else frame.change)
            saved += (
                Quality(tag_of(folder.movie_id, frame.frame, face.box), face.score, face.sharpness)
                for face in frame.faces
                if face.sharpness is not None
            )
        if len(seen) != end - beg:
            raise ContractError(
                files.frame_records, f"only {len(seen)} of the shard's {end - beg} frames are accounted for"
            )
        for one in read_trajectories(files.trajectories, folder.movie_id):
            frames.append(one.start + np.flatnonzero(one.detected))
            boxes.append(one.boxes[one.detected])
    return Detections(
        np.concatenate(frames), np.concatenate(boxes), np.array(numbers, np.int64), np.array(changes), saved
    )


def _saved_faces(folder: MovieFolder, plan: Plan, markers: Markers) -> Iterator[Feature]:
    """The saved faces of all shards, by frame and box."""
    for shard in sorted(markers):
        yield from read_features(folder.shard(*plan.range_of(shard)).features, folder.movie_id)


def _is_large(one: Track, keeping: KeepSettings) -> bool:
    """Long enough and large enough to keep, if it has a picture to show."""
    length = int(one.frames[-1] - one.frames[0]) + 1
    size = np.minimum(one.boxes[:, 2] - one.boxes[:, 0], one.boxes[:, 3] - one.boxes[:, 1]).max()
    return length >= keeping.min_trajectory and bool(size >= keeping.min_face_size)


def _saved_of(one: Track, saved: Saved) -> list[FaceKey]:
    """The saved faces of a track, in the order of time."""
    boxes = one.boxes.astype(np.int64).tolist()
    places = ((frame, *box) for frame, box in zip(one.frames.tolist(), boxes, strict=True))
    return [place for place in places if place in saved]


def _shown(places: Sequence[FaceKey], saved: Saved, showing: ShowSettings) -> list[FaceKey]:
    """Those of a track's saved faces that annotators see."""
    worth = [round(saved[place].quality / showing.quality_step) for place in places]
    return [places[i] for i in best_pair([frame for frame, *_ in places], worth, showing.min_separation)]


def same_person(markers: Markers) -> float | None:
    """The distance of the embedder that made the shards; None where there is none."""
    for marker in markers.values():
        return float(marker["report"]["same_person"])
    return None


def _of_one_person(tracks: Sequence[Track], saved: Saved, distance: float | None) -> list[Track]:
    """The tracks, those split whose faces say that the person changed, by first frame and box."""
    pieces: list[Track] = []
    for one in tracks:
        places = _saved_of(one, saved)
        if distance is None or not places:
            pieces.append(one)
        else:
            frames, vectors = zip(*((place[0], saved[place].vector) for place in places), strict=True)
            pieces += split_by_appearance(one, frames, vectors, distance)
    return sorted(pieces, key=lambda one: (int(one.frames[0]), one.boxes[0].tolist()))


def write_saved_faces(
    folder: MovieFolder,
    faces: Iterator[Feature],
    seen: list[Quality],
    features: Path,
    qualities: Path,
) -> Saved:
    """Write all shards' saved faces, and their qualities beside them; returns what is needed of each."""
    saved, judging = Saved(), VectorSettings()
    pairs = zip(faces, seen, strict=True)
    with features.open("wb") as to_features, qualities.open("wb") as to_qualities:
        while some := list(islice(pairs, _AT_ONCE)):
            for (feature, quality), worth in zip(some, face_qualities(some, judging), strict=True):
                if feature.tag != quality.tag:
                    raise PlanError(
                        f"{folder.path}: face {feature.tag} of the features is {quality.tag} in the evidence"
                    )
                saved[feature.frame, *feature.box] = SavedFace(feature.embedding, float(worth))
                to_features.write(to_line(feature))
                to_qualities.write(to_line(quality))
    return saved


def _about(plan: Plan, markers: Markers) -> dict[str, Any]:
    """What the manifest says of the film and of how it was extracted."""
    reports = {shard: marker["report"] for shard, marker in sorted(markers.items())}
    first: Mapping[str, Any] = next(iter(reports.values()), {})
    missing = sorted(set(range(plan.n)) - markers.keys())
    embedder = {**plan.models["embedder"], **{key: first.get(key) for key in ("dimension", "same_person")}}
    return {
        "film": dict(plan.film),
        "video": {key: value for key, value in plan.video.items() if key != "times"},
        "frame_count": plan.frame_count,
        "notes": list(plan.notes),
        "models": {**plan.models, "embedder": embedder},
        "settings": dict(plan.settings),
        "shards": {
            "n": plan.n,
            "missing": format_ranges(missing),
            "missing_frames": [list(plan.range_of(shard)) for shard in missing],
            "reports": [
                {"shard": shard, "range": list(plan.range_of(shard)), **report}
                for shard, report in reports.items()
            ],
        },
        "skipped_frames": [frame for report in reports.values() for frame in report["skipped"]],
    }
