"""One process at work on the features of a list, or of tar shards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from facerec.feature_runs.claims import Claims
from facerec.feature_runs.engine import FeatureEngine
from facerec.feature_runs.feature_folder import FeatureFolder
from facerec.feature_runs.list_source import ListSource, OutputName
from facerec.feature_runs.listing import Places, read_items
from facerec.feature_runs.loading import Feature
from facerec.feature_runs.media import open_footage
from facerec.feature_runs.provenance import Provenance
from facerec.feature_runs.rows import OutputFormat
from facerec.feature_runs.run_log import RunLog
from facerec.feature_runs.sources import Footage
from facerec.feature_runs.tar_shard import find_shards
from facerec.feature_runs.tar_source import SHARD, TarSource
from facerec.feature_runs.worker import Worker
from facerec.folder.plan import shard_range


@dataclass(frozen=True)
class FileOptions:
    """Options of reading files and of sharing the work.

    Attributes:
        frame_rate: of folders of frames, in frames per second.
        threads: of video decoders; 0 for `cpu_threads()`.
        shards, n: this process begins with the first of these shards, of `n`; then it helps the others.
        fresh: discard features that were made with other options or inputs.
    """

    frame_rate: float = 25.0
    threads: int = 0
    shards: Sequence[int] = (0,)
    n: int = 1
    fresh: bool = False

    def open(self, path: Path) -> Footage:
        """Open a file or folder of frames."""
        return open_footage(path, self.frame_rate, self.threads)


def run_list(
    path: Path, places: Places, features: Sequence[Feature], format: OutputFormat, options: FileOptions
) -> dict[str, Any]:
    """Compute features of the items of a list.

    Returns:
        The numbers of items by result, see `ListSource.finish`.

    Raises:
        InputError, StaleError: the list cannot be read, or the outputs' folder has other features.
    """
    entries = read_items(path, places)
    folder = FeatureFolder(places.out, options.fresh)
    names = {feature.name: output_name(feature) for feature in features}
    others = {file.stem for file in folder.provenance.glob("*.json")} - names.keys()
    source = ListSource(entries, names, folder, options.open, nested=len(names) > 1 or bool(others))
    records = {
        feature.name: {"feature": feature.name, **feature.description, "frame_rate": options.frame_rate}
        for feature in features
    }
    return _run(source, folder, features, format, options, records)


def run_tars(
    patterns: Sequence[str],
    out: Path,
    features: Sequence[Feature],
    format: OutputFormat,
    options: FileOptions,
    pickled: bool,
) -> dict[str, Any]:
    """Compute features of the clips in tar shards.

    Args:
        patterns: paths of tar files, with brace expressions.
        pickled: write `.pkl` files instead of `.npz` and `.jsonl`.

    Returns:
        The numbers of clips by result, see `TarSource.finish`.

    Raises:
        InputError, StaleError: no tar file is there, or the outputs' folder has other features.
    """
    shards = find_shards(patterns)
    folder = FeatureFolder(out, options.fresh, tars=True)
    names = {feature.name: output_name(feature) for feature in features}
    source = TarSource(shards, names, folder, options.open, pickled)
    records = {feature.name: {"feature": feature.name, **feature.description} for feature in features}
    # an output has all features of its clips, so a later run cannot add one
    records[SHARD] = {"features": [*names], "outputs": "pkl" if pickled else "npz"}
    return _run(source, folder, features, format, options, records)


def output_name(feature: Feature) -> OutputName:
    """Return the properties of a feature that decide the names of its outputs."""
    window = None if feature.kind == "sound" else feature.extractor.settings.get("window", 1)
    return OutputName(feature.arrays, window)


def _run(
    source: ListSource | TarSource,
    folder: FeatureFolder,
    features: Sequence[Feature],
    format: OutputFormat,
    options: FileOptions,
    records: dict[str, dict[str, Any]],
) -> dict[str, Any]:
    provenance = {
        name: Provenance(folder.provenance / f"{name}.json", record) for name, record in records.items()
    }
    with Claims(folder.claims, partial(_prepare, source, folder, provenance, options.fresh)) as claims:
        for record in provenance.values():
            record.record()
        run_log = RunLog(folder.path)
        engine = FeatureEngine(
            {feature.name: feature.extractor for feature in features}, format, folder.parts.parent
        )
        try:
            units = source.units()
            beg, _ = shard_range(len(units), options.shards[0], options.n)
            Worker(engine, claims, folder.index, run_log).run([*units[beg:], *units[:beg]])
            return source.finish()
        finally:
            run_log.close()


def _prepare(
    source: ListSource | TarSource, folder: FeatureFolder, provenance: dict[str, Provenance], fresh: bool
) -> None:
    """Remove temporary files and, if `fresh`, features of other provenance; runs alone."""
    folder.remove_stale_temporaries()
    changed = [name for name, record in provenance.items() if fresh and record.differences()]
    if changed:
        folder.remove(changed)
        for name in changed:
            (folder.provenance / f"{name}.json").unlink()
    source.retry()
