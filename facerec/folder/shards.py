"""Finished shards: the markers that prove them, which are done, and how all of them are dropped."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson

from facerec.errors import ContractError, PlanError
from facerec.folder.layout import MovieFolder
from facerec.folder.plan import (
    Plan,
)
from facerec.support.atomic import refresh_directory_cache, sha256_of, sync_folder
from facerec.support.jsonl import is_int, read_json, require, require_keys
from facerec.support.locks import locked


def discard_run(folder: MovieFolder) -> None:
    """Drop the plan and all shards of the folder, if it has any; nothing may be at work in it."""
    if folder.plan.exists():
        folder.create()  # a version before may not have had all rooms
        with locked(folder.lock):
            discard_run_locked(folder)


def discard_run_locked(folder: MovieFolder) -> None:
    """Drop the plan and all shards: markers first, the plan last, so that a kill leaves nothing to trust.

    A task that still works on one of those shards sees the other plan before it commits.
    """
    logging.warning("%s: beginning afresh, the shards of the plan before are dropped", folder.path)
    for room in reversed(folder.shard_dirs):
        for path in room.iterdir():
            path.unlink(missing_ok=True)
        sync_folder(room)
    folder.plan.unlink(missing_ok=True)


Markers = Mapping[int, Mapping[str, Any]]


def shards_digest(markers: Markers) -> str:
    """What tells apart shards that are there and that hold other contents: a hash of their files' hashes."""
    hashes = {shard: marker["files"] for shard, marker in sorted(markers.items())}
    return sha256(orjson.dumps(hashes, option=orjson.OPT_NON_STR_KEYS)).hexdigest()


NOT_DONE = "not done"


def marker_bytes(
    folder: MovieFolder,
    plan: Plan,
    beg: int,
    end: int,
    root: Path,
    report: Mapping[str, Any],
) -> bytes:
    """The marker of the finished shard `[beg, end)`, whose files lie under `root`."""
    made = zip(_names(folder, beg, end), folder.shard(beg, end, root).results, strict=True)
    files = {name: {"bytes": path.stat().st_size, "sha256": sha256_of(path)} for name, path in made}
    return orjson.dumps({"fingerprint": plan.fingerprint, "files": files, "report": dict(report)})


def read_marker(folder: MovieFolder, plan: Plan, beg: int, end: int, contents: bool = True) -> dict[str, Any]:
    """The marker of shard `[beg, end)`, whose files are as it says.

    Args:
        contents: compare the files' contents; without, only see that the files are there with their
            sizes, which is quick enough to be asked every second.

    Raises:
        PlanError: the shard is not done: no marker, another plan's, or a file that changed.
    """
    path = folder.shard(beg, end).marker
    if not path.exists():
        raise PlanError(NOT_DONE)
    try:
        marker = read_json(path, lambda value: _parse_marker(value, _names(folder, beg, end), beg, end))
    except ContractError as error:
        raise PlanError(f"its marker is damaged or another shard's ({error})") from None
    if marker["fingerprint"] != plan.fingerprint:
        raise PlanError("done for another plan")
    for name, file in marker["files"].items():
        target = folder.path / name
        if (
            not target.is_file()
            or target.stat().st_size != file["bytes"]
            or (contents and sha256_of(target) != file["sha256"])
        ):
            raise PlanError(f"{name} is missing or was changed")
    return marker


def _names(folder: MovieFolder, beg: int, end: int) -> list[str]:
    return [folder.relative(path) for path in folder.shard(beg, end).results]


def _parse_marker(value: object, names: list[str], beg: int, end: int) -> dict[str, Any]:
    """A marker names just its shard's files, and frames of the shard as skipped."""
    record = require_keys(value, {"fingerprint", "files", "report"})
    for file in require_keys(record["files"], set(names)).values():
        require_keys(file, {"bytes", "sha256"})
    report = record["report"]
    require(isinstance(report, dict), "the report must be an object")
    skipped, said = report.get("skipped"), (type(report.get(key)) for key in ("dimension", "same_person"))
    require(
        isinstance(skipped, list) and all(is_int(frame) and beg <= frame < end for frame in skipped),
        "the report must name the skipped frames",
    )
    require({*said} <= {int, float}, "the report must say the embedder's dimension and same_person")
    return record


def done_markers(
    folder: MovieFolder,
    plan: Plan,
    shards: Collection[int] | None = None,
    tell: Callable[[int, str], None] | None = None,
    contents: bool = True,
) -> dict[int, dict[str, Any]]:
    """The markers of those of `shards` (default: all) that are done, by shard number.

    Args:
        tell: called with shard and reason for each that is not.
        contents: as in `read_marker`.
    """
    refresh_directory_cache(folder.shard(0, 0).marker.parent)
    markers: dict[int, dict[str, Any]] = {}
    for shard in range(plan.n) if shards is None else shards:
        try:
            markers[shard] = read_marker(folder, plan, *plan.range_of(shard), contents)
        except PlanError as error:
            if tell:
                tell(shard, str(error))
    return markers
