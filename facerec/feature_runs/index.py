"""The index of a feature folder: for each item and feature, its output or the reason why there is none.

Workers append entries under a lock as items finish. When all are there, the index is rewritten in the order
of the items, so that its bytes do not depend on who did what.

An entry is a JSON object with at least `item`, `feature`, and `reason`: null, or why the item failed. It must
not depend on time or machine.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from facerec.support.atomic import path_in_errors, write_changed
from facerec.support.locks import is_same_file, locked

log = logging.getLogger(__name__)

Entry = Mapping[str, Any]
Key = tuple[str, ...]  # item, feature; and `OF_TAR` if it is of tar shards: lists may have the same names
OF_TAR = "tar"


def entry_key(entry: Entry) -> Key:
    """Return what distinguishes an entry from the others."""
    key = entry["item"], entry["feature"]
    return (*key, OF_TAR) if "shard" in entry else key


class Index:
    """The entries of one index, those of other workers included as of the last `refresh`.

    Args:
        path: `index.jsonl`; need not exist.
        lock: file that the workers lock to change the index.
    """

    def __init__(self, path: Path, lock: Path) -> None:
        self.path, self._lock = path, lock
        self._lines: dict[Key, bytes] = {}  # without line end; parsed only when asked for
        self._file: BinaryIO | None = None
        self.refresh()

    def __len__(self) -> int:
        return len(self._lines)

    def get(self, *key: str) -> dict[str, Any] | None:
        """Return the entry with a `Key`, None if there is none yet."""
        line = self._lines.get(key)
        return None if line is None else orjson.loads(line)

    def entries(self) -> Iterable[dict[str, Any]]:
        """Return all entries."""
        return (orjson.loads(line) for line in self._lines.values())

    def refresh(self) -> None:
        """Read what other workers added since the last time."""
        if self._file is None or not is_same_file(self.path, self._file.fileno()):  # rewritten
            self.close()
            self._lines = {}
            try:
                self._file = self.path.open("rb")
            except FileNotFoundError:
                return
        position = self._file.tell()
        for line in self._file:
            if not line.endswith(b"\n"):  # being written, or left by a worker that died
                break
            position += len(line)
            self._take(line.rstrip(b"\n"))
        self._file.seek(position)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:  # kept open so that its inode number is not used again
            self._file.close()
            self._file = None

    def _take(self, line: bytes) -> None:
        try:
            key: Key | None = entry_key(orjson.loads(line))
        except (orjson.JSONDecodeError, TypeError, KeyError):
            key = None
        if key is not None and all(isinstance(part, str) for part in key):
            self._lines[key] = line
        elif line:
            log.warning("%s: an unreadable line is ignored: %.80r", self.path, line)

    def add(self, entries: Sequence[Entry]) -> None:
        """Append entries; an earlier entry with the same key is replaced."""
        with locked(self._lock), path_in_errors(self.path), self.path.open("a+b") as file:
            if file.tell():
                file.seek(-1, 2)
                if file.read(1) != b"\n":
                    file.write(b"\n")
            file.write(b"".join(orjson.dumps(entry) + b"\n" for entry in entries))
            file.flush()
            os.fsync(file.fileno())
        self.refresh()

    def remove(self, keys: Iterable[Key]) -> None:
        """Remove the entries `keys`."""
        removed = set(keys)
        with locked(self._lock):
            self.refresh()
            kept = {key: line for key, line in self._lines.items() if key not in removed}
            if len(kept) < len(self._lines):
                self._rewrite(kept)

    def finish(self, keys: Iterable[Key]) -> bool:
        """Rewrite the index in the order of `keys` if it has all of them; returns whether it has.

        Entries of other items, of an earlier list, follow in alphabetical order.
        """
        with locked(self._lock):
            self.refresh()
            lines: dict[Key, bytes] = {}
            for key in keys:
                if key not in self._lines:
                    return False
                lines[key] = self._lines[key]
            for key in sorted(self._lines.keys() - lines.keys()):
                lines[key] = self._lines[key]
            self._rewrite(lines)
            return True

    def _rewrite(self, lines: dict[Key, bytes]) -> None:
        write_changed({self.path: b"".join(line + b"\n" for line in lines.values())})
        self.refresh()
