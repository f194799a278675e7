"""The merge of a film's shards: cuts and trajectories are decided once, over the whole film."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from facerec import __version__
from facerec.errors import InputError, PlanError
from facerec.folder.documents import TransitionRecord, scene_changes_bytes, transitions_bytes
from facerec.folder.frame_records import QualityRecord
from facerec.folder.images import FaceKey, Thumbnails, locate_faces
from facerec.folder.layout import MovieFolder
from facerec.folder.manifest import outputs_of
from facerec.folder.plan import Plan, format_ranges, read_plan
from facerec.folder.plausibility import implausible_counts
from facerec.folder.publish import publish, staging
from facerec.folder.records import SavedFace, to_line
from facerec.folder.shards import Markers, shards_digest
from facerec.merging.face_export import export_faces
from facerec.merging.shard_results import (
    FilmDetections,
    read_detections,
    read_markers,
    read_saved_faces,
    same_person_distance,
)
from facerec.merging.thumbnail_choice import best_pair
from facerec.people.quality import saved_face_quality
from facerec.settings import (
    RULE,
    TRANSNET,
    KeepSettings,
    ShotSettings,
    ThumbnailSettings,
    TrackSettings,
    VectorSettings,
)
from facerec.support.cli import progress
from facerec.support.shell import option
from facerec.support.text import counted
from facerec.tracking.identity_switch import split_by_appearance
from facerec.tracking.tracker import Track
from facerec.tracking.trajectories import to_trajectories, track_sampled_frames
from facerec.video.miniature import Miniatures, to_rgb
from facerec.video.network_shots import agreed_transitions, network_transitions
from facerec.video.shots import HARD, Transition, cuts_of, find_transitions

STAGE = "merge_shards"
_FACES_AT_ONCE = 1000  # faces for which quality is computed together


class FaceVector(NamedTuple):
    """What the merge keeps in memory of a saved face: its embedding (d,), and its quality 0..1."""

    embedding: NDArray[np.float32]
    quality: float


FaceVectors = dict[FaceKey, FaceVector]


def merge(
    folder: MovieFolder,
    tracking: TrackSettings,
    keeping: KeepSettings,
    shots: ShotSettings | None = None,
    *,
    allow_missing: bool,
    overwrite: bool,
    faces_to: Path | None = None,
) -> str:
    """Merge the shards of `folder` and publish the results.

    Args:
        faces_to: directory to which all saved faces of the trajectories are exported, for training.

    Returns:
        A one-line summary.

    Raises:
        PlanError: there is no plan, another release made the shards, or shards are missing and
            `allow_missing` is not set.
        StaleError: the folder is published and the results differ, and `overwrite` is not set.
        ModelError: the network of `shots` is not installed.
        InputError: the faces cannot be exported: none were saved, or the directory has other faces.
        ContractError: a file of a shard is damaged.
    """
    plan, thumbnail_settings, shots = read_plan(folder), ThumbnailSettings(), shots or ShotSettings()
    if plan is None:
        raise PlanError(f"{folder.path}: no plan.json, so no shard was extracted here; run extract.py first")
    if plan.is_of_other_results:
        raise PlanError(
            f"{folder.path}: {plan.program} extracted its shards, which computes other results than facerec "
            f"{__version__}. Merge them with that release, or extract the film again with {option('--fresh')}"
        )
    if faces_to and not plan.settings["images"]:
        raise InputError(
            f"{folder.path}: was extracted with --no-images, so there are no thumbnails for --faces"
        )
    markers = read_markers(folder, plan, allow_missing)
    detections = read_detections(folder, plan, markers)
    try:
        transitions = _choose_transitions(detections.decoded_frames, detections.miniatures, shots)
    finally:
        detections.miniatures.close()
    cuts = cuts_of(transitions)
    warnings = _warnings(plan, markers, detections)
    for warning in warnings:
        logging.warning("%s: %s", folder.path, warning)
    missing = set(range(plan.n)) - markers.keys()
    missing_edges = [edge for shard in missing for edge in plan.range_of(shard)]  # no track may cross one
    detect_every = plan.settings.get("detect_every", 1)
    borders = sorted({*cuts, *missing_edges})
    tracks = track_sampled_frames(detect_every, detections.frames, detections.boxes, borders, tracking)
    with staging(folder) as directory:
        files = {path: directory / path.name for path in outputs_of(folder, STAGE)}
        features = read_saved_faces(folder, plan, markers)
        saved = write_saved_faces(
            folder, features, detections.qualities, files[folder.features], files[folder.quality]
        )
        tracks = _split_by_person(tracks, saved, same_person_distance(markers))
        large = (track for track in tracks if _is_large(track, keeping))
        kept = [(track, keys) for track in large if (keys := _saved_faces_of(track, saved))]
        shown = [key for _, keys in kept for key in _choose_thumbnails(keys, saved, thumbnail_settings)]
        ranges = [plan.range_of(shard) for shard in sorted(markers)]
        shown_faces = locate_faces(folder, ranges, saved, shown if plan.settings["images"] else ())
        thumbnails = Thumbnails(shown_faces)
        kept_tracks = [track for track, _ in kept]
        trajectories = to_trajectories(kept_tracks, folder.movie_id, *plan.video["display_size"])
        with files[folder.trajectories].open("wb") as file:
            file.writelines(map(to_line, trajectories))
        files[folder.scene_changes].write_bytes(scene_changes_bytes(folder.movie_id, cuts))
        if folder.transitions in files:  # not in a folder without a shard
            records = [TransitionRecord(one.kind, one.begin, one.end, one.cut) for one in transitions]
            files[folder.transitions].write_bytes(transitions_bytes(folder.movie_id, records))
        changed = publish(
            folder,
            STAGE,
            files,
            inputs={folder.relative(folder.plan): plan.fingerprint, "shards": shards_digest(markers)},
            settings={**asdict(tracking), **asdict(keeping), **asdict(thumbnail_settings), **asdict(shots)},
            report={
                "trajectories": len(trajectories),
                "dropped": len(tracks) - len(kept),
                "cuts": len(cuts),
                "gradual": sum(one.kind != HARD for one in transitions),
                "warnings": warnings,
            },
            overwrite=overwrite,
            manifest_entries=_manifest_entries(plan, markers),
            thumbnails=thumbnails,
        )
    if faces_to:
        by_trajectory = [keys for _, keys in kept]
        archived = locate_faces(folder, ranges, saved, chain(*by_trajectory))
        export_faces(faces_to, folder, archived, by_trajectory)
    return (
        f"{counted(len(trajectories), 'trajectory', 'trajectories')}, {counted(len(saved), 'saved face')}, "
        f"{counted(len(cuts), 'scene change')} "
        f"from {counted(len(markers), 'shard')}{'' if changed else '; nothing changed'}"
    )


def _choose_transitions(
    frames: NDArray[np.int64], miniatures: Miniatures, settings: ShotSettings
) -> list[Transition]:
    """Find the transitions of a film by the method that was chosen.

    Raises:
        ModelError: the network is asked for and not installed.
    """
    if settings.shots == RULE or not len(frames):
        return find_transitions(frames, miniatures, settings)
    from facerec.models.transnet import TransNet  # it takes seconds to import torch

    network = TransNet()
    with progress("shots", len(frames)) as advance:
        probabilities = network.probabilities(
            lambda begin, end: to_rgb(miniatures[begin:end]), len(frames), advance
        )
    if settings.shots == TRANSNET:
        return network_transitions(frames, miniatures, probabilities)
    return agreed_transitions(frames, miniatures, probabilities, settings)


def _warnings(plan: Plan, markers: Markers, detections: FilmDetections) -> list[str]:
    """Say what about the film's number of faces suggests that the detector is broken."""
    detected = detections.decoded_frames % plan.settings.get("detect_every", 1) == 0
    # an earlier release did not count saturated frames
    saturated = sum(marker["report"].get("saturated", 0) for marker in markers.values())
    kind = plan.models["detector"]["kind"]
    return implausible_counts(kind, int(detected.sum()), len(detections.frames), saturated)


def write_saved_faces(
    folder: MovieFolder,
    faces: Iterator[SavedFace],
    qualities: list[QualityRecord],
    features_file: Path,
    qualities_file: Path,
) -> FaceVectors:
    """Write the saved faces of all shards to one file, and their quality records to another.

    Raises:
        PlanError: faces and quality records are not about the same faces.
    """
    saved, settings = FaceVectors(), VectorSettings()
    pairs = zip(faces, qualities, strict=True)
    with features_file.open("wb") as to_features, qualities_file.open("wb") as to_qualities:
        while batch := list(islice(pairs, _FACES_AT_ONCE)):
            for (face, record), quality in zip(batch, saved_face_quality(batch, settings), strict=True):
                if face.tag != record.tag:
                    raise PlanError(
                        f"{folder.path}: face {face.tag} in features/ is face {record.tag} in evidence/; "
                        f"extract the film again with {option('--fresh')}"
                    )
                saved[face.frame, *face.box] = FaceVector(face.embedding, float(quality))
                to_features.write(to_line(face))
                to_qualities.write(to_line(record))
    return saved


def _split_by_person(tracks: Sequence[Track], saved: FaceVectors, distance: float | None) -> list[Track]:
    """Split the tracks in which the person changes; returns all tracks sorted by first frame and box."""
    pieces: list[Track] = []
    for track in tracks:
        keys = _saved_faces_of(track, saved)
        if distance is None or not keys:
            pieces.append(track)
        else:
            frames, embeddings = zip(*((key[0], saved[key].embedding) for key in keys), strict=True)
            pieces += split_by_appearance(track, frames, embeddings, distance)
    return sorted(pieces, key=lambda piece: (int(piece.frames[0]), piece.boxes[0].tolist()))


def _is_large(track: Track, settings: KeepSettings) -> bool:
    """Whether a track is long enough, and its largest box large enough, to be kept."""
    length = int(track.frames[-1] - track.frames[0]) + 1
    size = np.minimum(track.boxes[:, 2] - track.boxes[:, 0], track.boxes[:, 3] - track.boxes[:, 1]).max()
    return length >= settings.min_trajectory and bool(size >= settings.min_face_size)


def _saved_faces_of(track: Track, saved: FaceVectors) -> list[FaceKey]:
    """Return the saved faces of a track, sorted by frame."""
    boxes = track.boxes.astype(np.int64).tolist()
    keys = ((frame, *box) for frame, box in zip(track.frames.tolist(), boxes, strict=True))
    return [key for key in keys if key in saved]


def _choose_thumbnails(
    keys: Sequence[FaceKey], saved: FaceVectors, settings: ThumbnailSettings
) -> list[FaceKey]:
    """Choose the saved faces of a track that annotators see."""
    qualities = [round(saved[key].quality / settings.quality_step) for key in keys]
    return [keys[i] for i in best_pair([frame for frame, *_ in keys], qualities, settings.min_separation)]


def _manifest_entries(plan: Plan, markers: Markers) -> dict[str, Any]:
    """Return what the manifest records about the film and its extraction."""
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
