"""The plan of a film's extraction: what every shard agrees on, and the proof that none is missing.

The first shard task of a run writes `plan.json`; every other one checks itself against it. A shard is
done when its marker is there and names the plan's fingerprint and the shard's files as they are.
Coverage is read off the plan, never off the files that happen to lie in the folder.
"""

from __future__ import annotations

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
from facerec.support.atomic import create_once, refresh_directory_cache
from facerec.support.jsonl import read_json, require, require_keys
from facerec.support.shell import stage_command

MAX_SHARDS = 1_000_000
_RANGE = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9}))?")
_KINDS = {"movie_id": int, "film": dict, "video": dict, "frame_count": int, "n": int, "settings": dict,
          "models": dict, "notes": list, "program": str}  # fmt: skip


def shard_range(frame_count: int, shard: int, n: int) -> tuple[int, int]:
    """The frames `[beg, end)` of shard `shard` of `n`; empty for some where shards outnumber frames."""
    return frame_count * shard // n, frame_count * (shard + 1) // n


def parse_ranges(text: str, n: int) -> list[int]:
    """The shards of a list such as `0-31,40`, ascending, each once, all below `n`."""
    shards: set[int] = set()
    for part in text.split(","):
        match = _RANGE.fullmatch(part.strip())
        if match is None:
            raise InputError(f"--shard {text}: give shard numbers such as 5, 0-31 or 0-31,40")
        lo, hi = int(match[1]), int(match[2] or match[1])
        if lo > hi:
            raise InputError(f"--shard {text}: {part.strip()} runs backwards")
        if hi >= n:
            raise InputError(f"--shard {text}: with --n {n} the shards are 0 to {n - 1}")
        shards.update(range(lo, hi + 1))
    return sorted(shards)


def format_ranges(shards: Iterable[int]) -> str:
    """The inverse of `parse_ranges`: {1, 2, 3, 7} is `1-3,7`."""
    runs: list[list[int]] = []
    for shard in sorted(shards):
        if runs and shard == runs[-1][1] + 1:
            runs[-1][1] = shard
        else:
            runs.append([shard, shard])
    return ",".join(f"{lo}-{hi}" if hi > lo else f"{lo}" for lo, hi in runs)


@dataclass(frozen=True)
class Plan:
    """What all shards of a run have in common; two plans with one fingerprint give the same bytes.

    Attributes:
        film: name, size in bytes, SHA-256, the probe that identifies it cheaply, and when it was changed.
        video: what `video.py` needs to read the film without indexing it again; the frames' presentation
            times stand in it as `pack_times` writes them.
        n: number of shards.
        settings: what decides the result (never batch size or device).
        models: the cards of detector and embedder, with the embedder's dimension and calibration.
        notes: what the user should know of the film: losses, seeking that differs.
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

    def to_json(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @cached_property
    def fingerprint(self) -> str:
        # a copy of the film is the same film, whenever it was made
        film = {key: value for key, value in self.film.items() if key != "mtime_ns"}
        run = {**self.to_json(), "film": film}
        return sha256(orjson.dumps(run, option=orjson.OPT_SORT_KEYS)).hexdigest()

    def range_of(self, shard: int) -> tuple[int, int]:
        return shard_range(self.frame_count, shard, self.n)

    def differences(self, wanted: Mapping[str, Any]) -> list[str]:
        """How what is wanted (name to value, nested) differs from this plan, a phrase each."""
        return _differences("", wanted, self.to_json())


def _differences(name: str, wanted: Mapping[str, Any], have: Mapping[str, Any]) -> list[str]:
    found: list[str] = []
    for key, value in wanted.items():
        here = have.get(key)
        if isinstance(value, Mapping) and isinstance(here, Mapping):
            found += _differences(f"{name}{key} ", value, here)
        elif value != here:
            found.append(f"{name}{key} is {_short(here)} there and {_short(value)} here")
    return found


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:12]}…"


def read_plan(folder: MovieFolder) -> Plan | None:
    """The folder's plan, None where no shard has begun.

    Raises:
        PlanError: the file is damaged, or of another program.
    """
    refresh_directory_cache(folder.path)
    if not folder.plan.exists():
        return None
    return _read(folder)[0]


def rerun_command(folder: MovieFolder, plan: Plan, shards: Iterable[int]) -> str:
    """The command line that extracts just `shards` of the folder's plan."""
    command = _read(folder)[1]
    words = ["--shard", format_ranges(shards), "--n", str(plan.n), "--out", str(folder.path.parent)]
    return stage_command("extract", *words, *command["options"], command["film"])


def _read(folder: MovieFolder) -> tuple[Plan, dict[str, Any]]:
    """The plan, and the film's path and options that `extract.py` was called with for it."""
    try:
        return read_json(folder.plan, _parse)
    except ContractError as error:
        raise PlanError(f"{error}; start afresh with extract.py --fresh") from None


def _parse(value: object) -> tuple[Plan, dict[str, Any]]:
    record = require_keys(value, {"run", "command", "fingerprint"})
    run = require_keys(record["run"], {field.name for field in fields(Plan)})
    for name, kind in _KINDS.items():
        require(type(run[name]) is kind, f"{name} must be of type {kind.__name__}")
    require(run["n"] > 0 and run["frame_count"] >= 0, "n and frame_count must be positive")
    command = require_keys(record["command"], {"film", "options"})
    words, rule = command["options"], "film and options must be words of a command"
    require(isinstance(words, list) and {*map(type, [*words, command["film"]])} == {str}, rule)
    plan = Plan(**{**run, "notes": tuple(run["notes"])})
    require(plan.fingerprint == record["fingerprint"], "it was changed after it was written")
    return plan, command


def write_plan(folder: MovieFolder, plan: Plan, film: Path, options: Sequence[str]) -> bool:
    """Write the plan unless another process was first; returns whether this one was.

    Args:
        options: what `extract.py` was called with besides shards, film and place.
    """
    command = {"film": str(film.absolute()), "options": list(options)}
    record = {"run": plan.to_json(), "command": command, "fingerprint": plan.fingerprint}
    return create_once(folder.plan, orjson.dumps(record, option=orjson.OPT_SORT_KEYS))


def pack_times(pts: NDArray[np.int64]) -> list[list[int]]:
    """Ascending times as runs `[step, count]`, the first step from 0: an even film's are two or three."""
    steps = np.diff(pts, prepend=0)
    begins = np.flatnonzero(np.diff(steps, prepend=steps[:1] - 1)) if len(steps) else steps
    counts = np.diff(begins, append=len(steps))
    return [[int(step), int(count)] for step, count in zip(steps[begins], counts, strict=True)]


def unpack_times(runs: list[list[int]]) -> NDArray[np.int64]:
    """The inverse of `pack_times`."""
    steps, counts = np.array(runs, np.int64).reshape(-1, 2).T
    return np.cumsum(np.repeat(steps, counts))
