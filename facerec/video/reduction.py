"""Describe how swscale reduces planes to a miniature, so that a device can do the same.

Between planes of 8 bits swscale multiplies each row of samples by coefficients of 14 bits, keeps 15 bits of
the sums, converts these to full range, and multiplies the columns by coefficients of 12 bits. The
coefficients are found by reducing a picture with one white sample in each row and column to planes of 16
bits, from which they can be read. So they are those of the installed swscale, for the position of the chroma
samples, too, which PyAV does not give. Only a comparison of an `example` shows whether the arithmetic is
swscale's.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import av
import numpy as np
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter
from numpy.typing import NDArray

from facerec.pixels import Reduction, plane_bytes
from facerec.video.conversion import copy_planes, plane_views
from facerec.video.miniature import HEIGHT, WIDTH, Miniature, pixels_of, reduce, reduce_to

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

log = logging.getLogger(__name__)

FULL = int(ColorRange.JPEG)
ACROSS, DOWN = 1 << 14, 1 << 12  # sums of the coefficients of a pixel
WHITE = 255
# Factor and offset, of 14 bits, from limited to full range: 16..235 of luma and 16..240 of chroma become
# 0..255. They are those of libswscale 9, which rounds the factor up and maps the largest value exactly.
RANGES = (19078, -39084288), (18652, -38207488)

_MARKS = np.random.default_rng(0).integers(0, 256, (8, 8), np.uint8)
_POINT = int(Interpolation.POINT)
_of_thread = threading.local()  # reformatters for `chroma_position`, which keep their tables
# by width, height, whether the range is full, and position of the chroma samples: a device keeps tables and
# memory for each reduction, so all shards of a process use the same
_found: dict[tuple[int, int, bool, bytes], Reduction | None] = {}


@dataclass(frozen=True)
class Example:
    """A made-up picture with the size and the colour description of a film's frames.

    Attributes:
        planes: as in `FrameBatch`.
        miniature: what swscale makes of it.
    """

    planes: NDArray[np.uint8]
    miniature: Miniature


def reduction_of(frame: VideoFrame, position: bytes | None = None) -> Reduction | None:
    """Return how frames like this one, for which there are `yuv_tables`, become miniatures.

    Args:
        position: `chroma_position` of the frame, if it is known.

    Returns:
        The same object for all such frames of a process; None if the coefficients cannot be read.
    """
    full = frame.format.name == "yuvj420p" or frame.color_range == FULL
    position = chroma_position(frame) if position is None else position
    description = frame.width, frame.height, full, position
    if description not in _found:
        _found[description] = _read_reduction(frame, full)
    return _found[description]


def _read_reduction(frame: VideoFrame, full: bool) -> Reduction | None:
    try:
        across = _across(frame)
        down = _coefficients(frame, frame.height, (frame.height, HEIGHT), DOWN)
    except (av.FFmpegError, OSError) as error:
        log.debug("%dx%d: no coefficients (%s)", frame.width, frame.height, error)
        return None
    for pair, total in ((across, ACROSS), (down, DOWN)):
        if any((part < 0).any() or (part.sum(axis=1) != total).any() for part in pair):
            return None
    return Reduction(across, down, None if full else (RANGES[0], RANGES[1]))


def chroma_position(frame: VideoFrame) -> bytes:
    """Return a key of the position of the chroma samples: equal bytes for equal positions.

    Takes 0.05 ms. The decoder applies a new header also to frames that are shown before the one with the
    header. Method: a small picture gets the frame's attributes and is reduced.
    """
    if not hasattr(_of_thread, "reformatters"):
        _of_thread.reformatters = VideoReformatter(), VideoReformatter()
    shrink, halve = _of_thread.reformatters
    side = 8 if frame.width != 8 else 16  # a frame of this size would be returned itself, and written to
    try:
        small = shrink.reformat(frame, side, side, "yuv420p", interpolation=_POINT, threads=1)
        plane_views(small)[1][:] = _MARKS[: side // 2, : side // 2]
        return plane_views(reduce_to(small, side // 2, side // 2, "yuv420p", halve))[1].tobytes()
    except (av.FFmpegError, OSError):
        return b""


def example(frame: VideoFrame) -> Example:
    """Return a picture of the size and colour description of a frame for which there are `yuv_tables`.

    It has areas of noise, black and white, so that all coefficients and limits count.
    """
    made = _like(frame, frame.width, frame.height, frame.format.name)
    made.colorspace, made.color_range = frame.colorspace, frame.color_range
    rng = np.random.default_rng(0)
    for view in plane_views(made):
        view[:] = np.resize(rng.integers(0, 256, 65537, np.uint8), view.shape)
        rows, columns = (np.linspace(0, side, 13).astype(int) for side in view.shape)
        for row, column, value in rng.integers((0, 0, 0), (12, 12, 2), (72, 3)):
            view[rows[row] : rows[row + 1], columns[column] : columns[column + 1]] = value * WHITE
    planes = np.empty(plane_bytes(frame.height, frame.width), np.uint8)
    copy_planes(made, planes)
    return Example(planes, pixels_of(reduce(made)))


def _across(frame: VideoFrame) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    if frame.width == WIDTH:  # a square would become itself, without any filter
        luma = np.eye(WIDTH, dtype=np.int16) * np.int16(ACROSS)
        return luma, luma[: WIDTH // 2, : WIDTH // 2]
    luma, chroma = _coefficients(frame, frame.width, (WIDTH, frame.width), ACROSS)
    return luma.T, chroma.T


def _coefficients(
    frame: VideoFrame, side: int, size: tuple[int, int], total: int
) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Reduce a square picture with a white diagonal, along one side; return the coefficient of each sample.

    Args:
        frame: has the position of the chroma samples.
        side: even.
        size: width and height of the result, one of which is `side`.
        total: coefficient of a white sample that covers a pixel.
    """
    square = _like(frame, side, side, "yuv420p")
    for view in plane_views(square):
        view[:] = 0
        np.fill_diagonal(view, WHITE)
    square.color_range = FULL
    reduced = reduce_to(square, *size, "yuv420p16le")
    luma, chroma = (
        np.frombuffer(memoryview(plane), "<u2").reshape(plane.height, -1)[:, : plane.width]
        for plane in reduced.planes[:2]
    )
    # 16 bits of a white sample are `WHITE` * 256
    return _rounded(luma, total), _rounded(chroma, total)


def _rounded(values: NDArray[np.uint16], total: int) -> NDArray[np.int16]:
    coefficients: NDArray[np.int16] = np.rint(values * (total / (WHITE << 8))).astype(np.int16)
    return coefficients


def _like(frame: VideoFrame, width: int, height: int, pixel_format: str) -> VideoFrame:
    """Return a new picture with the attributes of a frame, among them the position of chroma samples."""
    # of the miniature, as a frame that has the size and the format would be returned itself
    return reduce(frame).reformat(width=width, height=height, format=pixel_format, threads=1)
