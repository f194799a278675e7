"""A temporary file of pieces of data, so that memory does not grow with a clip."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from typing import IO

IN_MEMORY = 4 << 20  # bytes; more go to a temporary file


class Spool:
    """Pieces of bytes, numbered from 0: appended, read back by number."""

    def __init__(self) -> None:
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115
        self._ends = [0]

    def append(self, piece: bytes) -> None:
        """Add a piece."""
        self._file.seek(self._ends[-1])
        self._file.write(piece)
        self._ends.append(self._ends[-1] + len(piece))

    def read(self, numbers: Sequence[int]) -> Iterator[bytes]:
        """Read the pieces of these numbers, in their order."""
        for number in numbers:
            beg, end = self._ends[number], self._ends[number + 1]
            self._file.seek(beg)
            yield self._file.read(end - beg)

    def close(self) -> None:
        """Delete the file."""
        self._file.close()
