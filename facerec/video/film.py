"""A film as numbered frames at display size, read exactly from any position.

A frame's pixels, and the set of frames that cannot be decoded, do not depend on the range that is read; see
`segments`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from facerec.errors import InputError
from facerec.geometry import Image
from facerec.video.container import open_video, packets
from facerec.video.decoded_frame import DecodedFrame
from facerec.video.decoding import Decoding, FrameIndex
from facerec.video.frame_index import build_index
from facerec.video.identity import HashedFile, Stamp, file_stamp
from facerec.video.orientation import Orientation, orientation_of
from facerec.video.seeking import frames_around
from facerec.video.segments import decoded_frames, last_frame_before

LONGEST_SIDE = 16384  # pixels; a larger size means a damaged header


@dataclass(frozen=True, eq=False)
class Film:
    """Properties of a film that are known without decoding all of it.

    Attributes:
        width, height: stored size in pixels.
        display_width, display_height: size of the frames as read: square pixels, upright.
        rotation: degrees counter-clockwise that turn the first stored frame upright.
        mirrored: whether it is then mirrored left to right.
        frame_rate: frames per second; the mean if it varies.
        declared_frames: number of frames by the container; for information, it may be wrong.
        index: the frames and their times.
        stamp: of the file when it was opened, see `video.identity.file_stamp`.
    """

    path: Path
    width: int
    height: int
    display_width: int
    display_height: int
    rotation: int
    mirrored: bool
    frame_rate: Fraction
    declared_frames: int | None
    index: FrameIndex
    stamp: Stamp

    @property
    def name(self) -> str:
        """File name without its folder."""
        return self.path.name

    @property
    def orientation(self) -> Orientation:
        """How the first frame becomes upright."""
        return Orientation(self.rotation, self.mirrored)

    @property
    def first_size(self) -> tuple[int, int]:
        """Width and height of the first frame, as stored but upright."""
        return (self.height, self.width) if self.orientation.is_sideways else (self.width, self.height)

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
        """Seconds per unit of `pts`."""
        return self.index.time_base

    @property
    def seekable(self) -> bool:
        """Whether frames can be found by time; if not, every read decodes from the start."""
        return self.index.seekable

    @property
    def losses(self) -> tuple[str, ...]:
        """Messages about parts of the film that could not be read."""
        return self.index.losses


def open_film(path: Path, display_aspect: Fraction | None = None, file: HashedFile | None = None) -> Film:
    """Index the frames of a film and determine its display size.

    Args:
        display_aspect: width / height; overrides the film's own display aspect ratio.
        file: read the packets through this open file, which hashes them.

    Raises:
        InputError: the file is not a film, or no frame of it can be decoded.
    """
    found = build_index(path, file)
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
    """As `open_film`, for a film that was indexed before.

    Args:
        pts, seekable, losses: the attributes of the earlier `Film`.
        display_aspect: as in `open_film`.
        display_size: width and height of the earlier `Film`; overrides `display_aspect`.
    """
    with open_video(path) as (_, stream):
        stamp = file_stamp(path)
        time_base = stream.time_base or Fraction(1, 1000)
        declared, rate = stream.frames or None, stream.average_rate or stream.guessed_rate
        sample_aspect = stream.sample_aspect_ratio or Fraction(1)
    index = FrameIndex(np.asarray(pts, dtype=np.int64), time_base, seekable, tuple(losses))
    frame = next((frame for _, frame in frames_around(path, index, 0, None)), None)
    if frame is None:
        raise InputError(f"{path}: no frame of it can be decoded")
    orientation = orientation_of(frame, Orientation(0))
    rotation = orientation.rotation
    if rotation % 90:
        raise InputError(f"{path}: is rotated by {rotation} degrees; only multiples of 90 are supported")
    if display_size:
        width, height = display_size
    else:
        width, height = _display_size(frame.width * sample_aspect, frame.height, rotation, display_aspect)
    if not (1 <= width <= LONGEST_SIDE and 1 <= height <= LONGEST_SIDE):
        raise InputError(
            f"{path}: has {width}x{height} pixels by its header and aspect ratio; one of them is wrong"
        )
    return Film(path, frame.width, frame.height, width, height, rotation, orientation.mirrored,
                _frame_rate(index, rate), declared, index, stamp)  # fmt: skip


def display_size_of(path: Path, display_aspect: Fraction | None = None) -> tuple[int, int]:
    """Return the display width and height of a film from its first frame, without indexing it.

    Args:
        display_aspect: as in `open_film`.

    Raises:
        InputError: the file is not a film, or no frame of it can be decoded.
    """
    with open_video(path) as (_, stream):
        sample_aspect = stream.sample_aspect_ratio or Fraction(1)
    frame = next((frame for frame, intact in Decoding(path, None, None).frames() if intact), None)
    if frame is None:
        raise InputError(f"{path}: no frame of it can be decoded")
    rotation = orientation_of(frame, Orientation(0)).rotation
    return _display_size(frame.width * sample_aspect, frame.height, rotation, display_aspect)


def _display_size(width: Fraction, height: int, rotation: int, ratio: Fraction | None) -> tuple[int, int]:
    """Compute width and height in square pixels after rotation; `ratio` overrides the film's own."""
    upright = (width, Fraction(height)) if rotation % 180 == 0 else (Fraction(height), width)
    rounded_height = int(upright[1] + Fraction(1, 2))
    return int((rounded_height * ratio if ratio else upright[0]) + Fraction(1, 2)), rounded_height


def _frame_rate(index: FrameIndex, declared: Fraction | None) -> Fraction:
    """Return the declared rate if the frames' times agree with it within 1 %, else their mean rate."""
    if not index.seekable or len(index.pts) < 2:
        return declared or Fraction(25)
    measured = (len(index.pts) - 1) / ((int(index.pts[-1]) - int(index.pts[0])) * index.time_base)
    if declared and abs(declared / measured - 1) < 0.01:
        return declared
    return measured.limit_denominator(1001) or measured


def last_frame_duration(film: Film) -> Fraction:
    """Return for how many seconds the last frame is shown, by its packet; a mean frame if it does not say."""
    found: int | None = None
    if film.seekable:
        last = int(film.pts[-1])
        with open_video(film.path) as (container, stream), suppress(av.FFmpegError, ValueError, OSError):
            container.seek(last, stream=stream)
            found = next(
                (packet.duration for packet in packets(container, stream) if packet.pts == last), None
            )
    return found * film.time_base if found else 1 / film.frame_rate


def read_frames(film: Film, beg: int, end: int, thread_count: int = 0) -> Iterator[tuple[int, Image]]:
    """Read the frames `[beg, end)`, preceded by the frame before them.

    Args:
        beg, end: half-open range of frame numbers.
        thread_count: decoder threads; 0 for `cpu_threads()`.

    Yields:
        (frame number, RGB image (display_height, display_width, 3) uint8), numbers increasing: the last
        decodable frame before `beg` if there is one, then every decodable frame of `[beg, end)`. Missing
        numbers are frames that cannot be decoded. Nothing if `[beg, end)` has no decodable frame.
    """
    return ((frame.number, frame.image()) for frame in read_decoded(film, beg, end, thread_count))


def read_decoded(
    film: Film, beg: int, end: int, thread_count: int = 0, wanted: NDArray[np.bool_] | None = None
) -> Iterator[DecodedFrame]:
    """Read the same frames as `read_frames`, not converted.

    Args:
        beg, end, thread_count: as in `read_frames`.
        wanted: (frames of the film,) frames that will be used. Others may be left out; but if one that is
            wanted cannot be decoded, the last decodable frame before it and the first one after it are read.
    """
    end = min(end, film.frame_count)
    if beg >= end or not (wanted is None or wanted[beg:end].any()):
        return
    if wanted is not None:
        wanted = wanted.copy()
        wanted[max(beg - 1, 0)] = True
    context: DecodedFrame | None = None
    started = False
    for frame in decoded_frames(film, max(beg - 1, 0), end, thread_count, wanted):
        if frame.number < beg:
            context = frame
            continue
        if not started:
            started, context = True, context or last_frame_before(film, beg)
            if context:
                yield context
            context = None
        yield frame
