"""Whether a film is the one that a plan was made for: by its bytes, read only as far as need be."""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from facerec.errors import PlanError
from facerec.support.atomic import sha256_of

log = logging.getLogger(__name__)
_PROBE = 1 << 20  # bytes at either end of the film that identify it cheaply
Stamp = tuple[int, int, int, int]  # device, inode, size, time of change: equal, so nobody wrote to the file


def file_stamp(film: Path) -> Stamp:
    """What changes when the film's bytes do."""
    stat = film.stat()
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns


def probe_sha256(film: Path) -> str:
    """A cheap identity of a film's bytes: SHA-256 of its size and its first and last MiB, hex."""
    with film.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        digest = sha256(f"{size}:".encode() + file.read(_PROBE))
        file.seek(max(0, size - _PROBE))
        digest.update(file.read(_PROBE))
    return digest.hexdigest()


def sha256_if_changed(film: Path, recorded: Mapping[str, Any]) -> str:
    """The SHA-256 of a film whose bytes are not the `recorded` ones; empty where they are.

    A film that was last written when the recorded one was is taken for it, once its size and its probe
    were found to be the same; of a copy, or of a film that was written to, all bytes are read, once.

    Args:
        recorded: what a plan says of its film, `sha256` and `mtime_ns`.
    """
    stamp = file_stamp(film)
    if stamp[-1] == recorded.get("mtime_ns"):
        return ""
    found = _sha256(film, stamp)
    return "" if found == recorded.get("sha256") else found


def check_unchanged(film: Path, recorded: Mapping[str, Any]) -> None:
    """Refuse what was read of a film that changed meanwhile.

    Raises:
        PlanError: so it did.
    """
    if sha256_if_changed(film, recorded):
        raise PlanError(f"{film}: was changed while it was read; what was made of it is dropped")


@lru_cache(maxsize=4)
def _sha256(film: Path, _stamp: Stamp) -> str:
    log.info("%s: another time of change than the plan's film had; comparing all its bytes", film)
    return sha256_of(film)
