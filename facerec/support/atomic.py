"""Atomic file writes: a reader sees the old file or the complete new one, also after a crash.

A file is written under a temporary name (`.<name>.<random>.part`) in its own folder, synced to disk, and
renamed. Its process holds a lock on it, on a temporary folder's `.<name>.<random>.lock` beside it. The kernel
releases the lock when the process dies, so a later run can tell what a killed process left behind, also where
process ids of other containers cannot be seen.
"""

from __future__ import annotations

import errno
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

from facerec.support.locks import lock, try_shared_lock

_TEMPORARY = re.compile(r"\..*\.(\w+-\d+-[0-9a-f]{8}|[0-9a-f]{16})\.(part|lock)", re.DOTALL)
_BY_EARLIER_RELEASE = re.compile(r"\..*-\d+-[0-9a-f]{8}\.part", re.DOTALL)  # its processes hold no lock
_SYNC_THREADS = 16
_STALE_SECONDS = 86400.0  # without a write, until a temporary file counts as abandoned that has no lock


def host() -> str:
    """Return the name of this machine, on a SLURM node the node's name."""
    return os.environ.get("SLURMD_NODENAME") or socket.gethostname()


def temporary_name(name: str) -> str:
    """Return a unique temporary name for a file or folder that will be renamed to `name`."""
    return f".{name[:100]}.{secrets.token_hex(8)}.part"


@contextmanager
def temporary_dir(parent: Path, name: str) -> Iterator[Path]:
    """Make a temporary folder in `parent` that may be renamed to `name`; removed at the end of the block."""
    path = parent / temporary_name(name)
    lock_path = path.with_suffix(".lock")
    with temporary_file(lock_path):
        try:
            path.mkdir()
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)
            lock_path.unlink(missing_ok=True)


def temporary_file(path: Path) -> BinaryIO:
    """Create and open the temporary file `path`, named by `temporary_name`.

    It is locked until it is closed, so that no other process takes it for abandoned.
    """
    while True:
        file = path.open("xb")
        try:
            lock(file.fileno())
            if os.fstat(file.fileno()).st_nlink:
                return file
        except BaseException:
            file.close()
            raise
        file.close()  # another process removed it before it was locked


def sync_folder(folder: Path) -> None:
    """Sync the directory entries of `folder` to disk, so that renames survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:  # network file systems that do not support it
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)


def sync_files(paths: Sequence[Path]) -> None:
    """Sync the contents of files to disk, many of them in parallel."""

    def sync(path: Path) -> None:
        with path.open("rb") as file:
            os.fsync(file.fileno())

    if len(paths) <= _SYNC_THREADS:
        for path in paths:
            sync(path)
        return
    with ThreadPoolExecutor(_SYNC_THREADS) as pool:
        for _ in pool.map(sync, paths):
            pass


@contextmanager
def path_in_errors(path: Path) -> Iterator[None]:
    """Add `path` to an OSError of the block that names no file, as a full disk's does."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise


def refresh_directory_cache(folder: Path) -> None:
    """List `folder`, so that a network file system drops its cached negative lookups there."""
    if folder.is_dir():
        next(folder.iterdir(), None)


@contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """Open a binary file that is renamed to `path` if the block succeeds and removed if it raises."""
    part = path.with_name(temporary_name(path.name))
    try:
        with path_in_errors(path), temporary_file(part) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            part.replace(path)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename == str(part):  # a random name
            error.filename, error.filename2 = str(path), None
        raise
    sync_folder(path.parent)


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path` atomically."""
    with atomic_write(path) as file:
        file.write(data)


def write_changed(files: Mapping[Path, bytes]) -> tuple[Path, ...]:
    """Write those of `files` that have other contents; if one cannot be written, replace none.

    All contents reach the disk before the first rename. The renames follow in the order given, so a crash
    during them leaves the first files new and the others old.

    Returns:
        The paths that changed.
    """
    changed = {path: data for path, data in files.items() if not path.is_file() or path.read_bytes() != data}
    with ExitStack() as parts:
        for path, data in reversed(changed.items()):  # an exit stack unwinds in reverse order
            part = parts.enter_context(atomic_write(path))
            with path_in_errors(path):
                part.write(data)
                part.flush()
                os.fsync(part.fileno())  # all of them before the first rename
    return tuple(changed)


def create_once(path: Path, data: bytes) -> bool:
    """Write `data` to `path` unless it exists; of concurrent calls exactly one succeeds.

    Returns:
        Whether this call created the file.
    """
    part = path.with_name(temporary_name(path.name))
    try:
        with path_in_errors(path), temporary_file(part) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            try:
                os.link(part, path)  # unlike a rename, fails if `path` exists
            except FileExistsError:
                return False
            except OSError as error:  # no hard links: rename, still atomic
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
    """Remove temporary files and folders of dead processes from `folder`; return their number.

    A process is dead if it no longer holds the lock. Where the file system has no locks, and for files of an
    earlier release, which held none, it counts as dead if nothing was written for a day.
    """
    removed = 0
    for entry in os.scandir(folder) if folder.is_dir() else ():
        if not _TEMPORARY.fullmatch(entry.name):
            continue
        path, lock_path = Path(entry.path), Path(entry.path)
        if path.suffix == ".lock" and path.with_suffix(".part").exists():
            continue  # removed with its folder
        if entry.is_dir(follow_symlinks=False):
            lock_path = path.with_suffix(".lock")
        with _lock_if_abandoned(path, lock_path) as abandoned:
            if abandoned:
                removed += path.suffix == ".part"
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(path, ignore_errors=True)
                lock_path.unlink(missing_ok=True)
    return removed


@contextmanager
def _lock_if_abandoned(path: Path, lock_path: Path) -> Iterator[bool]:
    """Yield whether the process that made `path` is dead; if so, hold its lock for the block."""
    try:
        handle = os.open(lock_path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:  # a folder's lock is made before it and removed after it
        earlier = _BY_EARLIER_RELEASE.fullmatch(path.name)
        yield path != lock_path and (_is_old(path) if earlier else True)
        return
    except OSError:  # a symbolic link, or another user's file
        yield _is_old(path)
        return
    try:
        free = try_shared_lock(handle)
        unlocked = free is None or bool(_BY_EARLIER_RELEASE.fullmatch(path.name))
        yield _is_old(path) if unlocked else bool(free)
    finally:
        os.close(handle)


def _is_old(path: Path) -> bool:
    """Return whether nothing was written to a file or folder for a day."""
    try:
        written = [each.lstat().st_mtime for each in (path, *path.rglob("*"))]
    except FileNotFoundError:  # renamed or changed just now
        return False
    return time.time() - max(written) >= _STALE_SECONDS


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file as hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
