"""A shard's saved faces in one file: a ZIP archive of their pictures, which any tool opens.

One file where there would be thousands: it is synced once, the shard's marker holds its hash, and a
network file system has one name to look up. The pictures are JPEGs already and only stored; the bytes
depend on nothing but the pictures. What is read was perhaps made by somebody else: an entry counts only
if it was asked for by its tag, and nothing is ever unpacked to where the archive says.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from facerec.errors import ContractError
from facerec.folder.names import thumbnail_name

_MAX_PICTURE = 1 << 17  # bytes; 160x160 pixels that are not compressed at all have 76,800
_MAX_ENTRY = _MAX_PICTURE + (1 << 10)  # with its two headers
_BEFORE_ALL = (1980, 1, 1, 0, 0, 0)  # the first moment that the format knows
_PLAIN_FILE = 0o644 << 16  # Unix permissions, in the format's upper half
_UNIX = 3
# what the standard library raises at archives that are none, cut short, or made to do harm
_DAMAGE = (zipfile.BadZipFile, EOFError, RuntimeError, ValueError, OSError, IndexError, OverflowError,
           struct.error, zlib.error)  # fmt: skip


@contextmanager
def new_face_archive(path: Path) -> Iterator[Callable[[str, bytes], None]]:
    """Make the pack at `path`; yields what takes a face's tag and its JPEG, in the order of the faces."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:

        def add(tag: str, jpeg: bytes) -> None:
            entry = zipfile.ZipInfo(thumbnail_name(tag), _BEFORE_ALL)
            entry.create_system, entry.external_attr = _UNIX, _PLAIN_FILE
            archive.writestr(entry, jpeg)

        yield add


class FaceArchive:
    """A pack that is open for reading."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self._path, self._archive = path, archive

    def holds(self, tags: Sequence[str]) -> bool:
        """Whether the pack's faces are just these, in this order."""
        return [entry.filename for entry in self._archive.infolist()] == [thumbnail_name(tag) for tag in tags]

    def read(self, tag: str) -> bytes:
        """The JPEG of the face `tag`.

        Raises:
            ContractError: it is not there, too large, compressed, or damaged.
        """
        try:
            entry = self._archive.getinfo(thumbnail_name(tag))
        except KeyError:
            raise ContractError(self._path, f"the picture of face {tag} is missing") from None
        size = entry.file_size
        if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != size or size > _MAX_PICTURE:
            raise ContractError(self._path, f"the picture of face {tag} is not stored as a shard stores it")
        try:
            return self._archive.read(entry)
        except _DAMAGE as error:
            raise ContractError(self._path, f"the picture of face {tag} is damaged ({error})") from None


@contextmanager
def open_face_archive(path: Path, faces: int) -> Iterator[FaceArchive]:
    """Open the pack at `path`, of at most so many `faces`: they bound the memory that is used.

    Raises:
        ContractError: it is missing, larger than that many faces can be, or no such archive.
    """
    if not path.is_file():  # nor a pipe, which may never end
        raise ContractError(path, "this file must exist")
    if path.stat().st_size > (faces + 1) * _MAX_ENTRY:
        raise ContractError(path, f"too large a file for the pictures of {faces} faces")
    with path.open("rb") as file:
        try:
            archive = zipfile.ZipFile(file)
        except _DAMAGE as error:
            raise ContractError(path, f"no pack of pictures that can be read ({error})") from None
        with archive:
            yield FaceArchive(path, archive)
