"""The run folder of features, `<out>/logs/<name>/`, and which of their shards are done.

Its records are those of slurm.records; `work.json` says what the features are of. Every set of features of a
movie, a list or tar shards has a folder of its own: `12345-place+action`, `videos-1a2b3c-resnet152`.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import re
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import orjson

from facerec.errors import FacerecError, InputError
from facerec.folder.layout import MovieFolder
from facerec.stages import FEATURES
from facerec.support.atomic import write_bytes
from facerec.support.jsonl import read_json, require_keys
from slurm.records import RunFolder, RunRecords

if TYPE_CHECKING:
    from facerec.feature_runs.progress import Progress

log = logging.getLogger(__name__)
_WORK = "work.json"
_MISSING = "missing"  # as in facerec.feature_runs.progress
_OWN = ("--features", "--out", "--path", "--shard", "--n", "--fresh")  # given by the launcher


@dataclass(frozen=True)
class FeatureWork:
    """The input and the features of a run.

    Attributes:
        movie_id: None for a list or tar shards.
        inputs: the list, or the tar files with brace expressions; empty for a movie.
        tars: whether the inputs are tar shards.
        features: as for `--features`, `NAME` or `NAME:FILE`.
        args: further arguments of extract_features.py.
        shards: number of shards of the last run.
    """

    movie_id: int | None
    inputs: list[str]
    tars: bool
    features: list[str]
    args: list[str]
    shards: int = 0

    @property
    def names(self) -> list[str]:
        """Names of the features, without their weights."""
        return [spec.partition(":")[0] for spec in self.features]

    @property
    def source(self) -> str:
        """The movie id, or the name of the list or tar files: the beginning of the names of run folders."""
        if self.movie_id is not None:
            return str(self.movie_id)
        path = Path(self.inputs[0])
        stem = re.sub(r"[^\w.-]+", "_", re.sub(r"\{.*", "", path.stem), flags=re.ASCII)[:40].strip("._-")
        where = "\n".join(str(Path(name).absolute()) for name in self.inputs)
        return f"{stem or 'list'}-{hashlib.sha256(where.encode('utf-8', 'surrogateescape')).hexdigest()[:6]}"

    @property
    def deciding_args(self) -> list[str]:
        """The arguments that decide the results."""
        given, others = _parsed(self.args)
        return [*others, *(f"--{name}={value}" for name, value in _places(given).items() if value)]

    def check(self) -> None:
        """Check the arguments.

        Raises:
            InputError: one is set by the launcher, or lacks its value.
        """
        words = {word.partition("=")[0] for word in self.args}
        for option in _OWN:
            if option in words:
                raise InputError(f"FEATURES_ARGS: {option} is set by the launcher; leave it out")
        _parsed(self.args)


class FeatureRun(RunRecords):
    """Paths and records of the runs of some features."""

    sharded_stage = FEATURES.short_name
    stages = (FEATURES.short_name,)
    shares_work = True

    def __init__(self, out: Path, work: FeatureWork) -> None:
        what = f"movie {work.movie_id}" if work.movie_id is not None else " ".join(work.inputs)
        name = f"{work.source}-{'+'.join(work.names)}"
        super().__init__(out, name, f"{what}, {', '.join(work.names)}")
        self.work = work

    @cached_property
    def progress(self) -> Progress:
        """The progress of the features.

        Raises:
            InputError: the movie has no cuts yet, or the list or the tar files are not there.
        """
        from facerec.feature_runs import progress
        from facerec.feature_runs.listing import Places

        if self.work.movie_id is not None:
            folder = MovieFolder(self.out / f"{self.work.movie_id}-data")
            return progress.movie_progress(folder, self.work.names)
        if self.work.tars:
            return progress.tar_progress(self.work.inputs, self.out)
        given, _ = _parsed(self.work.args)
        places = Places(self.out, Path(given.root) if given.root else None, given.video_suffix or "")
        return progress.list_progress(Path(self.work.inputs[0]), places, self.work.names)

    def shards_to_do(self, n: int, shards: Collection[int], contents: bool = False) -> list[int]:
        """Return those of `shards`, of `n`, that are not finished: all if the input cannot be read."""
        try:
            return sorted(self.progress.unfinished(n, shards, contents))
        except FacerecError as error:
            log.warning("%s", error)
            return sorted(shards)

    def failures(self, n: int, shards: Collection[int]) -> dict[int, str]:
        """Return why shards failed, by the index of the features."""
        unfinished = self.progress.unfinished(n, shards)
        return {shard: reason for shard, reason in unfinished.items() if reason != _MISSING}

    def variables(self) -> list[str]:
        """Return the variables of make that name this work."""
        features = f"FEATURES={' '.join(self.work.features)}"
        if self.work.movie_id is not None:
            return [f"MOVIE={self.work.movie_id}", features]
        return [
            f"TARS={' '.join(self.work.inputs)}" if self.work.tars else f"LIST={self.work.inputs[0]}",
            features,
        ]

    def identity(self) -> dict[str, Any]:
        """Return what names this work in the status for programs."""
        return {"movie_id": self.work.movie_id, "inputs": self.work.inputs, "features": self.work.features}

    @property
    def planned_shards(self) -> int:  # type: ignore[override]
        """The number of shards of the last run; 0 before the first."""
        path = self.path / _WORK
        return _read(path).shards if path.exists() else 0

    def save_work(self, shards: int, fresh: bool) -> None:
        """Record what the features are of, and the number of shards of this run.

        Raises:
            FacerecError: they were started with other arguments, and not `fresh`.
        """
        path = self.path / _WORK
        if path.exists() and not fresh:
            before = _read(path)
            if (before.features, before.deciding_args) != (self.work.features, self.work.deciding_args):
                old = " ".join([*before.features, *before.args])
                raise FacerecError(
                    f"{self.title}: was started with other options ({old}): give the same ones, or discard "
                    "those features and start again with FRESH=1"
                )
        record = {**asdict(self.work), "shards": shards}
        write_bytes(path, orjson.dumps(record, option=orjson.OPT_INDENT_2))


def open_run(out: Path, name: str) -> RunRecords:
    """Open the run folder `name` of a movie or of features."""
    path = out / "logs" / name / _WORK
    return FeatureRun(out, _read(path)) if path.exists() else RunFolder(out, int(name))


def feature_runs(out: Path, source: str) -> Iterator[FeatureRun]:
    """Yield the runs of features of one source, see `FeatureWork.source`."""
    for path in sorted((out / "logs").glob(f"{source}-*/{_WORK}")):
        work = _read(path)
        if work.source == source:
            yield FeatureRun(out, work)


def _read(path: Path) -> FeatureWork:
    names = {item.name for item in fields(FeatureWork)}
    return read_json(path, lambda value: FeatureWork(**require_keys(value, names)))


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(f"FEATURES_ARGS: {message}")


def _parsed(args: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Return the arguments that the launcher knows, and those that decide the results in another way."""
    parser = _Parser(add_help=False, allow_abbrev=False)
    for option in ("--root", "--video-suffix", "--batch-size", "--threads", "--device"):
        parser.add_argument(option)
    parser.add_argument("-v", "--verbose", action="store_true")
    return parser.parse_known_args(args)


def _places(given: argparse.Namespace) -> dict[str, str | None]:
    return {"root": given.root, "video-suffix": given.video_suffix}
