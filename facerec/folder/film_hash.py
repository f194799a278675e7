"""The hash of a movie's film, computed once for all tasks that work on the movie.

A copy of the film has another modification time than the plan records, so each task would read all of it to
see that it is the same film.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from facerec.errors import ContractError
from facerec.folder.layout import MovieFolder
from facerec.support.atomic import sha256_of, write_bytes
from facerec.support.jsonl import read_json, require, require_keys
from facerec.support.locks import locked_within

WAIT_S = 3600.0  # a task waits this long for the one that hashes the film
_TYPES = {"name": str, "bytes": int, "mtime_ns": int, "sha256": str}


def hash_once(folder: MovieFolder, film: Path) -> str:
    """Return the SHA-256 of a film, from the record of an earlier task if the file is as it was then."""
    stat = film.stat()
    now = {"name": film.name, "bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns}
    if not os.access(folder.path, os.W_OK):  # another user's folder
        return _recorded(folder, now) or sha256_of(film)
    with locked_within(folder.film_hash_lock, WAIT_S, lambda: None):
        try:
            sha256 = _recorded(folder, now)
            if not sha256:
                sha256 = sha256_of(film)
                write_bytes(folder.film_hash, orjson.dumps({**now, "sha256": sha256}))
            return sha256
        finally:
            folder.film_hash_lock.unlink(missing_ok=True)


def _recorded(folder: MovieFolder, now: Mapping[str, Any]) -> str:
    """Return the recorded hash of a film with the properties `now`; empty if there is none."""

    def parse(value: object) -> dict[str, Any]:
        record = require_keys(value, set(_TYPES))
        for name, kind in _TYPES.items():
            require(type(record[name]) is kind, f"{name} must be of type {kind.__name__}")
        return record

    try:
        record = read_json(folder.film_hash, parse)
    except ContractError:  # there is none, or it is damaged and will be written again
        return ""
    return str(record["sha256"]) if now.items() <= record.items() else ""
