"""Find annotators' files that still have a person's name: applied again, they bring it back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from facerec.errors import FacerecError
from facerec.forgetting.subject import Subject
from facerec.forgetting.traces import trace_in
from facerec.support.csv_tables import has_columns

_COLUMNS = {"cluster_status", "label", "tag", "image_status"}  # of a table of labels, among others
_HEAD = 1 << 16  # bytes; the first element of a file of annotations lies within


def label_files(folders: Iterable[Path], subject: Subject) -> Iterator[Path]:
    """Yield the labels in `folders`, not below them, that refer to the person.

    Labels are tables with the columns of the backend's export, and XML files of annotations.
    """
    for folder in sorted(folders):
        for path in sorted((*folder.glob("*.csv"), *folder.glob("*.xml"))):
            if path.is_file() and _is_labels(path) and trace_in(path, subject):
                yield path


def _is_labels(path: Path) -> bool:
    try:
        if path.suffix == ".csv":
            return has_columns(path, _COLUMNS)
        with path.open("rb") as file:
            return b"<annotations" in file.read(_HEAD)
    except (FacerecError, OSError):
        return False
