"""Rules for how a movie folder was made: its plan, its shards, and the chain of stages in its manifest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from facerec.checks.violations import Violations
from facerec.errors import ContractError, FacerecError
from facerec.folder.documents import read_scene_changes
from facerec.folder.face_archive import open_face_archive
from facerec.folder.frame_records import FrameRecord
from facerec.folder.images import thumbnail_hashes, thumbnails_digest
from facerec.folder.layout import MovieFolder
from facerec.folder.manifest import checked_stages, read_manifest, recorded_missing, recorded_warnings
from facerec.folder.miniature_archive import check_miniatures
from facerec.folder.names import thumbnail_name
from facerec.folder.plan import Plan, format_ranges, read_plan
from facerec.folder.readers import scan_features, scan_trajectories
from facerec.folder.records import SavedFace, Trajectory
from facerec.folder.shards import NOT_DONE, done_markers, result_files, shards_digest
from facerec.stages import PIPELINE
from facerec.support.jsonl import scan_lines


def check_plan(folder: MovieFolder, violations: Violations) -> Plan | None:
    """Check plan.json; returns the plan, None if there is none that can be read."""
    try:
        plan = read_plan(folder)
    except FacerecError as error:
        violations.add_failure(folder.plan, error)
        return None
    if plan is None:
        violations.add(folder.plan, "this file must exist")
    elif plan.movie_id != folder.movie_id:
        violations.add(folder.plan, f"movie_id {plan.movie_id} in the folder of movie {folder.movie_id}")
    return plan


def check_history(folder: MovieFolder, plan: Plan | None, violations: Violations) -> str:
    """Check the shards against the plan, and every stage's results against the manifest.

    Returns:
        The shards that the merge was allowed to leave out, as a phrase; empty if there are none.
    """
    manifest: Mapping[str, Any] = {}
    if not folder.manifest.exists():
        violations.add(folder.manifest, "this file must exist")
    else:
        try:
            manifest = read_manifest(folder)
            checked_stages(folder, PIPELINE)
        except FacerecError as error:
            violations.add_failure(folder.manifest, error)
    for warning in recorded_warnings(manifest):
        violations.warn(folder.manifest, warning)
    images = thumbnail_hashes(folder)
    merged = manifest.get("stages", {}).get("merge_shards")
    if merged and merged["outputs"].get(folder.relative(folder.images)) != thumbnails_digest(images):
        rule = "its files are not those that merge_shards.py wrote; run merge_shards.py again"
        violations.add(folder.images, rule)
    if plan is None:
        return ""
    holes = recorded_missing(manifest, plan)
    _check_shards(folder, plan, holes, manifest, images, violations)
    return f"without shards {format_ranges(holes)} of {plan.n}, as the manifest says" if holes else ""


def _check_shards(
    folder: MovieFolder,
    plan: Plan,
    holes: set[int],
    manifest: Mapping[str, Any],
    images: Mapping[str, str],
    violations: Violations,
) -> None:
    """Check every shard of the plan, and that no other shard's file is there.

    Args:
        holes: shards that the merge was allowed to leave out.
        images: SHA-256 of each file in images/, by name.
    """
    reasons: dict[int, str] = {}
    markers = done_markers(folder, plan, on_not_done=reasons.__setitem__)
    lost = {shard: reason for shard, reason in reasons.items() if not (shard in holes and reason == NOT_DONE)}
    for shard, reason in lost.items():
        violations.add(folder.shard(*plan.range_of(shard)).marker, f"shard {shard} of {plan.n}: {reason}")
    merged = manifest.get("stages", {}).get("merge_shards", {}).get("inputs", {}).get("shards")
    if merged is not None and not lost and merged != shards_digest(markers):
        rule = "merge_shards.py's results were made from other shards than those in this folder"
        violations.add(folder.manifest, rule)
    with_images = plan.settings.get("images") is not False
    for shard, marker in markers.items():
        beg, end = plan.range_of(shard)
        skipped = len(marker["report"]["skipped"])
        for error in _shard_violations(folder, beg, end, skipped, images if with_images else None):
            violations.add_error(error)
        if plan.has_miniatures:
            try:
                check_miniatures(folder.shard(beg, end).miniatures, end - beg - skipped)
            except ContractError as error:
                violations.add_error(error)
    ranges = [plan.range_of(shard) for shard in range(plan.n)]
    expected = {path for one in ranges for path in result_files(folder, plan, *one)}
    expected |= {folder.shard(*one).marker for one in ranges}
    for directory in sorted({path.parent for path in expected}):
        for path in sorted(directory.iterdir()) if directory.is_dir() else ():
            if path not in expected:
                violations.add(path, "not a file of any shard of the plan")


def _shard_violations(
    folder: MovieFolder, beg: int, end: int, skipped: int, images: Mapping[str, str] | None
) -> Iterator[ContractError]:
    """Yield the rules that the files of shard `[beg, end)`, and the thumbnails from it, break.

    Args:
        skipped: frames of the shard that could not be decoded.
        images: SHA-256 of each file in images/, by name; None if the plan saves no thumbnails.
    """
    files, movie_id = folder.shard(beg, end), folder.movie_id
    frames = 0
    tags: list[str] = []
    try:
        for cut in read_scene_changes(files.scene_changes, movie_id):
            if not beg <= cut < end:
                rule = f"cut {cut} outside the shard's frames {beg}..{end - 1}"
                yield ContractError(files.scene_changes, rule)
    except ContractError as error:
        yield error
    scans: tuple[tuple[Path, Iterator[tuple[int, Any]]], ...] = (
        (files.trajectories, scan_trajectories(files.trajectories, movie_id)),
        (files.features, scan_features(files.features, movie_id)),
        (files.frame_records, scan_lines(files.frame_records, FrameRecord.from_json)),
    )
    for path, records in scans:
        for number, record in records:
            if isinstance(record, ContractError):
                yield record
                continue
            if isinstance(record, Trajectory):
                first, last = record.start, record.end - 1
            else:
                first = last = record.frame
            if not beg <= first <= last < end:
                rule = f"frames {first}..{last} outside the shard's frames {beg}..{end - 1}"
                yield ContractError(path, rule, number)
            frames += path == files.frame_records
            if isinstance(record, SavedFace):
                tags.append(record.tag)
    if frames + skipped != end - beg:
        rule = f"{frames} frames and {skipped} skipped ones, but the shard has {end - beg}"
        yield ContractError(files.frame_records, rule)
    try:
        with open_face_archive(files.faces, len(tags)) as archive:
            if not archive.holds(tags if images is not None else []):
                yield ContractError(files.faces, f"its faces are not those of {files.features.name}")
            for tag in tags if images is not None else ():
                digest = (images or {}).get(thumbnail_name(tag))
                if digest and digest != sha256(archive.read(tag)).hexdigest():
                    yield ContractError(folder.thumbnail(tag), "not the thumbnail that its shard saved")
    except ContractError as error:
        yield error
