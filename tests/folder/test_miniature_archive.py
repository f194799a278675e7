"""The archive of miniatures: read back as written, in bounded memory, damage named."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facerec.errors import ContractError
from facerec.folder.miniature_archive import (
    BLOCK,
    MiniatureArchives,
    check_miniatures,
    new_miniature_archive,
)
from facerec.geometry import MINIATURE_BYTES


def write(path: Path, frames: np.ndarray) -> Path:
    with new_miniature_archive(path) as add:
        for frame in frames:
            add(frame)
    return path


def made(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, MINIATURE_BYTES), np.uint8)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 2 * BLOCK + 3), max_size=4), st.data())
def test_any_slice_of_any_shards_is_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, counts: list[int], data: st.DataObject
) -> None:
    root = tmp_path_factory.mktemp("archives")
    whole = made(sum(counts))
    parts = np.split(whole, np.cumsum(counts)[:-1]) if counts else []
    found = MiniatureArchives([(write(root / f"{k}.npz", part), len(part)) for k, part in enumerate(parts)])
    assert len(found) == len(whole)
    for _ in range(3):
        begin, end = (data.draw(st.integers(0, len(whole) + 2)) for _ in range(2))
        np.testing.assert_array_equal(found[begin:end], whole[begin:end])
    found.close()


def test_numpy_reads_the_file_as_the_documentation_says(tmp_path: Path) -> None:
    frames = made(BLOCK + 5)
    with np.load(write(tmp_path / "a.npz", frames)) as blocks:
        read = np.concatenate([np.cumsum(blocks[name], 0, np.uint8) for name in blocks])
    np.testing.assert_array_equal(read, frames)


def test_a_film_of_many_blocks_is_read_as_it_was_written(tmp_path: Path) -> None:
    """More blocks than are kept in memory, forwards and then again from the beginning."""
    frames = made(12 * BLOCK)
    archives = MiniatureArchives([(write(tmp_path / "a.npz", frames), len(frames))])
    for _ in range(2):
        np.testing.assert_array_equal(archives[: len(frames)], frames)
        archives.close()
    archives.close()


def test_an_empty_slice_is_of_the_type_of_miniatures(tmp_path: Path) -> None:
    empty = MiniatureArchives([(write(tmp_path / "a.npz", made(3)), 3)])[3:]
    assert empty.dtype == np.uint8 and empty.shape == (0, MINIATURE_BYTES)


def test_the_same_frames_give_the_same_bytes(tmp_path: Path) -> None:
    frames = made(70)
    one, other = write(tmp_path / "a.npz", frames), write(tmp_path / "b.npz", frames)
    assert one.read_bytes() == other.read_bytes()


def damaged(path: Path, how: str) -> None:
    data = path.read_bytes()
    if how == "missing":
        path.unlink()
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "cut short":
        path.write_bytes(data[: len(data) // 2])
    elif how == "flipped":
        path.write_bytes(data[:5000] + bytes([data[5000] ^ 255]) + data[5001:])
    elif how == "pickled":
        with zipfile.ZipFile(path, "w") as archive, archive.open("00000.npy", "w") as file:
            np.save(file, np.array([{}] * 70, object), allow_pickle=True)
    elif how == "huge":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in ("00000.npy", "00001.npy"):
                archive.writestr(name, bytes(1 << 24))


@pytest.mark.parametrize("how", ["missing", "empty", "cut short", "flipped", "pickled", "huge", "frames"])
def test_damage_is_one_error_with_the_path(how: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.npz", made(70))
    damaged(path, how)
    with pytest.raises(ContractError, match=r"a\.npz"):
        check_miniatures(path, 69 if how == "frames" else 70)


class Payload:
    """Unpickling it runs code."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.file,)


def test_an_archive_of_the_right_size_cannot_run_code(tmp_path: Path) -> None:
    header = io.BytesIO()
    shape = {"descr": "|O", "fortran_order": False, "shape": (70, MINIATURE_BYTES)}
    np.lib.format.write_array_header_1_0(header, shape)
    payload = header.getvalue() + pickle.dumps(Payload(tmp_path / "ran"))
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("00000.npy", payload.ljust(128 + BLOCK * MINIATURE_BYTES, b"\0"))
        archive.writestr("00001.npy", b"")
    with pytest.raises(ContractError, match=r"a\.npz: not a readable archive"):
        check_miniatures(tmp_path / "a.npz", 70)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("array", [made(5).view(np.int8), made(5).T, made(5).ravel()])
def test_an_array_of_another_shape_or_type_is_refused_even_if_it_has_as_many_bytes(
    array: np.ndarray, tmp_path: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive, archive.open("00000.npy", "w") as file:
        np.save(file, array)
    with pytest.raises(ContractError, match=r"a\.npz: block 0 does not have the miniatures of 5 frames"):
        check_miniatures(tmp_path / "a.npz", 5)


@pytest.mark.parametrize("block", range(4))
def test_damage_in_any_block_is_found(block: int, tmp_path: Path) -> None:
    """Without it, the merge would fail hours after the shard looked done."""
    path = write(tmp_path / "a.npz", made(3 * BLOCK + 2))
    check_miniatures(path, 3 * BLOCK + 2)
    with zipfile.ZipFile(path) as archive:
        at = archive.infolist()[block].header_offset + 300
    data = bytearray(path.read_bytes())
    data[at] ^= 255
    path.write_bytes(data)
    with pytest.raises(ContractError, match=r"a\.npz: not a readable archive"):
        check_miniatures(path, 3 * BLOCK + 2)


def test_a_shard_without_frames_has_an_empty_archive(tmp_path: Path) -> None:
    check_miniatures(write(tmp_path / "a.npz", made(0)), 0)
    with pytest.raises(ContractError):
        check_miniatures(tmp_path / "a.npz", 1)
