"""The miniatures of a shard: an `.npz` file with one array per block of frames.

Frames of a block are stored as differences from the frame before, modulo 256, and the first as it is, because
successive frames are similar: about 500 bytes a frame instead of 1,968. `numpy.load` reads the file, and
`numpy.cumsum(block, axis=0, dtype=numpy.uint8)` gives the miniatures. Blocks are read one at a time, so a
film's miniatures need not fit into memory. An archive is untrusted input when it is read.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerec.errors import ContractError
from facerec.geometry import MINIATURE_BYTES

BLOCK = 64  # frames
_LEVEL = 4  # of compression: 5 % more bytes than at 6, the default, in a third of the time
_HEADER = 128  # bytes before the numbers of an array in the NPY format, as numpy writes it
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a ZIP file can hold
_PERMISSIONS = 0o644 << 16  # ZIP keeps Unix permissions in the upper 16 bits
_UNIX = 3
# what zipfile and numpy raise for files that are not archives, truncated, or malicious
_ERRORS = (zipfile.BadZipFile, EOFError, RuntimeError, ValueError, OSError, IndexError, OverflowError,
           struct.error, zlib.error, SyntaxError, MemoryError)  # fmt: skip


def _name(block: int) -> str:
    return f"{block:05d}.npy"


@contextmanager
def new_miniature_archive(path: Path) -> Iterator[Callable[[NDArray[np.uint8]], None]]:
    """Write the archive at `path`; yields the function that adds the miniature of the next frame."""
    waiting: list[NDArray[np.uint8]] = []
    with zipfile.ZipFile(path, "w") as archive:
        blocks = 0

        def write() -> None:
            nonlocal blocks
            block = np.stack(waiting)
            block[1:] -= block[:-1].copy()
            array = io.BytesIO()
            np.lib.format.write_array(array, block, version=(1, 0))
            entry = zipfile.ZipInfo(_name(blocks), _EPOCH)
            entry.create_system, entry.external_attr = _UNIX, _PERMISSIONS
            archive.writestr(entry, array.getvalue(), zipfile.ZIP_DEFLATED, _LEVEL)
            blocks += 1
            waiting.clear()

        def add(miniature: NDArray[np.uint8]) -> None:
            waiting.append(miniature)
            if len(waiting) == BLOCK:
                write()

        yield add
        if waiting:
            write()


class MiniatureArchives:
    """The miniatures of successive shards, read by slices.

    Args:
        shards: path and number of decoded frames of each shard, in the order of the film.
    """

    def __init__(self, shards: Sequence[tuple[Path, int]]) -> None:
        self._shards = [(path, frames) for path, frames in shards if frames]
        self._begins = np.cumsum([0, *(frames for _, frames in self._shards)]).tolist()
        self._open: tuple[int, zipfile.ZipFile] | None = None
        self._blocks: dict[tuple[int, int], NDArray[np.uint8]] = {}

    def __len__(self) -> int:
        return int(self._begins[-1])

    def __getitem__(self, frames: slice, /) -> NDArray[np.uint8]:
        """Return the miniatures (n, MINIATURE_BYTES) of a slice of the decoded frames, with a step of 1.

        Raises:
            ContractError: an archive is missing, damaged, or has another number of frames.
        """
        begin, end, _ = frames.indices(len(self))
        parts: list[NDArray[np.uint8]] = []
        while begin < end:
            shard = bisect_right(self._begins, begin) - 1
            block, offset = divmod(begin - self._begins[shard], BLOCK)
            part = self._block(shard, block)[offset : offset + end - begin]
            parts.append(part)
            begin += len(part)
        return np.concatenate(parts) if parts else np.empty((0, MINIATURE_BYTES), np.uint8)

    def _block(self, shard: int, block: int) -> NDArray[np.uint8]:
        key = shard, block
        if key not in self._blocks:
            while len(self._blocks) > 8:
                del self._blocks[next(iter(self._blocks))]
            self._blocks[key] = self._read(shard, block)
        return self._blocks[key]

    def _read(self, shard: int, block: int) -> NDArray[np.uint8]:
        path, frames = self._shards[shard]
        count = min(BLOCK, frames - block * BLOCK)
        try:
            archive = self._archive(shard)
            if len(archive.namelist()) != -(-frames // BLOCK):
                raise ContractError(path, f"does not have the miniatures of {frames} frames")
            entry = archive.getinfo(_name(block))
            if entry.file_size != _HEADER + count * MINIATURE_BYTES:  # bounds the memory that it can use
                raise ContractError(path, f"block {block} does not have the miniatures of {count} frames")
            array = np.lib.format.read_array(io.BytesIO(archive.read(entry)), allow_pickle=False)
        except (KeyError, *_ERRORS) as error:
            raise ContractError(path, f"not a readable archive of miniatures ({error})") from None
        if array.shape != (count, MINIATURE_BYTES) or array.dtype != np.uint8:
            raise ContractError(path, f"block {block} does not have the miniatures of {count} frames")
        return np.cumsum(array, axis=0, dtype=np.uint8)

    def _archive(self, shard: int) -> zipfile.ZipFile:
        """Return the open archive of a shard; one is open at a time, because a film may have hundreds."""
        if self._open is None or self._open[0] != shard:
            self.close()
            path = self._shards[shard][0]
            if not path.is_file():  # a pipe could block forever
                raise ContractError(path, "this file must exist")
            self._open = shard, zipfile.ZipFile(path)
        return self._open[1]

    def close(self) -> None:
        """Close the archive that is open."""
        if self._open is not None:
            self._open[1].close()
            self._open = None


def check_miniatures(path: Path, frames: int) -> None:
    """Read a whole archive.

    Raises:
        ContractError: it is missing, damaged, or has another number of frames than `frames`.
    """
    archives = MiniatureArchives([(path, frames)])
    try:
        for begin in range(0, frames, BLOCK):
            archives[begin : begin + BLOCK]
    finally:
        archives.close()
