"""Identity of a film file, to check that it is still the one that a plan was made for."""

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
_PROBE = 1 << 20  # bytes read at each end of the film
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


def sha256_if_changed(film: Path, recorded: Mapping[str, Any]) -> str:
    """Compare a film with the recorded one; hash all bytes only if the modification time differs.

    The caller has already compared size and probe.

    Args:
        recorded: `sha256` and `mtime_ns` of the film in a plan.

    Returns:
        The SHA-256 if the film differs from the recorded one, else "".
    """
    stamp = file_stamp(film)
    if stamp[-1] == recorded.get("mtime_ns"):
        return ""
    found = _sha256(film, stamp)
    return "" if found == recorded.get("sha256") else found


def check_unchanged(film: Path, recorded: Mapping[str, Any]) -> None:
    """Check after reading that the film is still the recorded one.

    Raises:
        PlanError: it changed.
    """
    if sha256_if_changed(film, recorded):
        raise PlanError(f"{film}: was changed while it was read; the results are discarded")


@lru_cache(maxsize=4)
def _sha256(film: Path, _stamp: Stamp) -> str:
    log.info("%s: its modification time differs from the plan's; comparing all its bytes", film)
    return sha256_of(film)
