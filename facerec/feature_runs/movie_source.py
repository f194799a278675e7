"""A movie as a source: features of each shot of `scene_changes.json`, and of the whole film.

The units of work are runs of shots, and all sound as one more unit, because sound is always decoded from its
start. A unit also computes the film's own windows that have their centre in it; the worker that finishes
the last unit joins them. Extractors with state work on shots only; their features of the film are those of
its shots, joined.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from facerec.errors import FacerecError, InputError
from facerec.feature_runs.claims import Claims
from facerec.feature_runs.discarding import discard_folder
from facerec.feature_runs.feature_folder import FeatureFolder, is_failed
from facerec.feature_runs.film_footage import FilmFootage
from facerec.feature_runs.film_parts import FilmParts
from facerec.feature_runs.loading import Feature
from facerec.feature_runs.movie_inputs import MovieInputs
from facerec.feature_runs.movie_units import MovieUnit
from facerec.feature_runs.provenance import Provenance
from facerec.feature_runs.rows import Rows
from facerec.feature_runs.sources import NoSoundError
from facerec.feature_runs.spans import FILM, SHOT, SOUND, shot_name
from facerec.features.base import FEATURES, PICTURES, Arrays
from facerec.folder.layout import MovieFolder, ShotFeatureFiles
from facerec.folder.plan import shard_range
from facerec.support.atomic import remove_stale_temporaries

log = logging.getLogger(__name__)


class MovieSource:
    """Features of one movie, see `sources.Source`.

    Args:
        threads: of the film's decoder; 0 for `cpu_threads()`.
        fresh: discard features that were made with other options or inputs.

    Attributes:
        claims: of the workers on this movie's features; to be entered before `begin`.
    """

    def __init__(
        self,
        folder: MovieFolder,
        inputs: MovieInputs,
        features: Sequence[Feature],
        threads: int = 0,
        fresh: bool = False,
    ) -> None:
        self.folder, self.inputs = folder, inputs
        self.features = {feature.name: feature for feature in features}
        self.outputs = FeatureFolder(folder.shot_features)
        self.footage = FilmFootage(inputs.film, threads)
        self.claims = Claims(self.outputs.claims, first=partial(self._prepare, fresh))
        self._failed_before: set[tuple[str, str]] = set()  # items or units, and features
        kinds = {feature.kind for feature in features}
        self._units = [MovieUnit(self, span.key, span) for span in inputs.spans() if kinds - {"sound"}]
        if "sound" in kinds:
            self._units.append(MovieUnit(self, SOUND, None))

    # --- provenance

    def begin(self) -> None:
        """Record what the features are made from, and what failed before: this process tries it again.

        Raises:
            StaleError: there are features that were made with other options or inputs.
        """
        for name in self.features:
            self._provenance(name).record()
        self.outputs.index.refresh()
        failed = {
            (entry["item"], entry["feature"]) for entry in self.outputs.index.entries() if is_failed(entry)
        }
        parts = {
            (key, name) for name in self.features for key in self._parts(name).failed(self._unit_keys(name))
        }
        self._failed_before = failed | parts

    def _prepare(self, fresh: bool) -> None:
        """Remove temporary files and, if `fresh`, features of other provenance; runs alone."""
        remove_stale_temporaries(self.outputs.path)
        for name in self.features:
            if not fresh or not self._provenance(name).differences():
                continue
            folder = self._files(name).folder
            log.warning("%s: removing features that were made with other options or inputs", folder)
            self._parts(name).remove()
            self.outputs.index.remove([(item, name) for item in self.items()])
            discard_folder(folder)
        for name in self.features:
            remove_stale_temporaries(self._files(name).folder)

    def _provenance(self, name: str) -> Provenance:
        wanted = {"feature": name, **self.inputs.identity, **self.features[name].description}
        return Provenance(self._files(name).provenance, wanted)

    # --- units

    def units(self) -> Sequence[MovieUnit]:
        """Return a unit for each run of shots, and one for all sound."""
        return self._units

    def units_of(self, shards: Sequence[int], n: int) -> list[MovieUnit]:
        """Return the units of some of `n` shards; every unit belongs to one shard."""
        units = self.units()
        ranges = [shard_range(len(units), shard, n) for shard in shards]
        return [unit for beg, end in ranges for unit in units[beg:end]]

    def finish(self) -> dict[str, Any]:
        """Join the film's features that are complete, and put the index in order.

        Returns:
            The numbers of shots and films, over all features, by result: `finished`, `failed`, `unfinished`.
        """
        index = self.outputs.index
        index.refresh()
        for name in self.features:
            if self._can_join(name):
                with self.claims.hold(f"join.{name}") as claim:
                    index.refresh()
                    if claim is not None and self._can_join(name):  # no other worker was first
                        self._join(name)
        items = self.items()
        done: list[str] | None = None
        while done != (complete := self._complete_features()):  # other workers may have added entries
            index.finish((item, name) for name in complete for item in items)
            done = complete
        entries = [index.get(item, name) for name in self.features for item in items]
        failed = sum(entry is not None and is_failed(entry) for entry in entries)
        unfinished = entries.count(None)
        return {
            "finished": len(entries) - failed - unfinished, "failed": failed, "unfinished": unfinished
        }  # fmt: skip

    def _complete_features(self) -> list[str]:
        """Return the features, also those of other runs, that have an entry for every item, in order."""
        index, items = self.outputs.index, self.items()
        recorded = sorted({entry["feature"] for entry in index.entries()})
        return [name for name in recorded if all(index.get(item, name) for item in items)]

    def _can_join(self, name: str) -> bool:
        """Whether all units have contributed to the film's features, which are not there yet, or failed."""
        if self.features[name].kind == "sound" or self._succeeded(FILM, name):
            return False
        shots = self.items()[:-1]
        parts = self._parts(name)
        return all(self.outputs.is_done(shot, name) for shot in shots) and all(
            map(parts.is_finished, self._unit_keys(name))
        )

    def _succeeded(self, item: str, name: str) -> bool:
        """Whether an item is done and did not fail."""
        entry = self.outputs.index.get(item, name)
        return entry is not None and not is_failed(entry) and self.outputs.is_done(item, name)

    def items(self) -> list[str]:
        """Return the items of the index in order: the shots, the film."""
        return [*map(shot_name, range(len(self.inputs.shots))), FILM]

    def _unit_keys(self, name: str) -> list[str]:
        return [SOUND] if self.features[name].kind == "sound" else [span.key for span in self.inputs.spans()]

    def _join(self, name: str) -> None:
        """Write the film's features."""
        feature, parts = self.features[name], self._parts(name)
        rows = Rows(None, self.outputs.path)
        try:
            if feature.kind == "windows":
                reason = parts.read(self._unit_keys(name), rows)
            else:
                reason = self._failed_shot(name)
                for block in feature.extractor.join(self._shot_blocks(name)) if reason is None else ():
                    rows.append(block)
            result = rows if reason is None else InputError(reason)
            self.take(FILM, name, 0, self.inputs.film.frame_count, result)
        finally:
            rows.close()
        if reason is None:
            parts.remove()

    def _failed_shot(self, name: str) -> str | None:
        """Return why there are no features of the film if a shot failed."""
        for number in range(len(self.inputs.shots)):
            entry = self.outputs.index.get(shot_name(number), name)
            if entry is not None and is_failed(entry):
                return f"{entry['item']} failed: {entry['reason']}"
        return None

    def _shot_blocks(self, name: str) -> Iterator[tuple[int, Iterator[Arrays]]]:
        """Yield the first frame and the arrays, without pictures, of each shot that has features."""
        for number, (beg, _) in enumerate(self.inputs.shots):
            entry = self.outputs.index.get(shot_name(number), name)
            if entry is not None and entry["output"] is not None:
                yield beg, iter([_load(self.outputs.path / entry["output"])])

    # --- results

    def take(self, item: str, name: str, beg: int, end: int, rows: Rows | FacerecError) -> None:
        """Write the features of a shot or the film, the frames `[beg, end)`, and their entry of the index."""
        self._failed_before.discard((item, name))
        times, duration = self.footage.times, self.footage.duration
        stop = float(times[end]) if end < len(times) else duration
        facts = {"frames": [beg, end], "duration": round(stop - float(times[beg]), 6)}
        if isinstance(rows, NoSoundError):
            if item == FILM:
                log.warning("movie %d: %s (no %s)", self.folder.movie_id, rows, name)
            self.outputs.add_without_output(item, name, str(rows), facts)
        elif isinstance(rows, FacerecError):
            log.error("movie %d: %s: no %s: %s", self.folder.movie_id, item, name, rows)
            self.outputs.add_failure(item, name, str(rows), facts)
        else:
            files = self._files(name)
            path = files.film if item == FILM else files.shot(int(item.removeprefix(SHOT)))
            self.outputs.write(item, name, path, rows, facts)

    def missing(self, name: str, shots: Sequence[int]) -> tuple[int, ...]:
        """Return the shots of `shots` that have neither features nor, from this run, a reason why not."""
        items = {shot: shot_name(shot) for shot in shots}
        return tuple(
            shot
            for shot, item in items.items()
            if (item, name) in self._failed_before or not self.outputs.is_done(item, name)
        )

    def lacks_part(self, name: str, unit: str) -> bool:
        """Whether a unit still has to contribute to the film's features."""
        if unit == SOUND:
            return (FILM, name) in self._failed_before or not self.outputs.is_done(FILM, name)
        if self._succeeded(FILM, name):
            return False
        return (unit, name) in self._failed_before or not self._parts(name).is_finished(unit)

    def write_part(self, name: str, unit: str, rows: Rows | FacerecError | None) -> None:
        """Write a unit's part of the film's features."""
        self._failed_before.discard((unit, name))
        self._parts(name).write(unit, rows)

    def _files(self, name: str) -> ShotFeatureFiles:
        arrays = self.features[name].arrays
        return self.folder.feature_files(name, ".npy" if arrays == (FEATURES,) else ".npz")

    def _parts(self, name: str) -> FilmParts:
        return FilmParts(self.outputs.parts / name)


def _load(path: Path) -> Arrays:
    with np.load(path) as archive:
        return {name: archive[name] for name in archive.files if not name.startswith(f"{PICTURES}/")}
