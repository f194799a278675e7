"""Finished shards: the markers that prove them, and how a run's shards are discarded."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson

from facerec.errors import ContractError, PlanError
from facerec.folder.layout import MovieFolder
from facerec.folder.plan import Plan
from facerec.support.atomic import refresh_directory_cache, sha256_of, sync_folder
from facerec.support.jsonl import is_int, read_json, require, require_keys
from facerec.support.locks import locked

NOT_DONE = "not done"

Markers = Mapping[int, Mapping[str, Any]]  # by shard number


def shard_label(plan: Plan, shard: int) -> str:
    """Return how messages name a shard."""
    beg, end = plan.range_of(shard)
    return f"movie {plan.movie_id} shard {shard} of {plan.n} (frames {beg}-{end})"


def marker_bytes(
    folder: MovieFolder,
    plan: Plan,
    beg: int,
    end: int,
    root: Path,
    report: Mapping[str, Any],
) -> bytes:
    """Return the marker of the finished shard `[beg, end)`, the files of which are under `root`."""
    final, written = (result_files(folder, plan, beg, end, where) for where in (None, root))
    files = {
        folder.relative(name): {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
        for name, path in zip(final, written, strict=True)
    }
    return orjson.dumps({"fingerprint": plan.fingerprint, "files": files, "report": dict(report)})


def read_marker(
    folder: MovieFolder, plan: Plan, beg: int, end: int, verify_hashes: bool = True
) -> dict[str, Any]:
    """Read the marker of the shard `[beg, end)` and compare it with the shard's files.

    Args:
        verify_hashes: compare the contents of the files; otherwise only their sizes, which is fast enough to
            be done every second.

    Raises:
        PlanError: the shard is not done: it has no marker, the marker is of another plan, or a file changed.
    """
    path = folder.shard(beg, end).marker
    if not path.exists():
        raise PlanError(NOT_DONE)
    try:
        names = [folder.relative(file) for file in result_files(folder, plan, beg, end)]
        marker = read_json(path, lambda value: _parse_marker(value, names, beg, end))
    except ContractError as error:
        raise PlanError(f"its marker is damaged or belongs to another shard ({error})") from None
    if marker["fingerprint"] != plan.fingerprint:
        raise PlanError("done for another plan")
    for name, file in marker["files"].items():
        target = folder.path / name
        if (
            not target.is_file()
            or target.stat().st_size != file["bytes"]
            or (verify_hashes and sha256_of(target) != file["sha256"])
        ):
            raise PlanError(f"{name} is missing or was changed")
    return marker


def result_files(
    folder: MovieFolder, plan: Plan, beg: int, end: int, root: Path | None = None
) -> tuple[Path, ...]:
    """Return the files of the shard `[beg, end)` but its marker; `root` as in `MovieFolder.shard`."""
    files = folder.shard(beg, end, root)
    return files.results if plan.has_miniatures else files.results[:-1]


def _parse_marker(value: object, names: list[str], beg: int, end: int) -> dict[str, Any]:
    """Check that a marker names exactly the files `names`, and only frames of its shard as skipped."""
    record = require_keys(value, {"fingerprint", "files", "report"})
    for file in require_keys(record["files"], set(names)).values():
        require_keys(file, {"bytes", "sha256"})
    report = record["report"]
    require(isinstance(report, dict), "the report must be an object")
    skipped = report.get("skipped")
    require(
        isinstance(skipped, list) and all(is_int(frame) and beg <= frame < end for frame in skipped),
        "the report must name the skipped frames",
    )
    embedder_types = {type(report.get(key)) for key in ("dimension", "same_person")}
    require(embedder_types <= {int, float}, "the report must give the embedder's dimension and same_person")
    return record


def done_markers(
    folder: MovieFolder,
    plan: Plan,
    shards: Collection[int] | None = None,
    on_not_done: Callable[[int, str], None] | None = None,
    verify_hashes: bool = True,
) -> dict[int, dict[str, Any]]:
    """Return the markers of those of `shards` (default: all) that are done, by shard number.

    Args:
        on_not_done: called with number and reason for each shard that is not done.
        verify_hashes: as in `read_marker`.
    """
    refresh_directory_cache(folder.shard(0, 0).marker.parent)
    markers: dict[int, dict[str, Any]] = {}
    for shard in range(plan.n) if shards is None else shards:
        try:
            markers[shard] = read_marker(folder, plan, *plan.range_of(shard), verify_hashes)
        except PlanError as error:
            if on_not_done:
                on_not_done(shard, str(error))
    return markers


def shards_digest(markers: Markers) -> str:
    """Return one SHA-256 for which shards are done and what their files hold."""
    hashes = {shard: marker["files"] for shard, marker in sorted(markers.items())}
    return sha256(orjson.dumps(hashes, option=orjson.OPT_NON_STR_KEYS)).hexdigest()


def discard_run(folder: MovieFolder) -> None:
    """Remove the plan and all shards of the folder, if it has a plan. No task may be running on it."""
    if folder.plan.exists():
        folder.create()  # an older version may have left out a subdirectory
        with locked(folder.lock):
            discard_run_locked(folder)


def discard_run_locked(folder: MovieFolder) -> None:
    """Remove the plan and all shards of a folder of which the caller holds the lock.

    Markers go first and the plan last, so that a kill at any point leaves no shard that looks done. A task
    that still works on one of the shards finds another plan before it commits.
    """
    logging.warning("%s: removing the previous plan and its shards", folder.path)
    for directory in reversed(folder.shard_dirs):
        for path in directory.iterdir():
            path.unlink(missing_ok=True)
        sync_folder(directory)
    folder.plan.unlink(missing_ok=True)
