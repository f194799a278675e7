"""Claims: which worker does which item, between processes and between machines that share a folder.

An item is claimed by creating a file with `O_EXCL`. The file names its owner (machine, SLURM job, process),
is locked by it, and is written again every `HEARTBEAT_SECONDS`. A claim may be taken over

- as soon as its lock is free, if its owner runs on this machine: the kernel releases the lock of a process
  that dies;
- if in addition its heartbeat is `STALE_SECONDS` old, if its owner runs on another machine, because some
  mounts of network file systems keep locks local to a machine;
- if its heartbeat is that old, where locks do not work.

A process id proves nothing: it may have been given to another process. Ages are differences of the file
system's own times, so the clocks of the machines do not matter.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

from facerec.support.atomic import host, refresh_directory_cache, temporary_file, temporary_name
from facerec.support.locks import is_same_file, try_lock, unlock

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 15.0
STALE_SECONDS = 60.0
SETTLE_SECONDS = 2.0  # until a takeover without locks is checked
_ATTEMPTS = 100
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_NAME = re.compile(r"[\w-][\w.-]{0,200}", re.ASCII)


def slurm_job() -> str | None:
    """Return the SLURM job of this process, `<job>` or `<array job>_<task>`; None outside SLURM."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID")


def claim_name(item: str) -> str:
    """Return the name of the claim of an item: readable if the item is a plain name, else a hash."""
    return (
        item if _NAME.fullmatch(item) else hashlib.sha256(item.encode("utf-8", "surrogateescape")).hexdigest()
    )


def locks_work(folder: Path) -> bool:
    """Whether locks on files in `folder` exclude other processes of this machine."""
    path = folder / temporary_name("lock")
    with temporary_file(path), path.open("r+b") as other:
        path.unlink()
        return not try_lock(other.fileno())


class Claim:
    """An item that this worker owns until it is released."""

    def __init__(self, path: Path, handle: int, owner: dict[str, object]) -> None:
        self.path, self._handle, self._owner = path, handle, owner
        self._guard = threading.Lock()  # between the worker and its heartbeat
        self._open = True
        self.beat()

    def beat(self) -> None:
        """Write the claim again, with the present time."""
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())  # of constant length
        data = (json.dumps({**self._owner, "heartbeat": now}) + "\n").encode()
        with self._guard:
            if self._open:
                os.pwrite(self._handle, data, 0)
                os.ftruncate(self._handle, len(data))

    def is_held(self) -> bool:
        """Whether the item still belongs to this worker; another one may have taken it for dead."""
        return is_same_file(self.path, self._handle) and _read(self.path).get("token") == self._owner["token"]

    def release(self) -> None:
        """Give the item back: remove the claim, unless another worker took it over."""
        with self._guard:
            if not self._open:
                return
            self._open = False
            try:
                if self.is_held():
                    self.path.unlink(missing_ok=True)
            finally:
                unlock(self._handle)
                os.close(self._handle)


class Claims:
    """The claims of one worker in a folder; a context manager during which they are kept alive.

    Args:
        folder: has the claims of all workers; created if missing.
        first: called before the other workers may begin, if none of them is at work now.
    """

    def __init__(self, folder: Path, first: Callable[[], None] | None = None) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._locks_work = locks_work(folder)
        if not self._locks_work:
            log.warning(
                "%s: this file system has no locks; the items of a worker that dies are free after %d s",
                folder, STALE_SECONDS,
            )  # fmt: skip
        self._machine = _machine()
        self._first = first
        self._held: frozenset[Claim] = frozenset()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._presence = -1

    def __enter__(self) -> Claims:
        self._presence = os.open(self.folder / "workers.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        if try_lock(self._presence):
            self._remove_stale()
            if self._first is not None:
                self._first()
        while not try_lock(self._presence, shared=True):  # the first worker's preparations
            time.sleep(0.05)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for claim in self._held:
            claim.release()
        unlock(self._presence)
        os.close(self._presence)

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT_SECONDS):
            for claim in self._held:
                try:
                    claim.beat()
                except OSError as error:  # a full disk or a lost server; the next beat may succeed
                    log.warning("%s: cannot be written: %s", claim.path, error.strerror or error)

    @contextmanager
    def hold(self, item: str) -> Iterator[Claim | None]:
        """Claim an item for the block; yields None if another worker has it.

        The caller must check that the item was not finished before the claim was taken.
        """
        claim = self._take(item)
        if claim is None:
            yield None
            return
        self._held = self._held | {claim}
        try:
            yield claim
        finally:
            self._held = self._held - {claim}
            claim.release()

    def _take(self, item: str) -> Claim | None:
        path = self.folder / f"{claim_name(item)}.claim"
        for _ in range(_ATTEMPTS):  # the file may vanish between two steps
            try:
                handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
                owner: dict[str, object] | None = None
            except FileExistsError:
                try:
                    handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
                except FileNotFoundError:
                    continue
                except PermissionError:  # of another user, who does not share the folder for writing
                    return None
                owner = _read(path)
            if owner is not None and not self._may_be_stale(path, owner):
                os.close(handle)
                return None
            if not try_lock(handle):
                os.close(handle)
                return None
            if not is_same_file(path, handle):  # its owner finished just now
                unlock(handle)
                os.close(handle)
                continue
            claim = Claim(path, handle, {"item": item, **self._identity()})
            if owner is not None:
                log.info("%s: taken over from process %s of %s", item, owner.get("pid"), owner.get("host"))
                if not self._locks_work:
                    time.sleep(SETTLE_SECONDS)  # of several workers that write now, the last one keeps it
                    if not claim.is_held():
                        claim.release()
                        return None
            return claim
        return None

    def doubtful_heartbeat(self, item: str) -> float | None:
        """Return when a claim was written, if it is not known whether its owner lives.

        That is the case if its lock is free, or locks do not work, but it is not stale yet.
        """
        path = self.folder / f"{claim_name(item)}.claim"
        try:
            with path.open("r+b") as file:
                beat = os.fstat(file.fileno()).st_mtime
                if self._may_be_stale(path, _read(path)) or not try_lock(file.fileno()):
                    return None
                unlock(file.fileno())
                return beat
        except (FileNotFoundError, PermissionError):
            return None

    def _remove_stale(self) -> None:
        """Remove the claims of dead workers on items that may be finished, and never taken again."""
        for path in [*self.folder.glob("*.claim")] if self._locks_work else []:
            with suppress(FileNotFoundError, PermissionError), path.open("r+b") as file:
                if self._may_be_stale(path, _read(path)) and try_lock(file.fileno()):
                    path.unlink()
                    unlock(file.fileno())

    def _identity(self) -> dict[str, object]:
        return {
            "host": host(),
            "machine": self._machine,
            "job": slurm_job(),
            "pid": os.getpid(),
            "token": secrets.token_hex(8),
        }

    def _may_be_stale(self, path: Path, owner: dict[str, object]) -> bool:
        """Whether the claim is free if its lock is."""
        if self._locks_work and owner.get("machine") == self._machine is not None:
            return True
        try:
            return self._file_system_time() - path.stat().st_mtime >= STALE_SECONDS
        except FileNotFoundError:
            return True  # released just now

    def _file_system_time(self) -> float:
        probe = self.folder / temporary_name("clock")
        try:
            with temporary_file(probe) as file:
                file.write(b"\n")
                file.flush()
                return probe.stat().st_mtime
        finally:
            probe.unlink(missing_ok=True)


def _machine() -> str | None:
    """Return what identifies the running kernel: host names may be shared by containers."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return None


def _read(path: Path) -> dict[str, object]:
    """Read a claim; empty while its owner writes it for the first time, or if it is gone."""
    refresh_directory_cache(path.parent)
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
