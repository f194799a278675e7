"""The face archive of a shard: a ZIP file with the thumbnails of all its saved faces.

One file replaces thousands: it is synced once, the shard's marker needs one hash, and a network file system
looks up one name. JPEGs are stored uncompressed, and the bytes of the archive depend on the thumbnails
only. An archive is untrusted input when it is read: an entry is used only if its tag was asked for, and
nothing is ever extracted to a path that the archive names.
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

_MAX_THUMBNAIL = 1 << 17  # bytes; 160x160 pixels have 76,800 without any compression
_MAX_ENTRY = _MAX_THUMBNAIL + (1 << 10)  # with its two headers
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a ZIP file can hold
_PERMISSIONS = 0o644 << 16  # ZIP keeps Unix permissions in the upper 16 bits
_UNIX = 3
# what zipfile raises for files that are not archives, truncated, or malicious
_ZIP_ERRORS = (zipfile.BadZipFile, EOFError, RuntimeError, ValueError, OSError, IndexError, OverflowError,
           struct.error, zlib.error)  # fmt: skip


@contextmanager
def new_face_archive(path: Path) -> Iterator[Callable[[str, bytes], None]]:
    """Write the archive at `path`; yields the function that adds a face, given its tag and JPEG."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:

        def add(tag: str, jpeg: bytes) -> None:
            entry = zipfile.ZipInfo(thumbnail_name(tag), _EPOCH)
            entry.create_system, entry.external_attr = _UNIX, _PERMISSIONS
            archive.writestr(entry, jpeg)

        yield add


class FaceArchive:
    """A face archive that is open for reading."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self._path, self._archive = path, archive

    def holds(self, tags: Sequence[str]) -> bool:
        """Whether the archive has exactly the faces `tags`, in this order."""
        return [entry.filename for entry in self._archive.infolist()] == [thumbnail_name(tag) for tag in tags]

    def read(self, tag: str) -> bytes:
        """Return the JPEG of the face `tag`.

        Raises:
            ContractError: it is missing, too large, compressed, or damaged.
        """
        try:
            entry = self._archive.getinfo(thumbnail_name(tag))
        except KeyError:
            raise ContractError(self._path, f"the thumbnail of face {tag} is missing") from None
        size = entry.file_size
        if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != size or size > _MAX_THUMBNAIL:
            raise ContractError(
                self._path, f"the thumbnail of face {tag} is compressed or too large; no shard wrote it"
            )
        try:
            return self._archive.read(entry)
        except _ZIP_ERRORS as error:
            raise ContractError(self._path, f"the thumbnail of face {tag} is damaged ({error})") from None


@contextmanager
def open_face_archive(path: Path, faces: int) -> Iterator[FaceArchive]:
    """Open the archive at `path`.

    Args:
        faces: how many faces it has at most; this bounds the memory that a malicious file can use.

    Raises:
        ContractError: the file is missing, larger than `faces` thumbnails can be, or not a ZIP archive.
    """
    if not path.is_file():  # a pipe could block forever
        raise ContractError(path, "this file must exist")
    if path.stat().st_size > (faces + 1) * _MAX_ENTRY:
        raise ContractError(path, f"the file is too large for the thumbnails of {faces} faces")
    with path.open("rb") as file:
        try:
            archive = zipfile.ZipFile(file)
        except _ZIP_ERRORS as error:
            raise ContractError(path, f"not a readable archive of thumbnails ({error})") from None
        with archive:
            yield FaceArchive(path, archive)
