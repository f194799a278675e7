"""A film is hashed while it is read, and is the recorded one as long as its bytes are."""

from __future__ import annotations

import os
import random
import tracemalloc
from hashlib import sha256
from pathlib import Path

import pytest

from facerec.errors import PlanError
from facerec.video import identity
from facerec.video.identity import HashedFile, check_unchanged, file_stamp, probe_sha256, sha256_if_changed

DATA = random.Random(0).randbytes(3 << 20)


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "7-a.mp4"
    path.write_bytes(DATA)
    return path


@pytest.mark.parametrize(
    "reads",
    [
        [],
        [(0, 100), (100, 200)],
        [(0, 100), (50, 200), (60, 20)],  # again, and over the end of what was read
        [(0, 100), (5000, 10)],  # past some bytes
        [(5000, 10), (0, 100)],
        [(0, 100), ((3 << 20) - 10, 100), (100, 1 << 20)],  # to the index at the end and back
        [(0, 4 << 20), (0, 100)],
    ],
)
def test_the_hash_is_that_of_the_file_whatever_was_read(film: Path, reads: list[tuple[int, int]]) -> None:
    with HashedFile(film) as file:
        assert file.name == str(film)
        for begin, size in reads:
            assert file.seek(begin) == begin == file.tell()
            assert file.read(size) == DATA[begin : begin + size]
            assert file.tell() == min(begin + size, len(DATA))
        assert file.sha256() == sha256(DATA).hexdigest()


def test_a_file_that_was_read_through_is_not_read_again(film: Path) -> None:
    with HashedFile(film) as file:
        for _ in range(30):
            file.read(100_000)
            file.seek(3, os.SEEK_CUR)  # a demuxer passes over some bytes
        while file.read(100_000):
            pass
        film.write_bytes(b"other")
        assert file.sha256() == sha256(DATA).hexdigest()


@pytest.mark.parametrize(("jump", "is_read"), [(1000, True), (1001, False)])
def test_a_jump_to_the_end_reads_nothing_between(
    jump: int, is_read: bool, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "_SKIPPED", 1000)
    with HashedFile(film) as file:
        file.read(100)
        file.seek(100 + jump)
        file.read(100)
        changed = DATA[:500] + b"changed" + DATA[507:]
        film.write_bytes(changed)
        assert file.sha256() == sha256(DATA if is_read else changed).hexdigest()


def test_no_more_of_a_film_is_read_into_memory_than_is_asked_for(tmp_path: Path) -> None:
    path, size = tmp_path / "1-a.mp4", 12 << 20
    with path.open("wb") as file:
        file.truncate(size)
    tracemalloc.start()
    try:
        with HashedFile(path) as hashed:
            hashed.seek(5)
            hashed.read(10)
            for _ in range(6):
                hashed.read(1 << 20)
            hashed.seek(5, os.SEEK_CUR)  # with much of the film before it and after it
            hashed.read(10)
            assert tracemalloc.get_traced_memory()[1] < 4 << 20
            found = hashed.sha256()
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
    assert found == sha256(bytes(size)).hexdigest()


@pytest.mark.parametrize("size", [0, 10, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20])
def test_the_probe_is_of_the_size_and_of_a_mebibyte_at_each_end(size: int, tmp_path: Path) -> None:
    """Plans of films keep it, so it may never change."""
    path, data = tmp_path / "1-a.mp4", DATA[:size]
    path.write_bytes(data)
    parts = f"{size}:".encode() + data[: 1 << 20] + data[max(0, size - (1 << 20)) :]
    assert probe_sha256(path) == sha256(parts).hexdigest()


def test_a_film_is_hashed_only_if_its_modification_time_differs(film: Path) -> None:
    hashed: list[Path] = []

    def hash_film(path: Path) -> str:
        hashed.append(path)
        return sha256(path.read_bytes()).hexdigest()

    recorded = {"sha256": sha256(DATA).hexdigest(), "mtime_ns": film.stat().st_mtime_ns}
    assert sha256_if_changed(film, recorded, hash_film) == "" and not hashed
    os.utime(film, ns=(1, 1))
    assert sha256_if_changed(film, recorded, hash_film) == "" and hashed == [film]
    assert sha256_if_changed(film, {"sha256": recorded["sha256"]}, hash_film) == ""
    film.write_bytes(b"other")
    os.utime(film, ns=(1, 1))
    assert sha256_if_changed(film, recorded, hash_film) == sha256(b"other").hexdigest()
    os.utime(film, ns=(1, recorded["mtime_ns"]))
    assert sha256_if_changed(film, recorded, hash_film) == ""


def test_results_of_a_film_that_was_written_meanwhile_are_discarded(film: Path) -> None:
    recorded = {
        "probe": probe_sha256(film), "sha256": sha256(DATA).hexdigest(), "mtime_ns": film.stat().st_mtime_ns
    }  # fmt: skip
    stamp = file_stamp(film)
    check_unchanged(film, recorded, stamp)
    os.utime(film, ns=(1, 1))
    check_unchanged(film, recorded, stamp)  # copied over by itself, for example
    for at in (0, 1 << 20):  # among the bytes of the probe, and beyond them
        film.write_bytes(DATA[:at] + b"other" + DATA[at + 5 :])
        os.utime(film, ns=(1, 1))
        with pytest.raises(PlanError, match="was changed while it was read"):
            check_unchanged(film, recorded, stamp)
