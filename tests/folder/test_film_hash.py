"""The hash of a film is computed once for all tasks, and again when the file is another one."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

import pytest

from facerec.folder import film_hash
from facerec.folder.film_hash import hash_once
from facerec.folder.layout import MovieFolder
from facerec.support.locks import try_lock


@pytest.fixture
def folder(tmp_path: Path) -> MovieFolder:
    made = MovieFolder(tmp_path / "out" / "7-data")
    made.create()
    return made


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "7-film.mp4"
    path.write_bytes(b"film")
    return path


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were read to be hashed."""
    found: list[Path] = []
    plain = film_hash.sha256_of
    monkeypatch.setattr(film_hash, "sha256_of", lambda path: (found.append(path), plain(path))[1])
    return found


def test_a_film_is_read_once_and_again_when_it_changes(
    folder: MovieFolder, film: Path, read: list[Path]
) -> None:
    first = sha256(b"film").hexdigest()
    assert [hash_once(folder, film) for _ in range(3)] == [first] * 3 and read == [film]
    assert not folder.film_hash_lock.exists()
    stamp = film.stat().st_mtime_ns
    film.write_bytes(b"FILM")
    os.utime(film, ns=(stamp, stamp + 1))  # of the same size
    assert hash_once(folder, film) == sha256(b"FILM").hexdigest() and len(read) == 2
    film.write_bytes(b"longer")
    os.utime(film, ns=(stamp, stamp + 1))  # of the same time
    assert hash_once(folder, film) == sha256(b"longer").hexdigest() and len(read) == 3
    other = film.rename(film.with_name("7-other.mp4"))
    assert hash_once(folder, other) == sha256(b"longer").hexdigest() and len(read) == 4


def test_a_task_that_waited_too_long_for_another_one_hashes_the_film_itself(
    folder: MovieFolder, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(film_hash, "WAIT_S", 0.0)
    with folder.film_hash_lock.open("ab") as held:
        assert try_lock(held.fileno())
        assert hash_once(folder, film) == sha256(b"film").hexdigest()


def test_a_task_does_not_fail_where_another_one_removed_the_lock_file(
    folder: MovieFolder, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task that waited holds the lock of a file that the one before it has removed."""

    def hashed(path: Path) -> str:
        folder.film_hash_lock.unlink()
        return "a" * 64

    monkeypatch.setattr(film_hash, "sha256_of", hashed)
    assert hash_once(folder, film) == "a" * 64


@pytest.mark.parametrize(
    "record", [b"", b"{", b"[]", b'{"name": "7-film.mp4"}', b'{"name":1,"bytes":4,"mtime_ns":1,"sha256":"a"}']
)
def test_a_damaged_record_is_written_again(
    record: bytes, folder: MovieFolder, film: Path, read: list[Path]
) -> None:
    folder.film_hash.write_bytes(record)
    assert [hash_once(folder, film) for _ in range(2)] == [sha256(b"film").hexdigest()] * 2 and len(read) == 1


def test_the_folder_of_another_user_is_not_written(
    folder: MovieFolder, film: Path, read: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: not (path == folder.path and mode == os.W_OK))
    assert hash_once(folder, film) == sha256(b"film").hexdigest()
    assert not folder.film_hash.exists() and not folder.film_hash_lock.exists()
    monkeypatch.undo()
    hash_once(folder, film)
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(film_hash, "sha256_of", lambda _: pytest.fail("the record says it"))
    assert hash_once(folder, film) == sha256(b"film").hexdigest()
