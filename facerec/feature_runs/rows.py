"""The features of one clip by one extractor, kept in a temporary file beyond a few MiB."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from facerec.errors import NonFiniteError
from facerec.features.base import EMBEDDINGS, FEATURES, PICTURES, Arrays

IN_MEMORY = 4 << 20  # bytes of an array before it goes to a temporary file
_BLOCK = 1 << 20  # bytes copied at once


@dataclass(frozen=True)
class OutputFormat:
    """The storage format of vectors: of arrays named `features`, `embeddings` or `layer_…`, not of boxes etc.

    Attributes:
        float16: store them in 16 bits instead of 32.
        l2: scale each row to Euclidean length 1, before anything else.
    """

    float16: bool = False
    l2: bool = False

    def apply(self, name: str, rows: NDArray[Any]) -> NDArray[Any]:
        """Return a block of rows of the array `name` as it is stored.

        Raises:
            NonFiniteError: a value is too large for 16 bits.
        """
        if not (name in (FEATURES, EMBEDDINGS) or name.startswith("layer_")):
            return rows
        if self.l2 and rows.ndim == 2:
            lengths = np.sqrt(np.square(rows, dtype=np.float64).sum(axis=1, keepdims=True))
            rows = rows / np.maximum(lengths, 1e-12)
        if not self.float16:
            return rows.astype(np.float32)
        largest = float(np.abs(rows).max(initial=0))
        if largest > np.finfo(np.float16).max:
            raise NonFiniteError(f"{name} has the value {largest:g}, too large for 16 bits; omit --float16")
        return rows.astype(np.float16)


class _Array:
    """Rows of one array: appended in blocks, read back in blocks."""

    def __init__(self, folder: Path | None) -> None:
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(IN_MEMORY, dir=str(folder) if folder else None)  # noqa: SIM115
        self.rows = 0
        self.row_shape: tuple[int, ...] = ()
        self.dtype = np.dtype(np.float32)

    def append(self, block: NDArray[Any]) -> None:
        self.row_shape, self.dtype = block.shape[1:], block.dtype
        self.rows += len(block)
        self._file.write(np.ascontiguousarray(block).data)

    def blocks(self, rows: int) -> Iterator[NDArray[Any]]:
        """Read all rows from the start, `rows` at a time."""
        self._file.seek(0)
        row = int(np.prod(self.row_shape)) * self.dtype.itemsize
        while data := self._file.read(rows * row):
            yield np.frombuffer(data, self.dtype).reshape(-1, *self.row_shape)
        self._file.seek(0, 2)

    def pieces(self, sizes: Sequence[int]) -> Iterator[bytes]:
        """Read consecutive pieces of `sizes` bytes from the start."""
        self._file.seek(0)
        yield from map(self._file.read, sizes)
        self._file.seek(0, 2)

    def close(self) -> None:
        self._file.close()


class Rows:
    """The arrays of one clip, built row by row; all have the rows on their first axis.

    Args:
        format: how vectors are stored; None if the rows that are added have their stored form already.
        folder: where temporary files are made; None for the system's.
        transposed: arrays with two axes are stored as (features, rows).

    Attributes:
        padded: whether the clip was too short for a window.
        facts: further fields of their index entry, JSON values by name.
    """

    def __init__(
        self, format: OutputFormat | None, folder: Path | None = None, transposed: bool = False
    ) -> None:
        self._format, self._folder, self._transposed = format, folder, transposed
        self._arrays: dict[str, _Array] = {}
        self._picture_sizes: list[int] = []
        self.padded = False
        self.facts: dict[str, Any] = {}

    def append(self, block: Arrays) -> None:
        """Add rows: for each array a block (rows, …); `pictures` is an array of bytes objects."""
        for name, values in block.items():
            if name == PICTURES:
                self._picture_sizes += map(len, values)
                values = np.frombuffer(b"".join(values), np.uint8)
            if name not in self._arrays:
                self._arrays[name] = _Array(self._folder)
            self._arrays[name].append(self._format.apply(name, values) if self._format else values)

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """The shape of each array as it is stored."""
        shapes = {name: self._shape(array) for name, array in self._arrays.items()}
        return {**shapes, PICTURES: (len(self._picture_sizes),)} if PICTURES in shapes else shapes

    @property
    def dtypes(self) -> Mapping[str, str]:
        """The type of each array as it is stored, as NumPy names it."""
        return {name: array.dtype.name for name, array in self._arrays.items()}

    def array(self, name: str = FEATURES) -> NDArray[Any]:
        """Return an array as a whole, in memory."""
        array = self._arrays[name]
        blocks = [*array.blocks(max(array.rows, 1))]
        whole = blocks[0] if blocks else np.empty((0, *array.row_shape), array.dtype)
        return whole.T if self._is_transposed(array) else whole

    def write(self, file: BinaryIO) -> None:
        """Write an NPY file, or an NPZ archive if there is another array than `features`.

        The archive has each picture as a JPEG file of its own, `pictures/000000.jpeg`, ….
        """
        if self._arrays.keys() == {FEATURES}:
            self._write_npy(self._arrays[FEATURES], file.write)
            return
        with zipfile.ZipFile(file, "w") as archive:
            for name, array in self._arrays.items():
                if name == PICTURES:
                    self._write_pictures(array, archive)
                    continue
                entry = zipfile.ZipInfo(f"{name}.npy")  # dated 1980: equal features give equal bytes
                with archive.open(entry, "w", force_zip64=True) as member:
                    self._write_npy(array, member.write)

    def write_array(self, name: str, file: BinaryIO) -> None:
        """Write one array as an NPY file."""
        self._write_npy(self._arrays[name], file.write)

    def close(self) -> None:
        """Delete the temporary files."""
        for array in self._arrays.values():
            array.close()

    def _is_transposed(self, array: _Array) -> bool:
        return self._transposed and len(array.row_shape) == 1

    def _shape(self, array: _Array) -> tuple[int, ...]:
        shape = (array.rows, *array.row_shape)
        return shape[::-1] if self._is_transposed(array) else shape

    def _write_pictures(self, array: _Array, archive: zipfile.ZipFile) -> None:
        for number, picture in enumerate(array.pieces(self._picture_sizes)):
            archive.writestr(zipfile.ZipInfo(f"{PICTURES}/{number:06d}.jpeg"), picture)

    def _write_npy(self, array: _Array, write: Callable[[Any], object]) -> None:
        transposed = self._is_transposed(array)
        # an array in Fortran's order is the transpose of its bytes in C's
        header = {"descr": array.dtype.str, "fortran_order": transposed, "shape": self._shape(array)}
        np.lib.format.write_array_header_1_0(_Writer(write), header)
        for block in array.blocks(_rows_per_block(array)):
            write(np.ascontiguousarray(block).data)


class _Writer:
    """The part of a file that NumPy writes a header to."""

    def __init__(self, write: Callable[[Any], object]) -> None:
        self.write = write


def _rows_per_block(array: _Array) -> int:
    row = int(np.prod(array.row_shape)) * array.dtype.itemsize
    return max(1, _BLOCK // max(row, 1))
