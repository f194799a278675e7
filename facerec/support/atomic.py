"""Atomic file writes: a reader sees the old file or the complete new one, also after a crash.

A file is written under a temporary name in its own folder, synced to disk, and renamed. The temporary
name (`.<name>.<host>-<pid>-<random>.part`) names its process, so that a later run can remove what a
killed process left behind.
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

_OWNER = re.compile(r"\.(?P<host>\w+)-(?P<pid>\d+)-[0-9a-f]{8}\.part$")
_SYNC_THREADS = 16
_STALE_SECONDS = 86400.0  # without a write, until another machine's temporary file counts as abandoned


def host() -> str:
    """Return the name of this machine, on a SLURM node the node's name."""
    return os.environ.get("SLURMD_NODENAME") or socket.gethostname()


def temporary_name(name: str) -> str:
    """Return a unique temporary name for a file or folder that will be renamed to `name`."""
    return f".{name[:100]}.{_host_in_name()}-{os.getpid()}-{secrets.token_hex(4)}.part"


def _host_in_name() -> str:
    return re.sub(r"\W", "_", host())


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
    """Write `data` to `path` atomically."""
    with atomic_write(path) as file:
        file.write(data)


def write_changed(files: Mapping[Path, bytes]) -> tuple[Path, ...]:
    """Write those of `files` whose contents differ; if one cannot be written, replace none.

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
        with path_in_errors(path), part.open("xb") as file:
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

    A process of this machine is dead if its pid is gone. A process of another machine counts as dead if
    nothing was written to its file or folder for a day.
    """
    removed = 0
    for entry in os.scandir(folder) if folder.is_dir() else ():
        owner = _OWNER.search(entry.name)
        if owner is None or _is_alive(owner["host"], int(owner["pid"]), entry):
            continue
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path, ignore_errors=True)
        else:
            Path(entry.path).unlink(missing_ok=True)
        removed += 1
    return removed


def _is_alive(owner_host: str, pid: int, entry: os.DirEntry[str]) -> bool:
    if owner_host == _host_in_name():
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True
    try:
        written = [path.lstat().st_mtime for path in (Path(entry), *Path(entry).rglob("*"))]
    except FileNotFoundError:  # renamed or changed just now
        return True
    return time.time() - max(written) < _STALE_SECONDS


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file as hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
