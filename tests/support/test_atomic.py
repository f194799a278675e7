"""Atomic writes, and the removal of temporary files of dead processes."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
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
    temporary_dir,
    temporary_name,
    write_bytes,
    write_changed,
)
from facerec.support.locks import lock


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


def test_an_error_names_the_file_not_its_temporary(tmp_path: Path) -> None:
    (tmp_path / "folder.txt").mkdir()
    for path in (tmp_path / "folder.txt", tmp_path / "none" / "a.txt"):
        with pytest.raises(OSError) as caught:
            atomic.write_bytes(path, b"new")
        assert (caught.value.filename, caught.value.filename2) == (str(path), None)


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


def _start(code: str, folder: Path) -> subprocess.Popen[str]:
    """Run code with `folder` as `path` in a process of its own until it prints a line."""
    program = f"import sys, time; from pathlib import Path; from facerec.support.atomic import *\n{code}"
    child = subprocess.Popen(
        [sys.executable, "-c", f"path = __import__('pathlib').Path({str(folder)!r})\n{program}"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


WRITE_FILE = """
with atomic_write(path / "plan.json") as file:
    file.write(b"half"); file.flush(); print("ready", flush=True); time.sleep(60)"""
FILL_FOLDER = """
with temporary_dir(path, "staging") as folder:
    (folder / "inside").write_text("half"); print("ready", flush=True); time.sleep(60)"""


@pytest.mark.parametrize("code", [WRITE_FILE, FILL_FOLDER])
def test_temporaries_stay_while_their_process_lives_and_go_when_it_is_killed(
    tmp_path: Path, code: str
) -> None:
    (tmp_path / "other").write_text("whole")
    child = _start(code, tmp_path)
    before = set(tmp_path.iterdir())
    for path in before:
        os.utime(path, (0, 0))  # a slow process writes nothing for days
    with mock.patch("os.kill", side_effect=ProcessLookupError):  # as if in another container
        assert remove_stale_temporaries(tmp_path) == 0 and set(tmp_path.iterdir()) == before
    child.kill()
    child.communicate()
    assert remove_stale_temporaries(tmp_path) == 1
    assert list(tmp_path.iterdir()) == [tmp_path / "other"]


def test_a_file_that_is_removed_before_it_is_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def removed_meanwhile(handle: int) -> None:
        if not calls:
            remove_stale_temporaries(tmp_path)
        calls.append(handle)
        lock(handle)

    monkeypatch.setattr(atomic, "lock", removed_meanwhile)
    write_bytes(tmp_path / "file", b"all")
    assert (tmp_path / "file").read_bytes() == b"all" and len(calls) == 2


@pytest.mark.parametrize("name", ["staging", "x" * 300])
def test_a_folder_may_be_renamed_and_its_lock_goes(name: str, tmp_path: Path) -> None:
    with temporary_dir(tmp_path, name) as folder:
        (folder / "inside").write_text("all")
        folder.rename(tmp_path / "result")
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")] == [
        "result",
        "result/inside",
    ]


def _age(*paths: Path) -> None:
    for path in paths:
        long_ago = time.time() - 90_000
        os.utime(path, (long_ago, long_ago))


def test_without_locks_only_what_is_a_day_old_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(atomic, "try_shared_lock", lambda handle: None)
    part = tmp_path / temporary_name("plan.json")
    part.write_text("half")
    assert remove_stale_temporaries(tmp_path) == 0
    _age(part)
    assert remove_stale_temporaries(tmp_path) == 1


def test_temporaries_of_an_earlier_release_are_removed_after_a_day(tmp_path: Path) -> None:
    part = tmp_path / ".staging.node_1-4711-0123abcd.part"  # its process may run, and holds no lock
    part.mkdir()
    (part / "inside").write_text("half")
    _age(part)
    assert remove_stale_temporaries(tmp_path) == 0, "a file inside was written just now"
    _age(part / "inside")
    assert remove_stale_temporaries(tmp_path) == 1 and not part.exists()


def test_a_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / temporary_name("link")).symlink_to(tmp_path / "precious")
    assert remove_stale_temporaries(tmp_path) == 0 and (tmp_path / "precious").is_dir()


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


def test_all_contents_are_on_the_disk_before_the_first_file_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a power cut between two renames, a new file must not lie beside one of which half is written."""
    steps: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def synced(handle: int) -> None:
        if not stat.S_ISDIR(os.fstat(handle).st_mode):
            steps.append(f"sync {os.fstat(handle).st_size}")
        fsync(handle)

    def replaced(self: Path, target: Path) -> Path:
        steps.append("replace")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", replaced)
    write_changed({tmp_path / "a": b"1", tmp_path / "b": b"22", tmp_path / "c": b"333"})
    first = steps.index("replace")
    assert {"sync 1", "sync 2", "sync 3"} <= set(steps[:first])
