"""Identity of a film file, to check that it is still the one that a plan was made for."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from facerec.errors import PlanError
from facerec.support.atomic import sha256_of

log = logging.getLogger(__name__)
_PROBE = 1 << 20  # bytes read at each end of the film
_SKIPPED = 64 << 20  # a demuxer that skips more bytes has jumped, to an index at the end of the file
Stamp = tuple[int, int, int, int]  # device, inode, size, mtime in ns; equal until the file is written


def file_stamp(film: Path) -> Stamp:
    """Return file metadata that changes whenever the file is written."""
    stat = film.stat()
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns


def probe_sha256(film: Path) -> str:
    """Hash the size and the first and last MiB of a film; cheap. Returns SHA-256, hex."""
    with film.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        digest = sha256(f"{size}:".encode() + file.read(_PROBE))
        file.seek(max(0, size - _PROBE))
        digest.update(file.read(_PROBE))
    return digest.hexdigest()


class HashedFile:
    """A film opened for reading that hashes its bytes while a demuxer reads them: one read for both.

    Attributes:
        name: absolute path, from which a demuxer may tell the container.
    """

    def __init__(self, film: Path) -> None:
        self.name = os.path.abspath(film)
        self._file = film.open("rb", buffering=0)
        self._digest = sha256()
        self._hashed = 0  # all bytes before this position are in the digest

    def __enter__(self) -> HashedFile:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def read(self, size: int = -1) -> bytes:
        """Read at most `size` bytes from the current position."""
        begin = self._file.tell()
        if self._hashed < begin <= self._hashed + _SKIPPED:  # bytes of other streams, which nobody reads
            self._file.seek(self._hashed)
            while self._hashed < begin and (skipped := self._file.read(begin - self._hashed)):
                self._add(skipped)
            self._file.seek(begin)
        data = self._file.read(size)
        if begin <= self._hashed < begin + len(data):
            self._add(data[self._hashed - begin :])
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move the current position, as a file's `seek`."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the current position."""
        return self._file.tell()

    def sha256(self) -> str:
        """Return the SHA-256 of the whole file as hex digits; reads what was not read yet."""
        self._file.seek(self._hashed)
        while data := self._file.read(_PROBE):
            self._add(data)
        return self._digest.hexdigest()

    def _add(self, data: bytes) -> None:
        self._digest.update(data)
        self._hashed += len(data)


def sha256_if_changed(
    film: Path, recorded: Mapping[str, Any], hash_film: Callable[[Path], str] = sha256_of
) -> str:
    """Compare a film with the recorded one; hash all bytes only if the modification time differs.

    The caller has already compared size and probe.

    Args:
        recorded: `sha256` and `mtime_ns` of the film in a plan.
        hash_film: returns the SHA-256 of a film.

    Returns:
        The SHA-256 if the film differs from the recorded one, else "".
    """
    if file_stamp(film)[-1] == recorded.get("mtime_ns"):
        return ""
    log.info("%s: its modification time differs from the plan's; comparing all its bytes", film)
    found = hash_film(film)
    return "" if found == recorded.get("sha256") else found


def check_unchanged(film: Path, recorded: Mapping[str, Any], stamp: Stamp) -> None:
    """Check after reading that the film is still the recorded one.

    Args:
        stamp: `file_stamp` of the film from before it was read.

    Raises:
        PlanError: it changed.
    """
    if file_stamp(film) == stamp:
        return
    if probe_sha256(film) != recorded["probe"] or sha256_if_changed(film, recorded):
        raise PlanError(f"{film}: was changed while it was read; the results are discarded")
