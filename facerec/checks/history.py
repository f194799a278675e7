"""The rules for how a data folder was made: its plan, its shards and the chain of its stages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from facerec.checks.violations import Deviations
from facerec.errors import ContractError, FacerecError
from facerec.folder.documents import read_scene_changes
from facerec.folder.face_archive import reading_pack
from facerec.folder.frame_records import FrameEvidence
from facerec.folder.images import pictures_digest, pictures_in
from facerec.folder.layout import MovieFolder
from facerec.folder.manifest import STAGES, checked_chain, read_manifest, recorded_holes
from facerec.folder.names import picture_name
from facerec.folder.plan import Plan, format_ranges, read_plan
from facerec.folder.records import Feature, Trajectory, scan_features, scan_trajectories
from facerec.folder.shards import NOT_DONE, done_markers, shards_digest
from facerec.support.jsonl import scan_lines


def sound_plan(folder: MovieFolder, found: Deviations) -> Plan | None:
    """The folder's plan; None, and a deviation, where there is none."""
    try:
        plan = read_plan(folder)
    except FacerecError as error:
        found.add(folder.plan, _rule(error, folder.plan))
        return None
    if plan is None:
        found.add(folder.plan, "this file must exist")
    elif plan.movie_id != folder.movie_id:
        found.add(folder.plan, f"movie_id {plan.movie_id} in the folder of movie {folder.movie_id}")
    return plan


def check_provenance(folder: MovieFolder, plan: Plan | None, found: Deviations) -> str:
    """Check the shards against the plan, and every stage's results against the manifest.

    Returns:
        Which shards the merge was allowed to leave out, as a phrase; empty where none.
    """
    manifest: Mapping[str, Any] = {}
    if not folder.manifest.exists():
        found.add(folder.manifest, "this file must exist")
    else:
        try:
            manifest = read_manifest(folder)
            checked_chain(folder, STAGES)
        except FacerecError as error:
            found.add(folder.manifest, _rule(error, folder.manifest))
    pictures = pictures_in(folder)
    merged = manifest.get("stages", {}).get("merge_shards")
    if merged and merged["outputs"].get(folder.relative(folder.images)) != pictures_digest(pictures):
        found.add(folder.images, "not the pictures that merge_shards.py put here; run it again")
    if plan is None:
        return ""
    holes = recorded_holes(manifest, plan)
    _check_shards(folder, plan, holes, manifest, pictures, found)
    return f"without shards {format_ranges(holes)} of {plan.n}, as the manifest says" if holes else ""


def _rule(error: FacerecError, path: Path) -> str:
    return str(error).removeprefix(f"{path}: ").removeprefix(f"{path.parent}: ")


def _check_shards(
    folder: MovieFolder,
    plan: Plan,
    holes: set[int],
    manifest: Mapping[str, Any],
    pictures: Mapping[str, str],
    found: Deviations,
) -> None:
    why: dict[int, str] = {}
    markers = done_markers(folder, plan, tell=why.__setitem__)
    lost = {shard: reason for shard, reason in why.items() if not (shard in holes and reason == NOT_DONE)}
    for shard, reason in lost.items():
        found.add(folder.shard(*plan.range_of(shard)).done, f"shard {shard} of {plan.n}: {reason}")
    merged = manifest.get("stages", {}).get("merge_shards", {}).get("inputs", {}).get("shards")
    if merged is not None and not lost and merged != shards_digest(markers):
        found.add(folder.manifest, "merge_shards.py's results were made from other shards than lie here")
    pictured = plan.settings.get("images") is not False
    for shard, marker in markers.items():
        beg, end = plan.range_of(shard)
        for error in _shard_errors(folder, beg, end, len(marker["report"]["skipped"]), pictured, pictures):
            found.take(error)
    files = [folder.shard(*plan.range_of(shard)) for shard in range(plan.n)]
    expected = {path for one in files for path in (*one.results, one.done)}
    for room in sorted({path.parent for path in expected}):
        for path in sorted(room.iterdir()) if room.is_dir() else ():
            if path not in expected:
                found.add(path, "no shard of the plan has this file")


def _shard_errors(
    folder: MovieFolder, beg: int, end: int, skipped: int, pictured: bool, pictures: Mapping[str, str]
) -> Iterator[ContractError]:
    """What is wrong inside the files of the shard `[beg, end)`, and with the pictures that come from it."""
    files, movie_id = folder.shard(beg, end), folder.movie_id
    frames = 0
    tags: list[str] = []
    try:
        for cut in read_scene_changes(files.scene_changes, movie_id):
            if not beg <= cut < end:
                yield ContractError(files.scene_changes, f"cut {cut} outside the shard's {beg}..{end - 1}")
    except ContractError as error:
        yield error
    scans: tuple[tuple[Path, Iterator[tuple[int, Any]]], ...] = (
        (files.trajectories, scan_trajectories(files.trajectories, movie_id)),
        (files.features, scan_features(files.features, movie_id)),
        (files.evidence, scan_lines(files.evidence, FrameEvidence.from_json)),
    )
    for path, records in scans:
        for number, record in records:
            if isinstance(record, ContractError):
                yield record
                continue
            whole = isinstance(record, Trajectory)
            first, last = (record.start, record.end - 1) if whole else (record.frame, record.frame)
            if not beg <= first <= last < end:
                yield ContractError(
                    path, f"frames {first}..{last} outside the shard's {beg}..{end - 1}", number
                )
            frames += path == files.evidence
            if isinstance(record, Feature):
                tags.append(record.tag)
    if frames + skipped != end - beg:
        rule = f"{frames} frames and {skipped} skipped ones of the shard's {end - beg}"
        yield ContractError(files.evidence, rule)
    try:
        with reading_pack(files.faces, len(tags)) as pack:
            if not pack.holds(tags if pictured else []):
                yield ContractError(files.faces, f"its faces are not those of {files.features.name}")
            for tag in tags if pictured else ():
                shown = pictures.get(picture_name(tag))
                if shown and shown != sha256(pack.picture(tag)).hexdigest():
                    yield ContractError(folder.picture(tag), "not the picture that its shard saved")
    except ContractError as error:
        yield error
