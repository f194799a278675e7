"""The manifest: what each stage read and wrote, by SHA-256; checked along the graph of the stages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import orjson

from facerec import stages
from facerec.errors import ContractError, FacerecError, StaleError
from facerec.folder.layout import MovieFolder
from facerec.folder.plan import Plan, parse_ranges, read_plan
from facerec.settings import TrackSettings
from facerec.stages import Stage
from facerec.support.atomic import sha256_of, write_bytes
from facerec.support.jsonl import is_int, read_json, require
from facerec.support.shell import stage_command

# type of each value; dimension and calibration are null if no shard was merged
_EMBEDDER_TYPES = {"kind": (str,), "sha256": (str,), "dimension": (int, type(None)),
             "same_person": (float, int, type(None))}  # fmt: skip


def outputs_of(folder: MovieFolder, stage: str) -> tuple[Path, ...]:
    """Return the files that `stage` writes.

    Without miniatures there are no transitions: an earlier release made the folder.
    """
    names = stages.PIPELINE[stage].outputs
    return tuple(getattr(folder, name) for name in names if name != "transitions" or folder.has_miniatures)


def read_manifest(folder: MovieFolder) -> dict[str, Any]:
    """Read the manifest of a folder; returns an empty one if no stage has run.

    Raises:
        StaleError: the manifest is damaged.
    """
    if not folder.manifest.exists():
        return {"movie_id": folder.movie_id, "stages": {}, "history": []}
    try:
        return read_json(folder.manifest, _parse_manifest)
    except ContractError as error:
        raise StaleError(
            f"{error}; move it away, then run merge_shards.py and all later stages again to write a new one"
        ) from None


def recorded_missing(manifest: Mapping[str, Any], plan: Plan) -> set[int]:
    """Return the shards that the merge left out because it was called with --allow-missing."""
    shards = manifest.get("shards")
    missing = shards.get("missing") if isinstance(shards, dict) else None
    try:
        return set(parse_ranges(missing, plan.n)) if missing and isinstance(missing, str) else set()
    except FacerecError:
        return set()


def recorded_poor_pages(manifest: Mapping[str, Any]) -> frozenset[int]:
    """Return the clusters that are shared pages of trajectories too poor to compare, see `people.pages`."""
    pages = manifest.get("stages", {}).get("cluster", {}).get("report", {}).get("poor_pages")
    return frozenset(page for page in pages if is_int(page)) if isinstance(pages, list) else frozenset()


def recorded_warnings(manifest: Mapping[str, Any]) -> list[str]:
    """Return what the merge reported about the film's number of faces; an earlier release did not."""
    report = manifest.get("stages", {}).get("merge_shards", {}).get("report", {})
    warnings = report.get("warnings")
    return list(map(str, warnings)) if isinstance(warnings, list) else []


def recorded_tracking(manifest: Mapping[str, Any]) -> TrackSettings:
    """Return the settings with which the merge linked detections; defaults where it recorded none.

    `max_gap` is the longest gap in a track, in frames of the film. Where faces were detected in every d-th
    frame only, that is up to d - 1 frames more than the setting, see `tracking.track_sampled_frames`.
    """
    settings = manifest.get("stages", {}).get("merge_shards", {}).get("settings", {})
    names = [field.name for field in fields(TrackSettings)]
    recorded = TrackSettings(
        **{name: settings[name] for name in names if isinstance(settings.get(name), int | float)}
    )
    every = manifest.get("settings", {}).get("detect_every", 1)
    if not is_int(every) or every < 1:
        return recorded
    return replace(recorded, max_gap=(recorded.max_gap // every + 1) * every - 1)


def _parse_manifest(value: object) -> dict[str, Any]:
    require(isinstance(value, dict), "a JSON object is expected")
    assert isinstance(value, dict)
    entries = value.get("stages")
    require(
        isinstance(entries, dict) and isinstance(value.get("history"), list), "stages or history is missing"
    )
    assert isinstance(entries, dict)
    for name in ("film", "video", "models", "settings", "shards"):
        require(isinstance(value.get(name, {}), dict), f"{name} must be an object")
    names = {stage.name for stage in stages.PIPELINE.recorded}
    for name, stage in entries.items():
        require(name in names and isinstance(stage, dict), f"{name!r} is not a stage")
        parts = (stage.get(part) for part in ("inputs", "outputs", "settings", "report"))
        require(
            "made_at" in stage and all(isinstance(part, dict) for part in parts),
            f"the entry of {name} is incomplete",
        )
    return value


def is_published(folder: MovieFolder) -> bool:
    """Whether the folder has every file that the labeling backend needs."""
    return all(path.exists() for path in (folder.trajectories, folder.clusters, folder.predictions))


def checked_inputs(folder: MovieFolder, stage: str) -> dict[str, str]:
    """Check every stage upstream of `stage` and return the SHA-256 of their files by name.

    Raises:
        StaleError: a file is missing, is not what its stage recorded, or was made from another one.
    """
    return checked_stages(folder, stages.PIPELINE.upstream(stage))


def checked_stages(folder: MovieFolder, makers: Iterable[Stage]) -> dict[str, str]:
    """Check the results of the stages `makers`, given in topological order, as `checked_inputs` does.

    Sharded stages are skipped, because markers prove their results, and so are optional ones.
    """
    recorded = read_manifest(folder)["stages"]
    plan = read_plan(folder)
    now = {folder.relative(folder.plan): plan.fingerprint} if plan else {}
    for maker in (stage.name for stage in makers if not stage.sharded and not stage.optional):
        again = f"run: {stage_command(maker, '--path', str(folder.path))}"
        if maker not in recorded:
            raise StaleError(f"{folder.path}: {maker}.py has not run here; {again}")
        for name, digest in recorded[maker]["inputs"].items():
            if name in now and now[name] != digest:
                raise StaleError(
                    f"{folder.path}: {maker}.py's results were made from another version of {name}; {again}"
                )
        for path in outputs_of(folder, maker):
            if not path.is_file():
                raise StaleError(f"{path}: this file must exist; {again}")
            name = folder.relative(path)
            now[name] = sha256_of(path)
            if now[name] != recorded[maker]["outputs"].get(name):
                raise StaleError(f"{path}: not the file that {maker}.py wrote; {again}")
    return now


def write_manifest(folder: MovieFolder, manifest: Mapping[str, Any]) -> None:
    """Replace the manifest of a folder atomically."""
    write_bytes(folder.manifest, orjson.dumps(manifest, option=orjson.OPT_INDENT_2))


@dataclass(frozen=True)
class EmbedderInfo:
    """The embedder of a folder, as recorded in its manifest.

    Attributes:
        dimension: length of an embedding; None if no shard was merged.
        same_person: distance of two embeddings at which one person is as likely as two; 1 if no shard was
            merged.
    """

    kind: str
    sha256: str
    dimension: int | None
    same_person: float


def read_embedder(folder: MovieFolder) -> EmbedderInfo:
    """Return the embedder that `merge_shards.py` recorded.

    Raises:
        StaleError: the record is missing or incomplete.
    """
    models = read_manifest(folder).get("models")
    entry = models.get("embedder") if isinstance(models, dict) else None
    for name, types in _EMBEDDER_TYPES.items():
        if not isinstance(entry, dict) or name not in entry or type(entry[name]) not in types:
            raise StaleError(
                f"{folder.manifest}: the embedder's {name} is missing or has the wrong type; "
                f"run: {stage_command('merge_shards', '--path', str(folder.path))}"
            )
    assert isinstance(entry, dict)
    return EmbedderInfo(entry["kind"], entry["sha256"], entry["dimension"], entry["same_person"] or 1.0)
