"""The film's own features by unit of work, until all units are done and they are joined."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from facerec.errors import ContractError, FacerecError
from facerec.feature_runs.rows import Rows
from facerec.support.atomic import atomic_write, write_bytes
from facerec.support.jsonl import RuleViolation, read_json, require_keys

_BLOCK = 1 << 22  # bytes of a part in memory at once


class FilmParts:
    """The parts of one feature, in `folder`: an NPY file for each array and, written last, a marker."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def is_finished(self, unit: str) -> bool:
        """Whether the part of a unit is complete or failed."""
        return self._marker(unit) is not None

    def write(self, unit: str, rows: Rows | FacerecError | None) -> None:
        """Write the part of a unit: its rows, why there are none, or None if it has none of its own."""
        self._folder.mkdir(parents=True, exist_ok=True)
        marker: dict[str, Any] = {"arrays": [], "padded": False, "reason": None}
        if isinstance(rows, FacerecError):
            marker["reason"] = str(rows)
        elif rows is not None:
            marker |= {"arrays": list(rows.shapes), "padded": rows.padded}
            for name in rows.shapes:
                with atomic_write(self._array(unit, name)) as file:
                    rows.write_array(name, file)
        write_bytes(self._path(unit), orjson.dumps(marker))

    def read(self, units: Iterable[str], into: Rows) -> str | None:
        """Add the rows of all parts to `into`; return the reason if one failed."""
        for unit in units:
            marker = self._marker(unit)
            if marker is None or marker["reason"] is not None:
                return "a part of it is missing" if marker is None else str(marker["reason"])
            into.padded |= marker["padded"]
            for name in marker["arrays"]:
                rows = np.load(self._array(unit, name), mmap_mode="r")
                step = max(1, _BLOCK // max(rows[:1].nbytes, 1))
                for beg in range(0, len(rows), step):
                    into.append({name: rows[beg : beg + step]})
        return None

    def failed(self, units: Iterable[str]) -> list[str]:
        """Return those of `units` that failed."""
        markers = {unit: self._marker(unit) for unit in units}
        return [
            unit for unit, marker in markers.items() if marker is not None and marker["reason"] is not None
        ]

    def remove(self) -> None:
        """Remove all parts."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _path(self, unit: str) -> Path:
        return self._folder / f"{unit}.json"

    def _array(self, unit: str, name: str) -> Path:
        return self._folder / f"{unit}.{name}.npy"

    def _marker(self, unit: str) -> dict[str, Any] | None:
        try:
            return read_json(self._path(unit), _parse)
        except ContractError:
            return None


def _parse(value: object) -> dict[str, Any]:
    marker = require_keys(value, {"arrays", "padded", "reason"})
    if not isinstance(marker["arrays"], list):
        raise RuleViolation("arrays must be a list")
    return marker
