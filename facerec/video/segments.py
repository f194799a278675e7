"""Frames decoded strictly where a film is intact, and by segments where it is damaged.

A frame's pixels, and the set of frames that cannot be decoded, do not depend on the range that is read.
Intact film is decoded strictly in one go. At a sign of damage, the segment of `SEGMENT` frames that contains
it is decoded again leniently, from a position that depends only on the segment.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from facerec.video.decoded_frame import DecodedFrame
from facerec.video.decoding import DamagedFilm
from facerec.video.seeking import frames_around, run_around
from facerec.video.skipping import DamagedPackets, UnwantedPackets

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

    from facerec.video.film import Film

log = logging.getLogger(__name__)

SEGMENT = 64  # frames that are decoded leniently together


def decoded_frames(
    film: Film, beg: int, end: int, thread_count: int, wanted: NDArray[np.bool_] | None
) -> Iterator[DecodedFrame]:
    """Decode from the start of the segment of `beg` up to `end`; after damage, all frames."""
    if not film.seekable:
        for number, frame in _until(end, frames_around(film.path, film.index, 0, None)):
            yield DecodedFrame(film, number, frame)
        return
    position = beg // SEGMENT * SEGMENT  # the next frame to yield
    stop = end if wanted is None else beg + int(np.flatnonzero(wanted[beg:end])[-1]) + 1
    while position < stop:
        segment = position // SEGMENT
        try:
            skipping = None if wanted is None else UnwantedPackets(film.index.number, wanted)
            run, frames = run_around(film.path, film.index, segment * SEGMENT, thread_count, skipping)
            for number, frame in _until(stop, frames):
                if number >= position:
                    position = number + 1
                    yield DecodedFrame(film, number, frame, run.header)
            if position == stop:
                return
        except DamagedFilm as damage:
            log.debug("%s: frames %d to %d: %s", film.name, segment * SEGMENT, position, damage)
        wanted, stop = None, end
        segment = position // SEGMENT  # of the first frame that strict decoding did not reach
        yield from (frame for frame in _decode_leniently(film, segment, end) if frame.number >= position)
        position = (segment + 1) * SEGMENT


def last_frame_before(film: Film, beg: int) -> DecodedFrame | None:
    """Find the last decodable frame before `beg`, searching backwards by segments."""
    for segment in range((beg - 1) // SEGMENT, -1, -1):
        found = None
        for found in _decode_leniently(film, segment, beg):  # noqa: B007 — the last one is wanted
            pass
        if found:
            return found
    return None


def _decode_leniently(film: Film, segment: int, end: int) -> Iterator[DecodedFrame]:
    """Decode the segment's frames before `end` from a position that depends only on the segment."""
    begin, segment_end = segment * SEGMENT, min((segment + 1) * SEGMENT, film.frame_count)
    damaged = DamagedPackets()
    for _ in _until(segment_end, frames_around(film.path, film.index, begin, None, damaged)):
        pass
    frames = frames_around(film.path, film.index, begin, None, damaged)
    return (DecodedFrame(film, n, frame) for n, frame in _until(min(segment_end, end), frames) if n >= begin)


def _until(end: int, frames: Iterator[tuple[int, VideoFrame]]) -> Iterator[tuple[int, VideoFrame]]:
    for number, frame in frames:
        if number >= end:
            return
        yield number, frame
        if number == end - 1:
            return
