"""Advisory locks between processes, also between machines that share a network file system.

All locks are open file description locks (fcntl(2), `F_OFD_SETLK`), for two reasons:

- Like POSIX record locks and unlike `flock`, they lock single bytes of a file, and network file systems
  (NFS, Lustre, GPFS) pass them to the server by the same path as record locks, so they also exclude
  processes on other machines. `flock` stays local to one machine on some mounts.
- Like `flock` and unlike record locks, they belong to the open file: two openings in one process exclude
  each other, and closing one of them does not release the other's lock.

The kernel releases a lock when its holder dies, so a lock is never stale. If a file system or an old kernel
has no such locks, callers continue without; every file is still written atomically (`support.atomic`).
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_POLL_S = 0.5  # a wait with a time limit asks again after this
_UNSUPPORTED = (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK, errno.EINVAL)


@contextmanager
def locked(path: Path, byte: int | None = None) -> Iterator[None]:
    """Hold an exclusive lock on `path` for the block; wait until it is free. Creates a missing file.

    The lock is not reentrant. Where `path` may not be written, or locks are unsupported, the block runs
    without a lock.

    Args:
        byte: lock this byte only, so that holders of different bytes do not exclude each other; None
            locks the whole file and excludes all of them.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:  # another user's file or folder, or a read-only file system
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        yield
        return
    start, length = (0, 0) if byte is None else (byte, 1)
    try:
        _set_lock(handle, fcntl.F_OFD_SETLKW, fcntl.F_WRLCK, start, length)
        yield
    finally:
        unlock(handle)
        os.close(handle)


@contextmanager
def locked_within(path: Path, seconds: float, waiting: Callable[[], None]) -> Iterator[bool]:
    """Hold an exclusive lock on `path` for the block, or none if it is not free within `seconds`.

    Creates a missing file. Where locks are unsupported, the block runs without a lock.

    Args:
        waiting: called once if another process has the lock.

    Yields:
        False if the lock was not free in time.
    """
    with path.open("ab") as file:
        end = time.monotonic() + seconds
        if not (free := try_lock(file.fileno())):
            waiting()
        while not free and time.monotonic() < end:
            time.sleep(_POLL_S)
            free = try_lock(file.fileno())
        try:
            yield free
        finally:
            if free:
                unlock(file.fileno())


def try_lock(handle: int, *, shared: bool = False) -> bool:
    """Lock an open file as a whole without waiting.

    Args:
        handle: file descriptor, open for writing, or at least for reading if `shared`.
        shared: exclude only exclusive locks.

    Returns:
        False if another holder has it; True if it is now locked or locks are unsupported.
    """
    try:
        _set_lock(handle, fcntl.F_OFD_SETLK, fcntl.F_RDLCK if shared else fcntl.F_WRLCK)
    except BlockingIOError:
        return False
    return True


def is_same_file(path: Path, handle: int) -> bool:
    """Whether `path` is still the file that is open as `handle`, not a later one of that name."""
    try:
        named, opened = path.stat(), os.fstat(handle)
    except FileNotFoundError:
        return False
    return (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino)


def try_shared_lock(handle: int) -> bool | None:
    """Lock an open file as a whole against exclusive locks, without waiting.

    Returns:
        False if another holder has an exclusive lock; None if locks are unsupported.
    """
    try:
        return True if _set_lock(handle, fcntl.F_OFD_SETLK, fcntl.F_RDLCK) else None
    except BlockingIOError:
        return False


def lock(handle: int) -> None:
    """Lock an open file as a whole, exclusively; wait until it is free."""
    _set_lock(handle, fcntl.F_OFD_SETLKW, fcntl.F_WRLCK)


def unlock(handle: int) -> None:
    """Release all locks of an open file, also if a forked child still has it open."""
    _set_lock(handle, fcntl.F_OFD_SETLK, fcntl.F_UNLCK)


def _set_lock(handle: int, command: int, kind: int, start: int = 0, length: int = 0) -> bool:
    """Run a lock command on `length` bytes from `start`; length 0 reaches to the end of any file.

    Returns:
        False if locks are unsupported.
    """
    request = struct.pack("@hhqqi0q", kind, os.SEEK_SET, start, length, 0)  # struct flock; l_pid must be 0
    try:
        fcntl.fcntl(handle, command, request)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        return False
    return True
