"""Edits that break a valid movie folder, and the assertion that a check reports them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

from facerec.checks.inspect import inspect_folder
from facerec.errors import ContractError
from facerec.folder.layout import MovieFolder

Edit = Callable[[MovieFolder], object]
RecordEdit = Callable[[dict[str, Any]], object]
Violation = tuple[Edit, str, int | None, str]  # the edit; file, line and rule that must be reported

TRAJECTORIES, FEATURES, QUALITY = "trajectories.jsonl", "features.jsonl", "quality.jsonl"
CUTS, CLUSTERS, PREDICTIONS = "scene_changes.json", "clusters.json", "predictions.json"


def violations_of(path: Path, actor_db: Path | None = None) -> list[ContractError]:
    """The violations that the checks report of a folder."""
    return inspect_folder(path, actor_db).violations.kept


def assert_violates(violation: Violation, folder: MovieFolder, actor_db: Path) -> None:
    """Apply the edit and assert that its file, line and rule are reported."""
    edit, file, number, rule = violation
    edit(folder)
    found = violations_of(folder.path, actor_db)
    assert any(
        error.path == folder.path / file and error.line == number and rule in error.rule for error in found
    ), [str(error) for error in found]


def edit_record(file: str, number: int, edit: RecordEdit) -> Edit:
    """Change the record on the 1-based line of a file."""

    def apply(folder: MovieFolder) -> None:
        lines = (folder.path / file).read_text().splitlines()
        record = json.loads(lines[number - 1])
        edit(record)
        lines[number - 1] = json.dumps(record)
        (folder.path / file).write_text("\n".join(lines) + "\n")

    return apply


def edit_document(file: str, edit: RecordEdit) -> Edit:
    """Change a file that is one JSON object."""
    return edit_record(file, 1, edit)


def edit_text(file: str, number: int, edit: Callable[[str], str]) -> Edit:
    """Change the text of the 1-based line of a file, its line end included."""

    def apply(folder: MovieFolder) -> None:
        lines = (folder.path / file).read_text().splitlines(keepends=True)
        lines[number - 1] = edit(lines[number - 1])
        (folder.path / file).write_text("".join(lines))

    return apply


def setting(**values: object) -> RecordEdit:
    """Set keys of a record."""
    return lambda record: record.update(values)


def removing(key: str) -> RecordEdit:
    """Remove a key of a record."""
    return lambda record: record.pop(key)


def remove(file: str) -> Edit:
    """Remove a file or folder."""

    def apply(folder: MovieFolder) -> None:
        path = folder.path / file
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return apply


def truncate(file: str, by: int) -> Edit:
    """Cut so many bytes off the end of a file."""
    return lambda folder: (folder.path / file).write_bytes((folder.path / file).read_bytes()[:-by])


def flip_byte(file: str) -> Edit:
    """Change a byte in the middle of a file."""

    def apply(folder: MovieFolder) -> None:
        data = bytearray((folder.path / file).read_bytes())
        data[len(data) // 2] ^= 1
        (folder.path / file).write_bytes(data)

    return apply


def save_image(name: str, size: tuple[int, int] = (50, 60), form: str = "JPEG") -> Edit:
    """Save a black picture of `size` (height, width) in images/."""
    return lambda folder: PIL.Image.fromarray(np.zeros((*size, 3), np.uint8)).save(folder.images / name, form)
