"""Frames in the forms in which they go from the decoder to a detector."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Channels:
    """A frame in RGB with its channels apart, (height, width) uint8; rows may have padding after them."""

    red: NDArray[np.uint8]
    green: NDArray[np.uint8]
    blue: NDArray[np.uint8]

    @property
    def shape(self) -> tuple[int, ...]:
        """Height and width."""
        return self.red.shape

    def image(self) -> NDArray[np.uint8]:
        """Return the frame with its channels together (height, width, 3)."""
        import cv2

        return np.asarray(cv2.merge([self.red, self.green, self.blue]), np.uint8)


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
class Reduction:
    """How 8-bit 4:2:0 planes of one size and colour description become a miniature.

    In integers, of luma by the first entry of each pair and of both chroma planes by the second:

        lines = plane @ across.T >> 7
        lines = min(lines * factor + offset >> 14, 2**15 - 1), where there are `ranges`
        plane of the miniature = clip(down @ lines + 2**18 >> 19, 0, 255)

    This gives the same bytes as swscale on the host (`video.reduction`).

    Attributes:
        across: (width of the miniature's plane, width of the plane) int16, not negative; the sum of each row
            is 2**14.
        down: (height of the miniature's plane, height of the plane) int16, not negative; the sum of each row
            is 2**12.
        ranges: factor and offset of the conversion to full range; None if the planes have it.
    """

    across: tuple[NDArray[np.int16], NDArray[np.int16]]
    down: tuple[NDArray[np.int16], NDArray[np.int16]]
    ranges: tuple[tuple[int, int], tuple[int, int]] | None


@dataclass(frozen=True, eq=False)
class FrameBatch:
    """Frames of one size in one contiguous buffer, for a detector on a GPU.

    Attributes:
        pixels: uint8. (n, height, width, 3) RGB; if `yuv` is given (n, plane_bytes(height, width)): the rows
            of Y, then of U, then of V of each frame, without padding; height and width are even.
        height, width: of the frames in pixels.
        yuv: how planes become RGB; None if `pixels` are RGB.
        reduction: how planes become miniatures, for a `ReducingDetector`; None if none are asked for.
        miniatures: (n, MINIATURE_BYTES) uint8, which the detector fills; None without `reduction`.
    """

    pixels: NDArray[np.uint8]
    height: int
    width: int
    yuv: YuvTables | None = None
    reduction: Reduction | None = None
    miniatures: NDArray[np.uint8] | None = None

    def __len__(self) -> int:
        return len(self.pixels)

    def part(self, beg: int, end: int) -> FrameBatch:
        """Return the frames `[beg, end)` of the batch, in the same memory."""
        miniatures = None if self.miniatures is None else self.miniatures[beg:end]
        return replace(self, pixels=self.pixels[beg:end], miniatures=miniatures)


def plane_bytes(height: int, width: int) -> int:
    """Return the bytes of a frame in 4:2:0 planes; half of those in RGB."""
    return height * width * 3 // 2
