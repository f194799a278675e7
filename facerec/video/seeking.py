"""Find where to begin decoding, so that a frame and those after it come out as in the whole film."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from facerec.video.decoding import PREROLL, Decoding, FrameIndex

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

    from facerec.video.skipping import DamagedPackets, UnwantedPackets

MAX_B_FRAMES = 16  # consecutive bidirectionally predicted frames: x264's maximum


def frames_around(
    path: Path,
    index: FrameIndex,
    number: int,
    threads: int | None,
    skipping: UnwantedPackets | DamagedPackets | None = None,
) -> Iterator[tuple[int, VideoFrame]]:
    """Decode from a position before frame `number` on.

    Args:
        threads: of strict decoding, 0 for `cpu_threads()`; None decodes leniently.
        skipping: chooses packets that are not decoded, if the film is seekable.

    Yields:
        (frame number, frame), numbers increasing, the first below `number` unless that is 0.

    Raises:
        DamagedFilm: in strict mode, at the first sign of damage.
    """
    if index.seekable:
        yield from run_around(path, index, number, threads, skipping)[1]
        return
    lenient = Decoding(path, None, None).frames()
    yield from ((n, frame) for n, (frame, intact) in enumerate(lenient) if intact)


def run_around(
    path: Path,
    index: FrameIndex,
    number: int,
    threads: int | None,
    skipping: UnwantedPackets | DamagedPackets | None = None,
) -> tuple[Decoding, Iterator[tuple[int, VideoFrame]]]:
    """As `frames_around`, for a seekable film; return the run of the decoder, and its frames.

    Seeks to a second before the frame, then repeatedly twice as far back, until the first decoded frame lies
    before `number` and is a key frame. If several threads find none, one thread is tried, as leading pictures
    may be references that later pictures mark as unused; without them the decoder reports an error. The
    starting position depends only on the film, `number` and the mode.
    """
    back = PREROLL
    while True:
        seek_to: int | None = int(index.pts[number]) - int(back / index.time_base)
        if seek_to <= index.pts[0]:
            seek_to = None
        for count in (threads, 1):
            decoding = Decoding(path, seek_to, count, skipping)
            frames = decoding.numbered(index) if count is None else _delay(decoding, index)
            first = next(frames, None)
            if first is not None or not decoding.fails_for_ever:
                break
        if seek_to is None:
            break
        if first is not None and first[0] < number and decoding.began_at_key_frame(first[1]):
            break
        back *= 2
    return decoding, iter(()) if first is None else chain([first], frames)


def _delay(decoding: Decoding, index: FrameIndex) -> Iterator[tuple[int, VideoFrame]]:
    """Delay the numbered frames until those that they may be predicted from came out without damage.

    These are decoded earlier, but a bidirectionally predicted frame comes out before one of them, so damage
    in that one is reported only afterwards.
    """
    waiting: deque[tuple[float, tuple[int, VideoFrame]]] = deque()
    for item in decoding.numbered(index):
        waiting.append((decoding.place, item))
        while waiting and (waiting[0][0] < decoding.first_missing or len(waiting) > MAX_B_FRAMES):
            yield waiting.popleft()[1]
    yield from (item for _, item in waiting)
