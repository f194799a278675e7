"""Convert decoded pictures to RGB by swscale, its channels together or apart, or describe it for a device.

Between pictures of one size swscale gives each channel of RGB as a clipped sum: a value for the luma, plus
values for the chroma of the pixel's block of 2x2 pixels. A device that adds the same values has the same
bytes. The values are found by converting pictures with all pairs of luma and chroma, so they include the
rounding of the processor's own routine; a random picture shows that such sums are what swscale computes.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from facerec.geometry import Image
from facerec.pixels import Channels, YuvTables, plane_bytes

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

log = logging.getLogger(__name__)

PLANAR = ("yuv420p", "yuvj420p")
UNSPECIFIED = 2  # colour space, transfer function and primaries, by ITU-T H.273
_METHOD = int(Interpolation.BILINEAR)  # a plain number, as looking up a name takes longer
_of_thread = threading.local()  # reformatters, by the format that they convert to
_NEUTRAL = 128  # chroma of grey
_UNKNOWN = 1 << 14  # more than any sum
_TRIAL = 32  # pairs of rows that are converted to see whether two routines compute the same


def to_rgb(frame: VideoFrame, width: int, height: int) -> Image:
    """Convert a picture to RGB (height, width, 3) in one pass of swscale.

    One thread at a time may convert a picture: PyAV changes its colour description for the conversion.
    """
    try:
        return _reformat(frame, width, height)
    except (av.FFmpegError, OSError):  # a damaged or reserved colour description; the pixels are usable
        frame.colorspace = frame.color_trc = frame.color_primaries = UNSPECIFIED
        return _reformat(frame, width, height)


def _reformat(frame: VideoFrame, width: int, height: int) -> Image:
    converted = _converted(frame, width, height, "rgb24")
    plane = converted.planes[0]
    if converted is not frame and plane.line_size == 3 * width:  # its memory, without padding, is not copied
        return np.frombuffer(memoryview(plane), np.uint8, 3 * width * height).reshape(height, width, 3)
    return np.asarray(converted.to_ndarray(), dtype=np.uint8)


def _converted(frame: VideoFrame, width: int, height: int, pixel_format: str) -> VideoFrame:
    # `frame.reformat` would make new tables for each frame, which takes longer than converting a small one
    reformatters: dict[str, VideoReformatter] = _of_thread.__dict__
    if pixel_format not in reformatters:
        reformatters[pixel_format] = VideoReformatter()
    # one thread: other frames are converted at the same time
    return reformatters[pixel_format].reformat(
        frame, width, height, pixel_format, interpolation=_METHOD, threads=1
    )


def to_channels(frame: VideoFrame) -> Channels | None:
    """Convert a picture at its own size to RGB with its channels apart, which is faster than `to_rgb`.

    One thread at a time may convert a picture.

    Returns:
        None where the bytes could differ from those of `to_rgb`: without `yuv_tables`, and at some widths.
    """
    if not _is_plain(frame):
        return None
    if not _has_same_channels(frame.format.name, int(frame.colorspace), int(frame.color_range), frame.width):
        return None
    return _channels(frame)


def _channels(frame: VideoFrame) -> Channels:
    green, blue, red = plane_views(_converted(frame, frame.width, frame.height, "gbrp"))
    return Channels(red, green, blue)


@cache
def _has_same_channels(pixel_format: str, colorspace: int, color_range: int, width: int) -> bool:
    """Whether swscale computes the same bytes for channels apart; tested on a random picture.

    It depends on the processor's routines, and with some of them on the width: another routine may compute
    the pixels after the last multiple of 16.
    """
    rng = np.random.default_rng(0)
    frame = av.VideoFrame(width, 2 * _TRIAL, pixel_format)
    for view in plane_views(frame):
        view[:] = rng.integers(0, 256, view.shape, dtype=np.uint8)
    frame.colorspace, frame.color_range = colorspace, color_range
    same = False
    with _refusal_logged(pixel_format, colorspace, color_range):
        together = _reformat(frame, frame.width, frame.height)
        same = np.array_equal(_channels(frame).image(), together)
    return same


@contextmanager
def _refusal_logged(pixel_format: str, colorspace: int, color_range: int) -> Iterator[None]:
    """End the block where swscale refuses a colour description, see `to_rgb`."""
    try:
        yield
    except (av.FFmpegError, OSError) as error:
        log.debug("%s, colour space %d, range %d: %s", pixel_format, colorspace, color_range, error)


def plane_views(frame: VideoFrame) -> list[NDArray[np.uint8]]:
    """Return the planes of a picture with 8 bits a sample, as views (rows, columns)."""
    return [
        np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]
        for plane in frame.planes
    ]


def copy_planes(frame: VideoFrame, target: NDArray[np.uint8]) -> None:
    """Copy the planes of a picture for which there are `yuv_tables`, as in `FrameBatch`.

    Args:
        target: (plane_bytes,) uint8.
    """
    if len(target) != plane_bytes(frame.height, frame.width):
        raise ValueError(f"{len(target)} bytes for planes of {frame.width}x{frame.height} pixels")
    begin = 0
    for plane in plane_views(frame):
        np.copyto(target[begin : begin + plane.size].reshape(plane.shape), plane)
        begin += plane.size


def yuv_tables(frame: VideoFrame) -> YuvTables | None:
    """Return how the planes of a picture become the bytes of `to_rgb` at its own size.

    Returns:
        None if they do not: in other pixel formats, and with interlaced fields, which have chroma of
        their own.
    """
    if not _is_plain(frame):
        return None
    return _tables(frame.format.name, int(frame.colorspace), int(frame.color_range))


def _is_plain(frame: VideoFrame) -> bool:
    """Whether each pixel of RGB follows from one pixel of luma and the chroma of its block of 2x2 pixels."""
    if frame.format.name not in PLANAR or frame.interlaced_frame:
        return False
    return frame.width % 2 == 0 and frame.height % 2 == 0


@cache
def _tables(pixel_format: str, colorspace: int, color_range: int) -> YuvTables | None:
    """Find the tables of a colour description; None if there are none."""

    def convert(planes: Sequence[NDArray[np.uint8]]) -> Image:
        height, width = planes[0].shape
        frame = av.VideoFrame(width, height, pixel_format)
        for view, plane in zip(plane_views(frame), planes, strict=True):
            view[:] = plane
        frame.colorspace, frame.color_range = colorspace, color_range
        return _reformat(frame, width, height)

    steps = np.arange(256, dtype=np.uint8)
    luma = np.tile(steps.repeat(2), (512, 1))
    varied, grey = np.tile(steps[:, None], (1, 256)), np.full((256, 256), _NEUTRAL, np.uint8)
    rng = np.random.default_rng(0)
    test = [rng.integers(0, 256, shape, dtype=np.uint8) for shape in ((256, 512), (128, 256), (128, 256))]
    with _refusal_logged(pixel_format, colorspace, color_range):
        by_v, by_u = convert((luma, grey, varied))[::2, ::2], convert((luma, varied, grey))[::2, ::2]
        red, green_v = _summands(by_v[..., 0]), _summands(by_v[..., 1])
        green_u, blue = _summands(by_u[..., 1]), _summands(by_u[..., 2])
        tables = np.stack([red[0], red[1], green_u[1], green_v[1], blue[1]]).astype(np.int16)
        if np.array_equal(convert(test), sum_tables(tables, *test)):
            return YuvTables(tables)
    return None


def _summands(values: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split values (256 of chroma, 256 of luma), each a clipped sum, into those of luma and of chroma.

    Only values strictly between 0 and 255 are surely not clipped. The chroma of grey has the summand 0.
    """
    whole = values.astype(np.int64)
    unclipped = (whole > 0) & (whole < 255)
    luma, chroma = np.full(256, _UNKNOWN), np.full(256, _UNKNOWN)
    chroma[_NEUTRAL] = 0
    for _ in range(3):  # each pass finds more of one from the other
        for found, known, table, seen in (
            (luma, chroma, whole, unclipped),
            (chroma, luma, whole.T, unclipped.T),
        ):
            usable = seen & (known != _UNKNOWN)[:, None]
            row = usable.argmax(axis=0)  # the first known partner of each
            columns = np.flatnonzero(usable.any(axis=0))
            found[columns] = table[row[columns], columns] - known[row[columns]]
    return luma, chroma


def sum_tables(
    tables: NDArray[np.int16], y: NDArray[np.uint8], u: NDArray[np.uint8], v: NDArray[np.uint8]
) -> Image:
    """Convert planes to RGB by `YuvTables`, as a device does."""
    u, v = (plane.repeat(2, axis=0).repeat(2, axis=1) for plane in (u, v))
    luma, red_v, green_u, green_v, blue_u = tables
    chroma = (red_v[v], green_u[u] + green_v[v], blue_u[u])
    return np.stack([np.clip(luma[y] + part, 0, 255) for part in chroma], axis=-1).astype(np.uint8)
