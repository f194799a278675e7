"""Lists of videos, folders of frames, pictures and sound files as a source: a unit for each item."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facerec.errors import ContractError, FacerecError, InputError, NonFiniteError
from facerec.feature_runs.claims import claim_name
from facerec.feature_runs.feature_folder import FeatureFolder, is_failed
from facerec.feature_runs.index import Key
from facerec.feature_runs.listing import FEATURE, Item, Problem
from facerec.feature_runs.media import is_video
from facerec.feature_runs.rows import Rows
from facerec.feature_runs.sources import ClipRequest, Engine, Footage, NoSoundError
from facerec.features.base import FEATURES

log = logging.getLogger(__name__)

LONGEST_LABEL = 300  # characters of an item's name in the log

OpenFootage = Callable[[Path], Footage]


@dataclass(frozen=True)
class OutputName:
    """The properties of a feature that decide the names of its outputs.

    Attributes:
        arrays: names of its arrays; several are written as NPZ.
        window: frames in a window, appended to the name of a video's output; None for sound, and
            for features of a whole clip.
    """

    arrays: tuple[str, ...] = (FEATURES,)
    window: int | None = None

    @property
    def suffix(self) -> str:
        """The suffix of its output files."""
        return ".npy" if self.arrays == (FEATURES,) else ".npz"


class ListSource:
    """The items of a list, see `sources.Source`.

    Args:
        entries: as `listing.read_items` returns them.
        features: those that are wanted, by name.
        open_footage: opens an item; raises InputError if it cannot.
        nested: outputs of a list of paths lie in a folder for each feature.

    Raises:
        InputError: a table names one file for several features.
    """

    def __init__(
        self,
        entries: Sequence[Item | Problem],
        features: Mapping[str, OutputName],
        folder: FeatureFolder,
        open_footage: OpenFootage,
        nested: bool = False,
    ) -> None:
        self._features, self._folder = features, folder
        exact = next((item for item in entries if isinstance(item, Item) and item.exact), None)
        if exact and len(features) > 1 and FEATURE not in str(exact.output):
            raise InputError(
                f"the table names one feature_path for each video, but {len(features)} features are asked "
                f"for; write {FEATURE} in it (features/{FEATURE}/a.npy), or ask for one feature at a time"
            )
        self._units = [ListUnit(entry, features, folder, open_footage, nested) for entry in entries]
        reserved: dict[str, ListUnit] = {}
        for unit in self._units:
            unit.reserve_outputs(reserved)

    def units(self) -> Sequence[ListUnit]:
        """Return a unit for each line of the list, in its order."""
        return self._units

    def retry(self) -> None:
        """Have the items that failed before tried again; called by the first worker of a run."""
        self._folder.retry(self._keys())

    def _keys(self) -> Iterator[Key]:
        return ((unit.name, feature) for unit in self._units for feature in self._features)

    def finish(self) -> dict[str, Any]:
        """Write the index in the order of the list if all items are done.

        Returns:
            The numbers of items by result: `finished`, `failed`, and `unfinished`, which other workers have.
        """
        index = self._folder.index
        index.finish(self._keys())
        failed = unfinished = 0
        for unit in self._units:
            entries = [index.get(unit.name, feature) for feature in self._features]
            is_done = unit.is_done()
            failed += is_done and any(entry is not None and is_failed(entry) for entry in entries)
            unfinished += not is_done
        return {
            "finished": len(self._units) - failed - unfinished, "failed": failed, "unfinished": unfinished
        }  # fmt: skip


class ListUnit:
    """A line of a list, see `sources.Unit`."""

    def __init__(
        self,
        entry: Item | Problem,
        features: Mapping[str, OutputName],
        folder: FeatureFolder,
        open_footage: OpenFootage,
        nested: bool,
    ) -> None:
        self._entry, self._features, self._folder, self._open = entry, features, folder, open_footage
        self._nested = nested
        self.name, self.label = entry.name, entry.source or entry.name
        self.key = claim_name(f"{self.name}.{'+'.join(features)}")  # other workers may have other features
        self._facts: dict[str, Any] = {"source": entry.source}

    def reserve_outputs(self, reserved: dict[str, ListUnit]) -> None:
        """Enter the item's outputs into `reserved`; it becomes a problem if one of them is there."""
        if isinstance(self._entry, Problem):
            return
        for feature in self._features:
            try:
                output = self._output(feature)
            except InputError:  # reported when the item is computed
                continue
            place = os.path.abspath(output)
            if place in reserved:
                other = reserved[place]
                reason = f"{other.label} has the same output {output}; rename one of them"
                if other is self:
                    reason = f"feature_path {output} is one file for several features; write {FEATURE} in it"
                self._entry = Problem(self._entry.name, self._entry.source, reason)
                return
            reserved[place] = self

    def is_done(self) -> bool:
        """Whether all features of the item are there, or it failed in this run."""
        return not self._missing()

    def _missing(self) -> list[str]:
        size = None if isinstance(self._entry, Problem) else file_size(self._entry.path)
        return [name for name in self._features if not self._folder.is_done(self.name, name, size)]

    def run(self, engine: Engine, advance: Callable[[int], None]) -> None:
        """Compute the features of the item that are missing."""
        missing = self._missing()
        try:
            if isinstance(self._entry, Problem):
                raise InputError(self._entry.reason)
            wanted = [feature for feature in missing if self._has_place(feature)]
            self._facts["source_bytes"] = file_size(self._entry.path)
            footage = self._open(self._entry.path)
            count = len(footage.times)
            self._facts |= {"duration": round(footage.duration, 6), "frames": count}
            self._facts |= {"width": footage.width, "height": footage.height}
            engine.compute(footage, [ClipRequest(self.name, 0, count)], wanted, self._take, advance)
            engine.flush()
        except (InputError, ContractError, NonFiniteError, OSError) as error:
            if is_disk_full(error):
                raise
            self._fail(self._missing(), reason_of(error))

    def _has_place(self, feature: str) -> bool:
        """Whether the output of a feature can be written; records why not."""
        try:
            self._folder.check_place(self.name, feature, self._output(feature))
        except InputError as error:
            self._fail([feature], str(error))
            return False
        return True

    def _take(self, clip: ClipRequest, feature: str, rows: Rows | FacerecError) -> None:
        """Write what the engine computed, see `sources.Finished`."""
        if isinstance(rows, NoSoundError):
            log.warning("%s (no %s)", with_label(self.label, str(rows)), feature)
            self._folder.remove_output(self.name, feature)
            self._folder.add_without_output(self.name, feature, str(rows), self._facts)
        elif isinstance(rows, FacerecError):
            self._fail([feature], str(rows))
        else:
            self._folder.write(self.name, feature, self._output(feature), rows, self._facts)

    def _fail(self, features: Sequence[str], reason: str) -> None:
        log.error("%s (no %s)", with_label(self.label, reason), ", ".join(features))
        for feature in features:
            self._folder.remove_output(self.name, feature)
            self._folder.add_failure(self.name, feature, reason, self._facts)

    def _output(self, feature: str) -> Path:
        """Return the output file of a feature.

        Raises:
            InputError: a table names a file of the wrong type.
        """
        assert isinstance(self._entry, Item)
        name = self._features[feature]
        if self._entry.exact:
            output = Path(str(self._entry.output).replace(FEATURE, feature))
            if output.suffix in (".npy", ".npz") and output.suffix != name.suffix:
                arrays = (
                    "one array" if name.suffix == ".npy" else f"several arrays ({', '.join(name.arrays)})"
                )
                raise InputError(f"feature_path {output} must end in {name.suffix}: {feature} has {arrays}")
            return output
        stem = self._entry.output
        if self._nested:
            stem = self._folder.path / feature / stem.relative_to(self._folder.path)
        if name.window is not None and is_video(self._entry.path):
            return stem.with_name(f"{stem.name}_{name.window}{name.suffix}")
        return stem.with_name(stem.name + name.suffix)


def file_size(path: Path) -> int | None:
    """Return the size of a file in bytes; None if it is a folder or not there."""
    try:
        return path.stat().st_size if path.is_file() else None
    except OSError:
        return None


def is_disk_full(error: Exception) -> bool:
    """Whether an error concerns the outputs, not an item."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def reason_of(error: Exception) -> str:
    """Return why an item failed, as one line."""
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error)
    return str(error)


def with_label(label: str, reason: str) -> str:
    """Return a reason for the log, with the name of its item before it unless it begins with that name.

    Names from hostile lists are shortened, and what could end or change a line is replaced.
    """
    text = reason if reason.startswith(label) else f"{label[:LONGEST_LABEL]}: {reason}"
    return "".join(character if character.isprintable() else "?" for character in text)
