"""Batches of frames in reusable memory, as they go from the decoder to a detector on a GPU."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class YuvTables:
    """How 8-bit 4:2:0 planes become RGB; the same object for the same colour description.

    With y, u, v the bytes of a pixel (u and v of its block of 2x2 pixels) and t the tables:
    red = t[0][y] + t[1][v], green = t[0][y] + t[2][u] + t[3][v], blue = t[0][y] + t[4][u], each clipped to
    0..255. This gives the same bytes as the conversion on the host (`video.conversion`).

    Attributes:
        tables: (5, 256) int16.
    """

    tables: NDArray[np.int16]


@dataclass(frozen=True, eq=False)
class FrameBatch:
    """Frames of one size in one contiguous buffer.

    Attributes:
        pixels: uint8. (n, height, width, 3) RGB; if `yuv` is given (n, plane_bytes(height, width)): the rows
            of Y, then of U, then of V of each frame, without padding; height and width are even.
        height, width: of the frames in pixels.
        yuv: how planes become RGB; None if `pixels` are RGB.
    """

    pixels: NDArray[np.uint8]
    height: int
    width: int
    yuv: YuvTables | None = None

    def __len__(self) -> int:
        return len(self.pixels)

    def part(self, beg: int, end: int) -> FrameBatch:
        """Return the frames `[beg, end)` of the batch, in the same memory."""
        return FrameBatch(self.pixels[beg:end], self.height, self.width, self.yuv)


def plane_bytes(height: int, width: int) -> int:
    """Return the bytes of a frame in 4:2:0 planes; half of those in RGB."""
    return height * width * 3 // 2
