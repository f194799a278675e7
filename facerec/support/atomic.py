"""Files that appear whole or not at all.

A file is written under another name in its own folder, flushed to the disk, and renamed: a reader, and
whoever comes after a power cut, sees the old file or the new one. What a killed process leaves under
such a name is told by the name itself (`.<host>-<pid>-<random>.part`) and swept by a later run.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import secrets
import shutil
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

_OWNER = re.compile(r"\.(?P<host>\w+)-(?P<pid>\d+)-[0-9a-f]{8}\.part$")
LOCKS_UNSUPPORTED = (
    errno.ENOSYS,
    errno.ENOTSUP,
    errno.ENOLCK,
    errno.EINVAL,
)  # of file systems that have none
_SYNCS = 16  # files that are synced at once
_FORGOTTEN_S = 86400.0  # after a day another machine's leavings are nobody's


def host() -> str:
    """The name of this machine; on a SLURM node the node's."""
    return os.environ.get("SLURMD_NODENAME") or socket.gethostname()


def temporary_name(name: str) -> str:
    """A name beside `name` that only this process uses."""
    return f".{name[:100]}.{_plain_host()}-{os.getpid()}-{secrets.token_hex(4)}.part"


def _plain_host() -> str:
    return re.sub(r"\W", "_", host())


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` outlive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:  # some network file systems cannot, and need not
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)


def sync_files(paths: Sequence[Path]) -> None:
    """Make files outlive a power cut; of many some at once, which a disk takes as quickly as one alone."""

    def sync(path: Path) -> None:
        with path.open("rb") as file:
            os.fsync(file.fileno())

    if len(paths) <= _SYNCS:
        for path in paths:
            sync(path)
        return
    with ThreadPoolExecutor(_SYNCS) as pool:
        for _ in pool.map(sync, paths):
            pass


@contextmanager
def path_in_errors(place: Path) -> Iterator[None]:
    """Make what goes wrong with a file in the block say where, also where the system does not (full disk)."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(place)
        raise


@contextmanager
def locked(path: Path, byte: int | None = None) -> Iterator[None]:
    """Keep other processes, on all machines, out of the block; `path` is made where it is missing.

    A record lock, because network file systems have it where `flock` fails on them. Where there is no
    lock at all the block runs without: every single file still appears whole or not at all.

    Args:
        byte: only those who lock the same byte, or the whole (None), exclude each other.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        # Somebody else made the file, in a folder that we share; or nobody can write there.
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        yield
        return
    try:
        try:
            fcntl.lockf(handle, fcntl.LOCK_EX, 0 if byte is None else 1, byte or 0)
        except OSError as error:
            if error.errno not in LOCKS_UNSUPPORTED:
                raise
        yield
    finally:
        os.close(handle)


def refresh_directory_cache(folder: Path) -> None:
    """Have a network file system look what is in `folder`, where it would remember what was not there."""
    if folder.is_dir():
        next(folder.iterdir(), None)


@contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """Open a binary file that becomes `path` when the block ends well, and vanishes when it does not."""
    part = path.with_name(temporary_name(path.name))
    try:
        with path_in_errors(path), part.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all."""
    with atomic_write(path) as file:
        file.write(data)


def write_changed(files: Mapping[Path, bytes]) -> tuple[Path, ...]:
    """Write those of `files` that hold something else, all of them or, where one cannot be written, none.

    They take their places in the order given, after all are on the disk: a power cut just then, or a folder
    in the place of one, leaves the first of them new and the others old.

    Returns:
        The paths that changed.
    """
    changed = {path: data for path, data in files.items() if not path.is_file() or path.read_bytes() != data}
    with ExitStack() as parts:
        for path, data in reversed(changed.items()):  # an exit stack unwinds from its end
            part = parts.enter_context(atomic_write(path))
            with path_in_errors(path):
                part.write(data)
                part.flush()
                os.fsync(part.fileno())  # all of them before the first takes its place
    return tuple(changed)


def create_once(path: Path, data: bytes) -> bool:
    """Write `data` to `path` unless it exists; of several processes at once exactly one succeeds.

    Returns:
        Whether this call made the file.
    """
    part = path.with_name(temporary_name(path.name))
    try:
        with path_in_errors(path), part.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(part, path)  # unlike a rename, fails where `path` exists
        except FileExistsError:
            return False
        except OSError as error:  # no hard links here: the file appears whole all the same
            if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS):
                raise
            if path.exists():
                return False
            part.rename(path)
        sync_folder(path.parent)
        return True
    finally:
        part.unlink(missing_ok=True)


def remove_stale_temporaries(folder: Path) -> int:
    """Remove from `folder` what dead processes left half-written; returns how many names that were.

    A part is dead when its process was on this machine and is gone, or when nothing was written in it
    for a day: another machine's live process must keep its own.
    """
    swept = 0
    for entry in os.scandir(folder) if folder.is_dir() else ():
        owner = _OWNER.search(entry.name)
        if owner is None or _alive(owner["host"], int(owner["pid"]), entry):
            continue
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path, ignore_errors=True)
        else:
            Path(entry.path).unlink(missing_ok=True)
        swept += 1
    return swept


def _alive(owner_host: str, pid: int, entry: os.DirEntry[str]) -> bool:
    if owner_host == _plain_host():
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True
    try:
        written = [path.lstat().st_mtime for path in (Path(entry), *Path(entry).rglob("*"))]
    except FileNotFoundError:  # it is being written, or has just become what it was written for
        return True
    return time.time() - max(written) < _FORGOTTEN_S


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, hex, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
