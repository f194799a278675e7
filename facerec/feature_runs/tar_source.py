"""Tar shards of clips as a source: a unit for each shard, an item for each clip."""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from facerec.errors import ContractError, FacerecError, InputError, NonFiniteError
from facerec.feature_runs.claims import claim_name
from facerec.feature_runs.feature_folder import RETRY, FeatureFolder, is_changed, is_failed
from facerec.feature_runs.index import entry_key
from facerec.feature_runs.list_source import (
    OpenFootage,
    OutputName,
    file_size,
    is_disk_full,
    reason_of,
    with_label,
)
from facerec.feature_runs.rows import Rows
from facerec.feature_runs.shard_outputs import ClipOutput, jsonl_bytes, write_npz, write_pickle
from facerec.feature_runs.sources import ClipRequest, Engine, NoSoundError
from facerec.feature_runs.tar_shard import TarClip, extracted, read_shard, scratch_folder
from facerec.features import EXTRACTORS
from facerec.support.atomic import atomic_write, remove_stale_temporaries, write_bytes

log = logging.getLogger(__name__)

_KNOWN = ("duration", "frames", "width", "height")  # of a clip, in its index entries

SHARD = "shard"  # stands for the feature in the index entry of a whole shard


class TarSource:
    """Tar shards, see `sources.Source`.

    Args:
        shards: the tar files, with different names.
        features: those that are wanted, by name.
        open_footage: opens a clip; raises InputError if it cannot.
        pickled: write `.pkl` files instead of `.npz` and `.jsonl`.
    """

    def __init__(
        self,
        shards: Sequence[Path],
        features: Mapping[str, OutputName],
        folder: FeatureFolder,
        open_footage: OpenFootage,
        pickled: bool = False,
    ) -> None:
        self._features, self._folder = features, folder
        self._units = [TarUnit(path, features, folder, open_footage, pickled) for path in shards]

    def units(self) -> Sequence[TarUnit]:
        """Return a unit for each shard."""
        return self._units

    def retry(self) -> None:
        """Have the clips that failed before tried again; called by the first worker of a run."""
        self._folder.retry([entry_key(entry) for entry in self._entries()])

    def _entries(self) -> list[dict[str, Any]]:
        """Return the entries of these shards and features, by shard and clip, the shard's own first."""
        features = {SHARD: -1, **{feature: n for n, feature in enumerate(self._features)}}
        shards = {unit.name: n for n, unit in enumerate(self._units)}
        found = [
            entry
            for entry in self._folder.index.entries()
            if entry.get("shard") in shards and entry["feature"] in features
        ]
        found.sort(
            key=lambda entry: (shards[entry["shard"]], entry.get("number", -1), features[entry["feature"]])
        )
        return found

    def finish(self) -> dict[str, Any]:
        """Write the index in the order of the shards and their clips if all are done.

        Returns:
            The numbers of clips by result, `finished` and `failed`, and of `unfinished` shards.
        """
        index = self._folder.index
        entries = self._entries()
        unfinished = sum(not unit.is_done() for unit in self._units)
        if not unfinished:
            index.finish([entry_key(entry) for entry in entries])
            for unit in self._units:
                unit.remove_parts()
        results: dict[str, bool] = {}  # by clip, or by shard if it could not be read: whether it failed
        for entry in entries:
            if entry["feature"] != SHARD or entry.get("clips") == 0:
                results[entry["item"]] = results.get(entry["item"], False) or is_failed(entry)
        failed = sum(results.values())
        return {"finished": len(results) - failed, "failed": failed, "unfinished": unfinished}


class TarUnit:
    """One tar shard, see `sources.Unit`.

    Each clip's features are written to a file of their own, with an entry of the index; when all clips are
    done, the files are joined. They are kept as long as a clip failed, so that a later run can try it again.
    """

    def __init__(
        self,
        path: Path,
        features: Mapping[str, OutputName],
        folder: FeatureFolder,
        open_footage: OpenFootage,
        pickled: bool,
    ) -> None:
        self._path, self._features, self._folder = path, features, folder
        self._open, self._pickled = open_footage, pickled
        self.name = self.label = path.stem
        self.key = claim_name(path.stem)
        self._parts = folder.parts / self.key
        self._output = folder.path / f"{path.stem}{'.pkl' if pickled else '.npz'}"
        self._lines = None if pickled else self._output.with_suffix(".jsonl")
        self._clips: dict[str, TarClip] = {}  # by item
        self._facts: dict[str, dict[str, Any]] = {}  # by item: for its index entries
        self._scratch = Path()

    def is_done(self) -> bool:
        """Whether the shard's output is there, or clips of it failed in this run."""
        if not self._folder.is_done(self.name, SHARD, file_size(self._path)):
            return False
        entry = self._folder.entry(self.name, SHARD) or {}
        if is_failed(entry):
            return True
        is_same_list = entry.get("list_bytes") in (None, file_size(self._path.with_suffix(".json")))
        return is_same_list and (self._lines is None or self._lines.is_file())

    def run(self, engine: Engine, advance: Callable[[int], None]) -> None:
        """Compute the features of the clips that are missing, and join them."""
        try:
            clips = read_shard(self._path)
            if not self._parts.exists():  # else the output of an earlier run, in which clips failed
                self._check_places()
        except (InputError, ContractError, OSError) as error:
            log.error("%s", with_label(self.label, reason_of(error)))
            self._folder.add_failure(self.name, SHARD, reason_of(error), {"shard": self.name, "clips": 0})
            return
        self._parts.mkdir(parents=True, exist_ok=True)
        remove_stale_temporaries(self._parts)
        self._clips = {f"{self.name}/{clip.filename}": clip for clip in clips}
        self._remove_entries_of_other_clips()
        with scratch_folder() as self._scratch:
            for number, (item, clip) in enumerate(self._clips.items()):
                self._facts[item] = {"shard": self.name, "number": number, "source": clip.filename}
                self._facts[item]["source_bytes"] = clip.size
                missing = [feature for feature in self._features if not self._has(item, feature)]
                if missing:
                    self._compute(item, clip, missing, engine, advance)
            engine.flush()
        self._join()

    def _check_places(self) -> None:
        """Check that the outputs may be written.

        Raises:
            InputError: there are files that are not outputs of this shard.
        """
        entry = self._folder.entry(self.name, SHARD)
        self._folder.check_place(self.name, SHARD, self._output)
        if self._lines is not None and (entry is None or entry["output"] is None):
            self._folder.check_place(self.name, SHARD, self._lines)

    def _remove_entries_of_other_clips(self) -> None:
        """Remove the entries of clips that are only in an earlier version of the JSON list."""
        if self._folder.entry(self.name, SHARD) is None:
            return
        known = {self.name, *self._clips}
        self._folder.index.remove(
            entry_key(entry)
            for entry in self._folder.index.entries()
            if entry.get("shard") == self.name and entry["item"] not in known
        )

    def remove_parts(self) -> None:
        """Remove the files of single clips, unless a later run needs them."""
        entry = self._folder.entry(self.name, SHARD)
        if entry is not None and not is_failed(entry):
            shutil.rmtree(self._parts, ignore_errors=True)

    def _compute(
        self,
        item: str,
        clip: TarClip,
        missing: Sequence[str],
        engine: Engine,
        advance: Callable[[int], None],
    ) -> None:
        try:
            if clip.reason is not None:
                raise InputError(clip.reason)
            with extracted(self._path, clip, self._scratch) as path:
                footage = self._open(path)
                count = len(footage.times)
                self._facts[item] |= {"duration": round(footage.duration, 6), "frames": count}
                self._facts[item] |= {"width": footage.width, "height": footage.height}
                engine.compute(footage, [ClipRequest(item, 0, count)], missing, self._take, advance)
        except (InputError, NonFiniteError, OSError) as error:
            if is_disk_full(error):
                raise
            self._fail(item, [name for name in missing if not self._has(item, name)], reason_of(error))

    def _has(self, item: str, feature: str) -> bool:
        """Whether a clip's feature is there, or failed in this run."""
        entry = self._folder.entry(item, feature)
        if entry is None:
            return False
        if is_failed(entry):
            return not entry.get(RETRY)
        if is_changed(entry, self._clips[item].size):
            return False
        if entry["output"] is None:
            return True
        try:
            return self._part(item, feature).stat().st_size == int(entry["bytes"])
        except FileNotFoundError:
            return False

    def _part(self, item: str, feature: str) -> Path:
        name = claim_name(self._clips[item].filename)
        return self._parts / f"{name}.{feature}{self._features[feature].suffix}"

    def _take(self, clip: ClipRequest, feature: str, rows: Rows | FacerecError) -> None:
        """Write what the engine computed, see `sources.Finished`."""
        item = clip.name
        if isinstance(rows, NoSoundError):
            note = self._named(item, str(rows))
            log.warning("%s (no %s)", self._line(item, note), feature)
            self._folder.add_without_output(item, feature, note, self._facts[item])
        elif isinstance(rows, FacerecError):
            self._fail(item, [feature], str(rows))
        else:
            facts = {"output": self._folder.name_of(self._output), **self._facts[item]}
            self._folder.write(item, feature, self._part(item, feature), rows, facts)

    def _fail(self, item: str, features: Sequence[str], reason: str) -> None:
        reason = self._named(item, reason)
        log.error("%s (no %s)", self._line(item, reason), ", ".join(features))
        for feature in features:
            self._folder.add_failure(item, feature, reason, self._facts[item])

    def _line(self, item: str, reason: str) -> str:
        return f"{self.label}: {with_label(self._clips[item].filename, reason)}"

    def _named(self, item: str, text: str) -> str:
        """Replace the name of the clip's temporary file in a message."""
        return re.sub(
            re.escape(str(self._scratch)) + r"/clip[^:\s]*", lambda _: self._clips[item].filename, text
        )

    def _join(self) -> None:
        """Write the outputs of the shard."""
        clips = [self._clip_output(item) for item in self._clips]
        failed = sum(any(is_failed(entry) for entry in clip.entries.values()) for clip in clips)
        reason = f"{failed} of {len(clips)} clips failed" if failed else None
        with atomic_write(self._output) as file:
            if self._pickled:
                sound = frozenset(name for name in self._features if EXTRACTORS[name].kind == "sound")
                write_pickle(file, clips, sound)
            else:
                write_npz(file, clips)
            facts = {"shard": self.name, "source": str(self._path), "source_bytes": file_size(self._path)}
            facts |= {"list_bytes": file_size(self._path.with_suffix(".json"))}
            facts |= {"clips": len(clips), "reason": reason}
            self._folder.add_output(self.name, SHARD, self._output, file, facts)
            if self._lines is not None:
                write_bytes(self._lines, jsonl_bytes(clips))
        self.remove_parts()

    def _clip_output(self, item: str) -> ClipOutput:
        clip = self._clips[item]
        entries = {feature: self._folder.entry(item, feature) or {} for feature in self._features}
        known = {
            key: next((entry[key] for entry in entries.values() if key in entry), None) for key in _KNOWN
        }
        row = {"filename": clip.filename, "id": clip.id, "segment": clip.segment}
        parts = {
            feature: self._part(item, feature) for feature, entry in entries.items() if entry.get("output")
        }
        return ClipOutput({**row, **known}, parts, entries)
