"""The plan of a film's extraction: everything that all shards of a run must have in common.

The first shard task of a run writes `plan.json`; every other task compares its own options with it. Which
shards a film has follows from the plan alone, never from the files that are found in the folder.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from facerec import __version__
from facerec.errors import ContractError, InputError, PlanError
from facerec.folder.layout import MovieFolder
from facerec.settings import RESULTS_VERSION
from facerec.support.atomic import create_once, refresh_directory_cache
from facerec.support.jsonl import read_json, require, require_keys
from facerec.support.shell import option, stage_command

MAX_SHARDS = 1_000_000
_RANGE = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9}))?")
_KINDS = {"movie_id": int, "film": dict, "video": dict, "frame_count": int, "n": int, "settings": dict,
          "models": dict, "notes": list, "program": str}  # fmt: skip


def shard_range(frame_count: int, shard: int, n: int) -> tuple[int, int]:
    """Return the frames `[beg, end)` of shard `shard` of `n`; some are empty if `n` exceeds `frame_count`."""
    return frame_count * shard // n, frame_count * (shard + 1) // n


def parse_ranges(text: str, n: int) -> list[int]:
    """Return the shards of a list such as `0-31,40`, ascending and without duplicates.

    Raises:
        InputError: `text` is not such a list, or names a shard that is not below `n`.
    """
    shards: set[int] = set()
    for part in text.split(","):
        match = _RANGE.fullmatch(part.strip())
        if match is None:
            raise InputError(f"--shard {text}: give shard numbers such as 5, 0-31 or 0-31,40")
        lo, hi = int(match[1]), int(match[2] or match[1])
        if lo > hi:
            raise InputError(
                f"--shard {text}: in {part.strip()} the first number must not be above the second"
            )
        if hi >= n:
            raise InputError(f"--shard {text}: with --n {n} the shards are 0 to {n - 1}")
        shards.update(range(lo, hi + 1))
    return sorted(shards)


def format_ranges(shards: Iterable[int]) -> str:
    """Return `shards` as a list that `parse_ranges` reads: {1, 2, 3, 7} is `1-3,7`."""
    runs: list[list[int]] = []
    for shard in sorted(shards):
        if runs and shard == runs[-1][1] + 1:
            runs[-1][1] = shard
        else:
            runs.append([shard, shard])
    return ",".join(f"{lo}-{hi}" if hi > lo else f"{lo}" for lo, hi in runs)


@dataclass(frozen=True)
class Plan:
    """What all shards of a run have in common; plans with equal fingerprints give equal results.

    Attributes:
        film: name, size in bytes, SHA-256, probe (hash of a few of its bytes) and modification time.
        video: what is needed to read the film without indexing it again; `times` are the presentation times
            of the frames as `pack_times` returns them.
        n: number of shards.
        settings: the options that decide the results, so neither batch size nor device.
        models: the model cards of detector and embedder.
        notes: what the user should know about the film: lost frames, inexact seeking.
        program: the release that wrote the plan; for information.
        results_version: `settings.RESULTS_VERSION` of that release; None in plans of 0.1.0: version 1.
    """

    movie_id: int
    film: Mapping[str, Any]
    video: Mapping[str, Any]
    frame_count: int
    n: int
    settings: Mapping[str, Any]
    models: Mapping[str, Any]
    notes: tuple[str, ...]
    program: str = f"facerec {__version__}"
    results_version: int | None = RESULTS_VERSION

    def to_json(self) -> dict[str, Any]:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    @property
    def is_of_other_results(self) -> bool:
        """Whether the release that made the plan computes other results than this one."""
        return (self.results_version or 1) != RESULTS_VERSION

    @property
    def has_miniatures(self) -> bool:
        """Whether its shards have miniatures, which those of version 1 do not."""
        return (self.results_version or 1) > 1

    @property
    def display_size(self) -> tuple[int, int] | None:
        """Width and height of the displayed frame in pixels; None in a plan that was edited by hand."""
        size = self.video.get("display_size")
        return (size[0], size[1]) if isinstance(size, list) and len(size) == 2 else None

    @cached_property
    def fingerprint(self) -> str:
        """The SHA-256 of everything in the plan that can change the results."""
        # a copy of the film counts as the same film, and has another modification time
        film = {key: value for key, value in self.film.items() if key != "mtime_ns"}
        run = {**self.to_json(), "film": film}
        if self.results_version is not None:
            del run["program"]
        return sha256(orjson.dumps(run, option=orjson.OPT_SORT_KEYS)).hexdigest()

    def range_of(self, shard: int) -> tuple[int, int]:
        """Return the frames `[beg, end)` of a shard."""
        return shard_range(self.frame_count, shard, self.n)

    def shard_of(self, frame: int) -> int:
        """Return the shard that owns a frame."""
        return ((frame + 1) * self.n - 1) // self.frame_count

    def differences(self, requested: Mapping[str, Any]) -> list[str]:
        """Return a phrase for each value of `requested` (nested as in `to_json`) that differs here."""
        return _differences("", requested, self.to_json())


def _differences(prefix: str, requested: Mapping[str, Any], planned: Mapping[str, Any]) -> list[str]:
    found: list[str] = []
    for key, value in requested.items():
        other = planned.get(key)
        if isinstance(value, Mapping) and isinstance(other, Mapping):
            found += _differences(f"{prefix}{key} ", value, other)
        elif value != other:
            found.append(
                f"{prefix}{key} is {_shortened(other)} in the plan, but {_shortened(value)} was requested"
            )
    return found


def _shortened(value: object) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:12]}…"


def read_plan(folder: MovieFolder) -> Plan | None:
    """Read the plan of a folder; None if no shard task has written one.

    Raises:
        PlanError: the file is damaged, or of another version of the format.
    """
    refresh_directory_cache(folder.path)
    if not folder.plan.exists():
        return None
    return _read(folder)[0]


def planned_film_path(folder: MovieFolder) -> Path:
    """Return where the film was when the folder's plan was made."""
    return Path(os.fsdecode(_read(folder)[1]["film"].encode()))  # whatever the encoding of the locale


def rerun_command(folder: MovieFolder, plan: Plan, shards: Iterable[int]) -> str:
    """Return the command line that extracts the given `shards` of the folder's plan, and no others."""
    command = _read(folder)[1]
    words = ["--shard", format_ranges(shards), "--n", str(plan.n), "--out", str(folder.path.parent)]
    return stage_command("extract", *words, *command["options"], command["film"])


def _read(folder: MovieFolder) -> tuple[Plan, dict[str, Any]]:
    """Return the plan, and the film path and options with which `extract.py` was called when it was made."""
    try:
        return read_json(folder.plan, _parse)
    except ContractError as error:
        raise PlanError(f"{error}; start the extraction again with {option('--fresh')}") from None


def _parse(value: object) -> tuple[Plan, dict[str, Any]]:
    record = require_keys(value, {"run", "command", "fingerprint"})
    names = {field.name for field in fields(Plan)}
    by_0_1_0 = isinstance(record["run"], dict) and "results_version" not in record["run"]
    run = require_keys(record["run"], names - {"results_version"} if by_0_1_0 else names)
    require(by_0_1_0 or type(run["results_version"]) is int, "results_version must be an integer")
    for name, kind in _KINDS.items():
        require(type(run[name]) is kind, f"{name} must be of type {kind.__name__}")
    require(run["n"] > 0 and run["frame_count"] >= 0, "n and frame_count must be positive")
    command = require_keys(record["command"], {"film", "options"})
    options = command["options"]
    require(
        isinstance(options, list) and {*map(type, [*options, command["film"]])} == {str},
        "film and options must be strings",
    )
    plan = Plan(**{"results_version": None, **run, "notes": tuple(run["notes"])})
    require(plan.fingerprint == record["fingerprint"], "it was edited after it was written")
    return plan, command


def write_plan(folder: MovieFolder, plan: Plan, film: Path, options: Sequence[str]) -> bool:
    """Write the plan unless the folder has one.

    Args:
        film: path of the film.
        options: command-line options of `extract.py`, without shards, film and output folder.

    Returns:
        Whether this process wrote it; False if another one was first.
    """
    command = {"film": str(film.absolute()), "options": list(options)}
    record = {"run": plan.to_json(), "command": command, "fingerprint": plan.fingerprint}
    return create_once(folder.plan, orjson.dumps(record, option=orjson.OPT_SORT_KEYS))


def pack_times(pts: NDArray[np.int64]) -> list[list[int]]:
    """Return ascending times as runs `[step, count]`, counted from 0.

    A film with a constant frame rate has two or three runs.
    """
    steps = np.diff(pts, prepend=0)
    starts = np.flatnonzero(np.diff(steps, prepend=steps[:1] - 1))
    counts = np.diff(starts, append=len(steps))
    return [[int(step), int(count)] for step, count in zip(steps[starts], counts, strict=True)]


def unpack_times(runs: list[list[int]]) -> NDArray[np.int64]:
    """Return the times that `pack_times` was given."""
    steps, counts = np.array(runs, np.int64).reshape(-1, 2).T
    return np.cumsum(np.repeat(steps, counts))
