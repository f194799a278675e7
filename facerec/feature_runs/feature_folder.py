"""A folder of features: its index, the claims of its workers, and outputs that appear with their entries.

<out>/
    index.jsonl           an entry for each item and feature
    log_<host>_<pid>_<timestamp>.json    the items that one run finished
    provenance/           for each feature, its models, settings and inputs
    .work/                claims, locks, and parts of outputs that are not complete
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from facerec.errors import InputError
from facerec.feature_runs.index import OF_TAR, Entry, Index, Key, entry_key
from facerec.feature_runs.rows import Rows
from facerec.support.atomic import atomic_write, remove_stale_temporaries
from facerec.support.shell import option

RETRY = "retry"  # in the entry of an item that failed in an earlier run
_MAGIC = (b"\x93NUMPY", b"PK\x03\x04")  # of NPY and NPZ files


class FeatureFolder:
    """The folder `path` of outputs; created if missing.

    Args:
        fresh: outputs that another program left may be replaced.
        tars: the items are those of tar shards.
    """

    def __init__(self, path: Path, fresh: bool = False, tars: bool = False) -> None:
        self.path, self._fresh = path, fresh
        self._kind = (OF_TAR,) if tars else ()
        self._cleaned: set[Path] = set()  # folders of outputs
        try:
            path.mkdir(parents=True, exist_ok=True)
            (path / ".work").mkdir(exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise InputError(f"{error.filename or path}: this must be a folder; move the file away") from None
        self.claims = path / ".work" / "claims"
        self.parts = path / ".work" / "parts"
        self.provenance = path / "provenance"
        self.index = Index(path / "index.jsonl", path / ".work" / "index.lock")

    def entry(self, item: str, feature: str) -> dict[str, Any] | None:
        """Return the entry of an item; None if it has none yet."""
        return self.index.get(item, feature, *self._kind)

    def remove_stale_temporaries(self) -> None:
        """Remove temporary files of killed processes; `check_place` does so in the folders of outputs."""
        for folder in (self.path, self.provenance, self.claims, self.parts.parent):
            remove_stale_temporaries(folder)

    def retry(self, keys: Iterable[Key]) -> None:
        """Mark the failed ones of these items and features to be tried again."""
        entries = [entry for key in keys if (entry := self.index.get(*key)) is not None and is_failed(entry)]
        if entries:
            self.index.add([{**entry, RETRY: True} for entry in entries])

    def remove(self, features: Collection[str]) -> None:
        """Remove all outputs and entries of some features, and all parts."""
        unwanted = [entry for entry in self.index.entries() if entry["feature"] in features]
        for entry in unwanted:
            if entry["output"] is not None:
                output = self.path / entry["output"]
                output.unlink(missing_ok=True)
                if "clips" in entry and output.suffix == ".npz":  # of a tar shard
                    output.with_suffix(".jsonl").unlink(missing_ok=True)
        self.index.remove(map(entry_key, unwanted))
        shutil.rmtree(self.parts, ignore_errors=True)

    def is_done(self, item: str, feature: str, source_bytes: int | None = None) -> bool:
        """Whether an item has failed in this run, or its output is there as the index describes it.

        Args:
            source_bytes: present size of the file that it is made from; None if it does not matter.
        """
        entry = self.entry(item, feature)
        if entry is None:
            return False
        if is_failed(entry):
            return not entry.get(RETRY)
        if is_changed(entry, source_bytes):
            return False
        if entry["output"] is None:
            return True
        try:
            return (self.path / str(entry["output"])).stat().st_size == int(entry["bytes"])
        except OSError:
            return False

    def write(self, item: str, feature: str, output: Path, rows: Rows, facts: Mapping[str, Any]) -> None:
        """Write an output and its entry; the entry comes first, and counts only with the output.

        Args:
            facts: more fields of the entry; they replace fields of the same name.
        """
        with atomic_write(output) as file:
            rows.write(file)
            arrays = {
                name: {"shape": shape, "dtype": rows.dtypes[name]} for name, shape in rows.shapes.items()
            }
            facts = {"arrays": arrays, "padded": rows.padded, "reason": None, **rows.facts, **facts}
            self.add_output(item, feature, output, file, facts)

    def add_output(
        self, item: str, feature: str, output: Path, file: BinaryIO, facts: Mapping[str, Any]
    ) -> None:
        """Record an output that is written to the temporary file `file` and renamed to `output` next."""
        file.flush()
        size = Path(file.name).stat().st_size
        entry = {"item": item, "feature": feature, "output": self.name_of(output), "bytes": size}
        self.index.add([{**entry, **facts}])

    def add_without_output(self, item: str, feature: str, note: str, facts: Mapping[str, Any]) -> None:
        """Record that an item has no features of this kind, which is no failure."""
        self.index.add(
            [{"item": item, "feature": feature, "output": None, "note": note, "reason": None, **facts}]
        )

    def add_failure(self, item: str, feature: str, reason: str, facts: Mapping[str, Any]) -> None:
        """Record that an item failed."""
        self.index.add([{"item": item, "feature": feature, "output": None, "reason": reason, **facts}])

    def remove_output(self, item: str, feature: str) -> None:
        """Remove the output of an item that was made from another source; to be called before a new entry."""
        entry = self.entry(item, feature)
        if entry is None or entry["output"] is None:
            return
        output = self.path / entry["output"]
        with suppress(OSError):
            if output.stat().st_size == entry["bytes"]:
                output.unlink()

    def name_of(self, output: Path) -> str:
        """Return the path of an output as the index has it: from this folder, or absolute outside it."""
        path, folder = os.path.abspath(output), os.path.abspath(self.path)
        inside = os.path.relpath(path, folder)
        return path if inside.startswith("..") else inside

    def check_place(self, item: str, feature: str, output: Path) -> None:
        """Check that an output may be written; create its folder.

        Raises:
            InputError: it would be outside this folder because of a link, or a file that is not an output of
                this item is in its place, or belongs there.
        """
        if self._is_own_file(output):
            raise InputError(f"{output}: is a file of {self.path} itself; choose another name for the output")
        folder, inside = os.path.realpath(self.path), os.path.realpath(output.parent)
        is_named_inside = os.path.abspath(output).startswith(os.path.abspath(self.path) + os.sep)
        if is_named_inside and os.path.commonpath([folder, inside]) != folder:
            raise InputError(f"{output}: a link leads out of {self.path}")
        try:
            output.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise InputError(f"{error.filename}: is a file, but {output} needs a folder there") from None
        if output.parent not in self._cleaned:
            self._cleaned.add(output.parent)
            remove_stale_temporaries(output.parent)
        if output.is_dir():
            raise InputError(f"{output}: is a folder")
        entry = self.entry(item, feature)
        is_own = entry is not None and entry["output"] == self.name_of(output)
        if is_own or not os.path.lexists(output):
            return
        if self._fresh and output.is_file():
            with output.open("rb") as file:
                if file.read(8).startswith(_MAGIC):
                    return
        raise InputError(
            f"{output}: is there already, but by the index it is not {feature} of {item}; move it away, or "
            f"replace it with {option('--fresh')}"
        )

    def _is_own_file(self, output: Path) -> bool:
        """Whether a path is that of the index, of a log, or of another file that runs write."""
        real = Path(os.path.realpath(output.parent)) / output.name
        name = os.path.relpath(real, os.path.realpath(self.path))
        first, _, rest = name.partition(os.sep)
        own_files = self.index.path.name, self.provenance.name, self.claims.parent.name
        return first in own_files or (not rest and first.startswith("log_") and first.endswith(".json"))


def is_failed(entry: Entry) -> bool:
    """Whether an entry is that of a failed item."""
    return entry["reason"] is not None


def is_changed(entry: Entry, source_bytes: int | None) -> bool:
    """Whether the file that an item was made from had another size."""
    return None not in (source_bytes, entry.get("source_bytes")) and entry["source_bytes"] != source_bytes
