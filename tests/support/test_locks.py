"""Locks exclude other processes and other openings, by byte or as a whole, and end with their holder."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest

from facerec.support.atomic import write_bytes
from facerec.support.locks import locked, try_lock


def _fork(work: Callable[[], object]) -> int:
    pid = os.fork()
    if pid == 0:
        work()
        os._exit(0)
    return pid


def test_a_lock_excludes_other_processes_until_it_is_released(tmp_path: Path) -> None:
    lock, log = tmp_path / ".lock", tmp_path / "log"

    def enter() -> None:
        with locked(lock), log.open("a") as file:
            file.write("child\n")

    with locked(lock, 3):
        child = _fork(enter)
        time.sleep(0.2)
        assert not log.exists()
        with log.open("a") as file:
            file.write("parent\n")
    os.waitpid(child, 0)  # the child inherited the parent's open lock file, which must not keep the lock
    assert log.read_text() == "parent\nchild\n"


def test_locks_on_different_bytes_do_not_exclude_each_other(tmp_path: Path) -> None:
    def enter() -> None:
        with locked(tmp_path / ".lock", 4):
            (tmp_path / "entered").touch()

    with locked(tmp_path / ".lock", 3):
        os.waitpid(_fork(enter), 0)
        assert (tmp_path / "entered").exists()


def test_two_openings_in_one_process_exclude_each_other(tmp_path: Path) -> None:
    with (tmp_path / ".lock").open("w") as one, (tmp_path / ".lock").open("r+") as other:
        assert try_lock(one.fileno()) and not try_lock(other.fileno())
        with (tmp_path / ".lock").open() as third:
            assert not try_lock(third.fileno(), shared=True)
        assert not try_lock(other.fileno()), "closing the third released the first's lock"
        one.close()
        assert try_lock(other.fileno())


def test_shared_locks_exclude_exclusive_ones_only(tmp_path: Path) -> None:
    (tmp_path / ".lock").touch()
    with (tmp_path / ".lock").open() as one, (tmp_path / ".lock").open() as other:
        assert try_lock(one.fileno(), shared=True) and try_lock(other.fileno(), shared=True)
        with (tmp_path / ".lock").open("r+") as writer:
            assert not try_lock(writer.fileno())


def test_a_killed_holder_leaves_no_lock(tmp_path: Path) -> None:
    def hold() -> None:
        with locked(tmp_path / ".lock"):
            (tmp_path / "held").touch()
            time.sleep(60)

    child = _fork(hold)
    deadline = time.monotonic() + 30
    while not (tmp_path / "held").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    with (tmp_path / ".lock").open("r+") as file:
        assert not try_lock(file.fileno())
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        assert try_lock(file.fileno())


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EINVAL])
def test_without_lock_support_the_work_goes_on(number: int, tmp_path: Path) -> None:
    with mock.patch("fcntl.fcntl", side_effect=OSError(number, "no locks")), locked(tmp_path / ".lock"):
        write_bytes(tmp_path / "file", b"done")
    assert (tmp_path / "file").exists()


def test_another_lock_error_is_raised(tmp_path: Path) -> None:
    failure = OSError(errno.EIO, "Input/output error")
    with (
        mock.patch("fcntl.fcntl", side_effect=failure),
        pytest.raises(OSError, match="Input/output"),
        locked(tmp_path / ".lock"),
    ):
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_needs_no_lock(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with locked(tmp_path / ".lock"):
        assert not list(tmp_path.iterdir())
    tmp_path.chmod(0o700)
