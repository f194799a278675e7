"""Atomic writes, and the removal of temporary files of dead processes."""

from __future__ import annotations

import errno
import os
import subprocess
import time
from pathlib import Path
from unittest import mock

import pytest

from facerec.support import atomic
from facerec.support.atomic import (
    atomic_write,
    create_once,
    remove_stale_temporaries,
    sha256_of,
    sync_files,
    temporary_name,
    write_bytes,
)


def test_a_file_appears_only_when_complete(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "file") as file:
        file.write(b"all")
        file.flush()
        assert not (tmp_path / "file").exists()
    assert (tmp_path / "file").read_bytes() == b"all"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_failed_write_leaves_only_the_old_file(tmp_path: Path) -> None:
    write_bytes(tmp_path / "file", b"old")
    with pytest.raises(ZeroDivisionError), atomic_write(tmp_path / "file") as file:
        file.write(b"ne")
        raise ZeroDivisionError
    assert (tmp_path / "file").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_full_disk_error_names_the_file(tmp_path: Path) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    with mock.patch("os.fsync", side_effect=full), pytest.raises(OSError) as caught:
        write_bytes(tmp_path / "file", b"data")
    assert caught.value.filename == str(tmp_path / "file")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("count", [0, 1, 16, 17, 100])
def test_all_files_are_synced_and_errors_raised(count: int, tmp_path: Path) -> None:
    paths = [tmp_path / str(i) for i in range(count)]
    for path in paths:
        path.write_bytes(b"data")
    synced: list[int] = []
    with mock.patch("os.fsync", lambda handle: synced.append(os.fstat(handle).st_ino)):
        sync_files(paths)
    assert sorted(synced) == sorted(path.stat().st_ino for path in paths)
    if paths:
        paths[-1].unlink()
        with pytest.raises(FileNotFoundError):
            sync_files(paths)


@pytest.mark.parametrize("links", [True, False])
def test_a_file_is_created_only_once(tmp_path: Path, links: bool) -> None:
    no_links = None if links else OSError(errno.EPERM, "Operation not permitted")
    with mock.patch("os.link", side_effect=no_links, wraps=os.link if links else None):
        assert create_once(tmp_path / "file", b"first")
        assert not create_once(tmp_path / "file", b"second")
    assert (tmp_path / "file").read_bytes() == b"first"
    assert len(list(tmp_path.iterdir())) == 1


def _dead_pid() -> int:
    child = subprocess.Popen(["true"])
    child.wait()
    return child.pid


def _part(folder: Path, name: str = "plan.json", host: str | None = None, pid: int | None = None) -> Path:
    with mock.patch.object(atomic, "host", lambda: host or "here.cluster-1"):
        part = folder / temporary_name(name).replace(f"-{os.getpid()}-", f"-{pid or os.getpid()}-")
    part.mkdir()
    (part / "inside").write_text("half")
    return part


@pytest.mark.parametrize("name", ["plan.json", "staging", "a.b-7-00000000.part", "x" * 300])
def test_temporaries_of_a_dead_process_are_removed(name: str, tmp_path: Path) -> None:
    part, other = _part(tmp_path, name, pid=_dead_pid()), tmp_path / "plan.json"
    other.write_text("whole")
    with mock.patch.object(atomic, "host", lambda: "here.cluster-1"):
        assert remove_stale_temporaries(tmp_path) == 1
    assert not part.exists() and other.exists()


def test_temporaries_of_a_live_process_stay(tmp_path: Path) -> None:
    part = _part(tmp_path)
    os.utime(part, (0, 0))
    with mock.patch.object(atomic, "host", lambda: "here.cluster-1"):
        assert remove_stale_temporaries(tmp_path) == 0
    assert part.exists()


def test_temporaries_of_another_machine_are_removed_after_a_day(tmp_path: Path) -> None:
    part = _part(tmp_path, host="elsewhere", pid=_dead_pid())
    assert remove_stale_temporaries(tmp_path) == 0
    long_ago = time.time() - 90_000
    os.utime(part, (long_ago, long_ago))
    assert remove_stale_temporaries(tmp_path) == 0, "a file inside was written just now"
    os.utime(part / "inside", (long_ago, long_ago))
    assert remove_stale_temporaries(tmp_path) == 1


def test_files_with_other_names_stay(tmp_path: Path) -> None:
    names = ["film.part", ".part", ".x.here-1.part", "plan.json", ".here-99999999-0123abcd.part.txt"]
    for name in names:
        (tmp_path / name).write_text("")
    assert remove_stale_temporaries(tmp_path) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    assert remove_stale_temporaries(tmp_path / "no such folder") == 0


def test_sha256_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    assert sha256_of(tmp_path / "file").startswith("ba7816bf8f01cfea")
