"""Sequences of the MOT Challenge: tracks of boxes as ground truth, in a ZIP archive.

The format is that of A. Milan et al., "MOT16: A Benchmark for Multi-Object Tracking", arXiv:1603.00831, 2016:
`gt/gt.txt` has rows `frame,id,left,top,width,height,confidence,class,visibility`; frames, ids and pixels are
counted from 1. Beside it are `gt/labels.txt` (the classes, for datumaro), `seqinfo.ini`, and
`gt/identities.csv` (who each id is), which other programs ignore. The archive depends on its contents only.
"""

from __future__ import annotations

import csv
import io
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerec.errors import ContractError, InputError

CLASSES = ("face",)
_GT, _LABELS, _IDENTITIES, _INFO = "gt/gt.txt", "gt/labels.txt", "gt/identities.csv", "seqinfo.ini"
_COLUMNS = ("id", "person", "name", "uri")
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a ZIP file can hold
_MAX_SIZE = 1 << 30  # bytes of a file in the archive, unpacked
_FORMAT = "%d,%d,%d,%d,%d,%d,1,1,%d"
# what zipfile raises for files that are no archives, truncated or malicious
_ZIP_ERRORS = (zipfile.BadZipFile, EOFError, RuntimeError, ValueError, OSError, IndexError, zlib.error)


@dataclass(frozen=True)
class Identity:
    """The person that a track shows."""

    id: int
    person: str
    name: str
    uri: str


@dataclass(frozen=True)
class MotSequence:
    """A film's tracks.

    Attributes:
        name: of the sequence.
        frames: number of frames; frame_rate: per second, rounded as the format asks for.
        width, height: of a frame in pixels.
        rows: (n, 7) int64: frame and id, from 1; x1, y1, width and height in pixels from 0; visible, 1 or 0.
        identities: of the ids.
        comment: for people who read `seqinfo.ini`.
    """

    name: str
    frames: int
    frame_rate: int
    width: int
    height: int
    rows: NDArray[np.int64]
    identities: Sequence[Identity]
    comment: str = ""

    def to_zip(self) -> bytes:
        """Return the archive."""
        rows = self.rows.copy()
        rows[:, 2:4] += 1
        lines = "".join(f"{_FORMAT % tuple(row)}\n" for row in rows.tolist())
        table = io.StringIO()
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(_COLUMNS)
        writer.writerows((one.id, one.person, one.name, one.uri) for one in self.identities)
        info = [
            *((f"; {self.comment}",) if self.comment else ()),
            "[Sequence]",
            f"name={self.name}",
            "imDir=img1",
            f"frameRate={self.frame_rate}",
            f"seqLength={self.frames}",
            f"imWidth={self.width}",
            f"imHeight={self.height}",
            "imExt=.jpg",
        ]
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text in (
                (_GT, lines),
                (_LABELS, "".join(f"{label}\n" for label in CLASSES)),
                (_IDENTITIES, table.getvalue()),
                (_INFO, "".join(f"{line}\n" for line in info)),
            ):
                entry = zipfile.ZipInfo(name, _EPOCH)
                entry.compress_type, entry.external_attr, entry.create_system = (
                    zipfile.ZIP_DEFLATED,
                    0o644 << 16,
                    3,
                )
                archive.writestr(entry, text.encode())
        return file.getvalue()


def read_mot(path: Path) -> MotSequence:
    """Read an archive; boxes of other classes than the first are left out.

    Raises:
        InputError: there is no such file.
        ContractError: it is no such archive, or a row cannot be used.
    """
    if not path.is_file():
        raise InputError(f"{path}: {'is not a file' if path.exists() else 'no such file'}")
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            if _GT not in names:
                raise ContractError(path, f"has no {_GT}; give a ZIP archive of a MOT sequence")
            texts = {name: _text(path, archive, name) for name in (_GT, _INFO, _IDENTITIES) if name in names}
    except _ZIP_ERRORS as error:
        raise ContractError(path, f"is not a readable ZIP archive ({error})") from None
    lines = texts.get(_INFO, "").splitlines()
    info = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith(";"))
    comment = next((line[2:] for line in lines if line.startswith("; ")), "")
    try:
        numbers = [int(info.get(key, "0")) for key in ("seqLength", "frameRate", "imWidth", "imHeight")]
        identities = [
            Identity(int(row["id"]), row["person"], row["name"], row["uri"])
            for row in csv.DictReader(io.StringIO(texts.get(_IDENTITIES, "")))
        ]
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise ContractError(path, f"{_INFO} or {_IDENTITIES} cannot be read ({error})") from None
    rows = [
        _row(path, number, line) for number, line in enumerate(texts[_GT].splitlines(), 1) if line.strip()
    ]
    kept = np.array([row for row in rows if row], np.int64).reshape(-1, 7)
    frames, rate, width, height = numbers
    return MotSequence(info.get("name", ""), frames, rate, width, height, kept, identities, comment)


def _text(path: Path, archive: zipfile.ZipFile, name: str) -> str:
    if archive.getinfo(name).file_size > _MAX_SIZE:
        raise ContractError(path, f"{name} has more than {_MAX_SIZE} bytes")
    return archive.read(name).decode("utf-8-sig")


def _row(path: Path, number: int, line: str) -> tuple[int, ...] | None:
    """Return a row as in `MotSequence.rows`; None if it is of another class, or not to be counted."""
    try:
        frame, track, left, top, width, height, counted, label, *rest = map(float, line.split(","))
        row = frame, track, left - 1, top - 1, width, height, rest[0] if rest else 1
        whole = tuple(round(value) for value in row[:6])
    except (ValueError, OverflowError):
        raise ContractError(path, f"{_GT}: line {number} is not nine numbers") from None
    if whole[0] < 1 or whole[1] < 1 or whole[4] < 1 or whole[5] < 1:
        raise ContractError(path, f"{_GT}: line {number} has a frame, an id or a size below 1")
    return (*whole, int(row[6] > 0)) if counted and label == 1 else None
