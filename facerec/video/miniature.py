"""Miniatures: a film's frames reduced to 48x27 pixels, from which its shots are decided.

A miniature depends on one frame only. It has the luma and the two colour planes of YUV 4:2:0, full range,
not turned upright. swscale makes it in one step from the decoded picture of any pixel format, so a frame need
not be converted to RGB for it. The size is that of the frames that TransNetV2 takes.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Protocol

import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from numpy.typing import NDArray

from facerec.geometry import MINIATURE

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

WIDTH, HEIGHT = MINIATURE
LUMA_BYTES = WIDTH * HEIGHT
# plain numbers, as the arithmetic of `enum` would take longer than the arithmetic of a miniature
_METHOD = int(Interpolation.AREA | Interpolation.ACCURATE_RND | Interpolation.BITEXACT)
_MATRIX, _RANGE = int(Colorspace.ITU709), int(ColorRange.JPEG)

Miniature = NDArray[np.uint8]  # (`geometry.MINIATURE_BYTES`,): the rows of Y, then of Cb, then of Cr

_of_thread = threading.local()  # a reformatter keeps its tables for the next frame of the same size


class Miniatures(Protocol):
    """Miniatures of successive frames: an array (n, MINIATURE_BYTES) uint8, or files read by slices."""

    def __len__(self) -> int: ...

    def __getitem__(self, frames: slice, /) -> NDArray[np.uint8]: ...


def miniature(frame: VideoFrame) -> Miniature:
    """Reduce a decoded frame, see `reduce`."""
    return pixels_of(reduce(frame))


def reduce(frame: VideoFrame) -> VideoFrame:
    """Reduce a decoded frame to a picture with the pixels of the miniature: means of those that they cover.

    It may be called from any thread, but not while another thread converts the same frame. The result does
    not depend on the processor. The luma is used as it is, for any colour matrix of the frame.
    """
    return reduce_to(frame, WIDTH, HEIGHT, "yuv420p")


def reduce_to(
    frame: VideoFrame, width: int, height: int, pixel_format: str, reformatter: VideoReformatter | None = None
) -> VideoFrame:
    """Reduce a frame as `reduce` does, to another size or format, in full range.

    Args:
        reformatter: for this size, if it is often needed; None for that of `reduce`.
    """
    reformatter = reformatter or getattr(_of_thread, "reformatter", None)
    if reformatter is None:
        reformatter = _of_thread.reformatter = VideoReformatter()
    return reformatter.reformat(
        frame,
        width,
        height,
        pixel_format,
        src_colorspace=_MATRIX,
        dst_colorspace=_MATRIX,
        dst_color_range=_RANGE,
        interpolation=_METHOD,
        threads=1,
    )


def pixels_of(small: VideoFrame) -> Miniature:
    """Return the pixels of a picture that `reduce` made."""
    planes = [
        np.asarray(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]
        for plane in small.planes
    ]
    return np.concatenate([plane.ravel() for plane in planes])


def luma(miniatures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the luma of miniatures (n, MINIATURE_BYTES) as pictures (n, HEIGHT, WIDTH)."""
    return miniatures[:, :LUMA_BYTES].reshape(-1, HEIGHT, WIDTH)


def to_rgb(miniatures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Convert miniatures (n, MINIATURE_BYTES) to RGB (n, HEIGHT, WIDTH, 3), by the matrix of BT.709."""
    y = luma(miniatures).astype(np.float32)
    rows, columns = (HEIGHT + 1) // 2, WIDTH // 2
    planes = miniatures[:, LUMA_BYTES:].reshape(-1, 2, rows, columns).astype(np.float32) - 128
    blue, red = planes.repeat(2, axis=2).repeat(2, axis=3)[:, :, :HEIGHT].swapaxes(0, 1)
    channels = y + 1.5748 * red, y - 0.1873 * blue - 0.4681 * red, y + 1.8556 * blue
    return np.asarray(np.stack(channels, -1).round().clip(0, 255), np.uint8)
