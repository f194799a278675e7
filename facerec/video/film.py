"""A film as numbered frames of the size at which it is shown, read exactly, from anywhere.

Whatever range of frames is read, a frame's pixels are the same, and so are the frames that cannot be
decoded: sound film is decoded straight on; at a sign of damage the segment of `SEGMENT` frames it
lies in is decoded anew, in one thread, from a place that depends on the segment alone.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
from numpy.typing import NDArray

from facerec.errors import InputError
from facerec.geometry import Image
from facerec.video.decoding import Damage, FrameIndex, frames_around, open_video
from facerec.video.frame_index import build_index

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

log = logging.getLogger(__name__)

SEGMENT = 64  # frames that share one decision between quick and careful decoding
UNSPECIFIED = 2  # of colour spaces, transfer functions and primaries, by ITU-T H.273
LONGEST_SIDE = 16384  # pixels; a larger picture is a broken header, not a film


@dataclass(frozen=True, eq=False)
class Film:
    """What is known of a film before its pixels are read.

    Attributes:
        width, height: stored size in pixels.
        display_width, display_height: size at which frames are delivered: square pixels, upright.
        rotation: degrees counter-clockwise by which stored frames are turned to be upright.
        frame_rate: frames a second; the mean of a variable rate.
        declared_frames: what the container says; it may be wrong and is used for nothing.
        index: the frames and their times.
    """

    path: Path
    width: int
    height: int
    display_width: int
    display_height: int
    rotation: int
    frame_rate: Fraction
    declared_frames: int | None
    index: FrameIndex

    @property
    def name(self) -> str:
        """File name without its folder."""
        return self.path.name

    @property
    def frame_count(self) -> int:
        """Number of frames, decodable or not."""
        return len(self.index.pts)

    @property
    def pts(self) -> NDArray[np.int64]:
        """(frame_count,) presentation times in `time_base`, strictly increasing."""
        return self.index.pts

    @property
    def time_base(self) -> Fraction:
        """Seconds a unit of `pts`."""
        return self.index.time_base

    @property
    def seekable(self) -> bool:
        """Whether frames can be found by time; if not, every read decodes from the film's start."""
        return self.index.seekable

    @property
    def losses(self) -> tuple[str, ...]:
        """What of the film could not be read, a line each."""
        return self.index.losses


def open_film(path: Path, display_aspect: Fraction | None = None) -> Film:
    """Find the frames of a film and the size at which it is shown.

    Args:
        display_aspect: width / height that overrides the film's own display aspect ratio.

    Raises:
        InputError: no film, or nothing in it can be decoded.
    """
    found = build_index(path)
    return describe_film(
        path, found.pts, seekable=found.seekable, losses=found.losses, display_aspect=display_aspect
    )


def describe_film(
    path: Path,
    pts: NDArray[np.int64],
    *,
    seekable: bool = True,
    losses: Sequence[str] = (),
    display_aspect: Fraction | None = None,
    display_size: tuple[int, int] | None = None,
) -> Film:
    """As `open_film`, for a film whose frames were found before (`Film.pts`, `.seekable`, `.losses`).

    Args:
        display_size: width and height that were found before, too.
    """
    with open_video(path) as (_, stream):
        time_base = stream.time_base or Fraction(1, 1000)
        declared, rate = stream.frames or None, stream.average_rate or stream.guessed_rate
        sample_aspect = stream.sample_aspect_ratio or Fraction(1)
    index = FrameIndex(np.asarray(pts, dtype=np.int64), time_base, seekable, tuple(losses))
    frame = next((frame for _, frame in frames_around(path, index, 0, None)), None)
    if frame is None:
        raise InputError(f"{path}: not one picture of it can be decoded")
    rotation = frame.rotation % 360
    if rotation % 90:
        raise InputError(f"{path}: is turned by {rotation} degrees; only quarter turns can be read")
    if display_size:
        width, height = display_size
    else:
        width, height = _display_size(frame.width * sample_aspect, frame.height, rotation, display_aspect)
    if not (1 <= width <= LONGEST_SIDE and 1 <= height <= LONGEST_SIDE):
        raise InputError(f"{path}: is {width}x{height} pixels by its header and aspect ratio; one is wrong")
    return Film(path, frame.width, frame.height, width, height, rotation,
                _frame_rate(index, rate), declared, index)  # fmt: skip


def _display_size(width: Fraction, height: int, rotation: int, ratio: Fraction | None) -> tuple[int, int]:
    """Width and height in square pixels after turning; `ratio` overrides the film's own."""
    shown = (width, Fraction(height)) if rotation % 180 == 0 else (Fraction(height), width)
    tall = int(shown[1] + Fraction(1, 2))
    return int((tall * ratio if ratio else shown[0]) + Fraction(1, 2)), tall


def _frame_rate(index: FrameIndex, declared: Fraction | None) -> Fraction:
    """The declared rate where the frames' times bear it out, else their mean rate."""
    if not index.seekable or len(index.pts) < 2:
        return declared or Fraction(25)
    measured = (len(index.pts) - 1) / ((int(index.pts[-1]) - int(index.pts[0])) * index.time_base)
    if declared and abs(declared / measured - 1) < 0.01:
        return declared
    return measured.limit_denominator(1001) or measured


def read_frames(film: Film, beg: int, end: int, thread_count: int = 0) -> Iterator[tuple[int, Image]]:
    """Read the frames `[beg, end)` and, as context for a cut score, the frame before them.

    Args:
        thread_count: decoder threads; 0 takes as many as there are cores.

    Yields:
        (frame number, (display_height, display_width, 3) RGB uint8), numbers increasing: first the
        last decodable frame before `beg` if there is one, then every decodable frame of `[beg, end)`.
        A number that is left out cannot be decoded.
    """
    end = min(end, film.frame_count)
    if beg >= end:
        return
    context: tuple[int, VideoFrame] | None = None
    begun = False
    for number, frame in _decoded(film, max(beg - 1, 0), end, thread_count):
        if number < beg:
            context = number, frame
            continue
        if not begun:
            begun, context = True, context or _last_before(film, beg)
            if context:
                yield context[0], _to_image(film, context[1])
            context = None
        yield number, _to_image(film, frame)


def _last_before(film: Film, beg: int) -> tuple[int, VideoFrame] | None:
    """The last decodable frame before `beg`, segment by segment backwards."""
    for segment in range((beg - 1) // SEGMENT, -1, -1):
        found = None
        for found in _careful(film, segment, beg):  # noqa: B007 — the last one is wanted
            pass
        if found:
            return found
    return None


def _decoded(film: Film, beg: int, end: int, thread_count: int) -> Iterator[tuple[int, VideoFrame]]:
    """(number, frame) from the first frame of the segment of `beg` on, up to `end`."""
    if not film.seekable:
        yield from _until(end, frames_around(film.path, film.index, 0, None))
        return
    wanted = beg // SEGMENT * SEGMENT
    while wanted < end:
        segment = wanted // SEGMENT
        try:
            frames = frames_around(film.path, film.index, segment * SEGMENT, thread_count)
            for number, frame in _until(end, frames):
                if number >= wanted:
                    wanted = number + 1
                    yield number, frame
            if wanted == end:
                return
        except Damage as damage:
            log.debug("%s: frames %d to %d: %s", film.name, segment * SEGMENT, wanted, damage)
        segment = wanted // SEGMENT  # it is the frame that strict decoding did not reach that decides
        yield from ((n, frame) for n, frame in _careful(film, segment, end) if n >= wanted)
        wanted = (segment + 1) * SEGMENT


def _careful(film: Film, segment: int, end: int) -> Iterator[tuple[int, VideoFrame]]:
    """The segment's frames before `end`, decoded leniently from a place of its own."""
    begin = segment * SEGMENT
    frames = frames_around(film.path, film.index, begin, None)
    return ((n, frame) for n, frame in _until(min(begin + SEGMENT, end), frames) if n >= begin)


def _until(end: int, frames: Iterator[tuple[int, VideoFrame]]) -> Iterator[tuple[int, VideoFrame]]:
    for number, frame in frames:
        if number >= end:
            return
        yield number, frame
        if number == end - 1:
            return


def _to_image(film: Film, frame: VideoFrame) -> Image:
    """RGB at display size, upright: one pass of swscale, then quarter turns."""
    width, height = film.display_width, film.display_height
    if film.rotation % 180:
        width, height = height, width
    try:
        rgb = _to_rgb(frame, width, height)
    except (av.FFmpegError, OSError):  # a damaged or reserved colour description; the planes are there
        frame.colorspace = frame.color_trc = frame.color_primaries = UNSPECIFIED
        rgb = _to_rgb(frame, width, height)
    image = np.asarray(rgb.to_ndarray(), dtype=np.uint8)
    return np.ascontiguousarray(np.rot90(image, film.rotation // 90)) if film.rotation else image


def _to_rgb(frame: VideoFrame, width: int, height: int) -> VideoFrame:
    # one thread: frames are many and small, and the cores are the decoder's and the models'
    return frame.reformat(width=width, height=height, format="rgb24", interpolation="BILINEAR", threads=1)
