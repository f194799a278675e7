"""The scales and tiles in which a network searches a frame, when one scale is not enough for its faces.

A network finds faces of some sizes only. A level is the frame at one scale, which is searched whole or, if it
is larger than the network's input, in overlapping tiles. From each level the faces of those sizes are taken
that it surely finds whole. Suppression leaves one of the faces that two levels or tiles found.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Size = tuple[int, int]  # height, width in pixels
Window = tuple[int, int, int, int]  # top, left, bottom, right in pixels

MARGIN = 8  # pixels; a box nearer to the border between two tiles may be a part of a face
# Pixels that adjacent tiles share: a box of up to OVERLAP - 2 * MARGIN pixels is whole in one of them.
OVERLAP = 144
STEP = 5.0  # scale of a level of tiles against the next, coarser one, at most
FACE_ASPECT = 1.4  # height / width of a long face


@dataclass(frozen=True)
class Level:
    """A frame at one scale.

    Attributes:
        size: of the scaled frame.
        ratio: pixels of the frame per pixel of the scaled frame, in x and y.
        windows: the parts of it that the network searches, one after the other.
        smallest, largest: longer side of the boxes that are taken from it, in pixels of the scaled frame.
    """

    size: Size
    ratio: tuple[float, float]
    windows: tuple[Window, ...]
    smallest: float = 0.0
    largest: float = float("inf")

    def takes(self, boxes: NDArray[np.float32], window: Window) -> NDArray[np.bool_]:
        """Return which boxes (n, 4), x1, y1, x2, y2 in pixels of the window, are taken from it."""
        top, left, bottom, right = window
        sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0)
        taken = (sides >= self.smallest) & (sides <= self.largest)
        # where the window ends inside the frame, a face may be cut; the next window has it whole
        low = np.array([MARGIN if left else -np.inf, MARGIN if top else -np.inf])
        high = np.array(
            [
                right - left - MARGIN if right < self.size[1] else np.inf,
                bottom - top - MARGIN if bottom < self.size[0] else np.inf,
            ]
        )
        taken &= (boxes[:, :2] >= low).all(axis=1) & (boxes[:, 2:] <= high).all(axis=1)
        return np.asarray(taken)


def whole(frame: Size, size: Size, smallest: float = 0.0) -> Level:
    """Return the level of a frame that is scaled to `size` and searched whole."""
    return Level(size, _ratio(frame, size), ((0, 0, *size),), smallest)


def tiled(frame: Size, scale: float, coarse: float, tile: Size) -> list[Level]:
    """Return the levels of tiles that a frame needs beside the whole of it.

    Args:
        frame: size of the frame.
        scale: at which the smallest faces are to be found.
        coarse: scale at which the whole frame is searched.
        tile: size of the network's input.
    """
    levels = []
    while scale > coarse:
        size = scaled(frame, scale)
        if size[0] <= tile[0] and size[1] <= tile[1]:
            break
        rows, columns = _starts(size[0], tile[0]), _starts(size[1], tile[1])
        windows = tuple(
            (top, left, min(top + tile[0], size[0]), min(left + tile[1], size[1]))
            for top in rows
            for left in columns
        )
        levels.append(Level(size, _ratio(frame, size), windows, largest=_overlap(min(tile)) - 2 * MARGIN))
        scale /= STEP
    return levels


def longest_face(frame: Size) -> float:
    """Return the height of the highest face that a frame can hold whole, in pixels."""
    return min(frame[0], FACE_ASPECT * frame[1])


def scaled(frame: Size, scale: float) -> Size:
    """Return the size of a frame at `scale`."""
    return max(1, round(frame[0] * scale)), max(1, round(frame[1] * scale))


def _ratio(frame: Size, size: Size) -> tuple[float, float]:
    return frame[1] / size[1], frame[0] / size[0]


def _overlap(tile: int) -> int:
    return min(OVERLAP, tile // 2)


def _starts(length: int, tile: int) -> list[int]:
    """Return where the tiles of a side begin, evenly spread, so that adjacent ones share `OVERLAP`."""
    if length <= tile:
        return [0]
    shared = _overlap(tile)
    count = -(-(length - shared) // (tile - shared))
    return [(length - tile) * i // (count - 1) for i in range(count)]
