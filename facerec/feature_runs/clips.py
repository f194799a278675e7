"""The frames that one extractor needs of one clip, as they are decoded. Frame numbers are of the footage."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from itertools import chain, islice, takewhile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerec.feature_runs.sources import ClipRequest, Footage
from facerec.features.base import Clip, FrameRun, Window, WindowExtractor

Prepared = NDArray[Any]  # what an extractor keeps of a frame
_BLOCK = 1 << 16  # frame numbers in memory at once


def clip_of(footage: Footage, beg: int, end: int) -> Clip:
    """Return the frames `[beg, end)` of a footage as a clip of its own."""
    begin = float(footage.times[beg])
    stop = float(footage.times[end]) if end < len(footage.times) else footage.duration
    return Clip(footage.times[beg:end] - begin, stop - begin, footage.width, footage.height)


class ClipWindows:
    """The windows of a clip for a `WindowExtractor`; keeps only the frames that open windows need.

    Attributes:
        beg, end: the frames that the windows need, half-open.
        position: frames below it were asked for.
        padded: whether a window so far was padded.
    """

    def __init__(self, footage: Footage, request: ClipRequest, extractor: WindowExtractor) -> None:
        self._offset, self._owned = request.beg, request.owned
        self._clip, self._extractor = clip_of(footage, request.beg, request.end), extractor
        self.beg, self.end = request.beg, request.end
        self.padded = False
        if request.owned is not None:
            self.beg, self.end = self._needed(self._windows())
        self.position = self.beg
        self._waiting: Iterator[Window | None] = chain(self._windows(), [None])
        self._next = next(self._waiting)
        self._open: deque[Window] = deque()
        self._uses: Counter[int] = Counter()  # frame → open windows that need it
        self._kept: dict[int, Prepared] = {}

    def wanted(self) -> Iterator[int]:
        """Yield the frames that the windows need, in any order, lazily; a frame may come several times."""
        return (self._offset + frame for window in self._windows() for frame in window.frames)

    def _windows(self) -> Iterator[Window]:
        windows = self._extractor.windows(self._clip)
        if self._owned is None:
            return windows
        first, stop = (frame - self._offset for frame in self._owned)
        return _owned(windows, first, stop)

    def _needed(self, windows: Iterator[Window]) -> tuple[int, int]:
        first, last = None, -1
        for window in windows:
            first = window.frames[0] if first is None else first
            last = max(last, window.frames[-1])
        return (
            (self._offset, self._offset) if first is None else (self._offset + first, self._offset + last + 1)
        )

    def needs(self, frame: int) -> bool:
        """Whether a window needs `frame`; frames must be asked for in increasing order."""
        self._open_windows(frame)
        return frame in self._uses

    def _open_windows(self, frame: int) -> None:
        while self._next is not None and self._next.frames[0] + self._offset <= frame:
            self._open.append(self._next)
            self._uses.update(self._offset + number for number in set(self._next.frames))
            self._next = next(self._waiting)

    def take(self, frame: int, prepared: Prepared) -> Iterator[list[Prepared]]:
        """Take a frame that is needed; yield the windows that it completes, each as its frames."""
        self._kept[frame] = prepared
        while self._open and self._offset + self._open[0].frames[-1] <= frame:
            window = self._open.popleft()
            numbers = [self._offset + number for number in window.frames]
            self.padded |= window.padded
            yield [self._kept[number] for number in numbers]
            for number in set(numbers):
                self._uses[number] -= 1
                if not self._uses[number]:
                    del self._uses[number], self._kept[number]


class ClipFrames:
    """The frames of a clip for a `FrameExtractor`.

    Attributes:
        beg, end, position: as in `ClipWindows`.
        run: takes the frames.
    """

    def __init__(self, request: ClipRequest, run: FrameRun) -> None:
        self.beg = self.position = request.beg
        self.end = request.end
        self.run = run
        self._frames = run.frames()
        self._next = next(self._frames, None)

    def wanted(self) -> Iterator[int]:
        """Yield the frames that the extractor needs, lazily."""
        return (self.beg + frame for frame in self.run.frames())

    def needs(self, frame: int) -> bool:
        """Whether the extractor needs `frame`; frames must be asked for in increasing order."""
        while self._next is not None and self.beg + self._next < frame:
            self._next = next(self._frames, None)
        return self._next is not None and self.beg + self._next == frame


def wanted_frames(footage: Footage, clips: Iterable[ClipWindows | ClipFrames]) -> NDArray[np.bool_]:
    """Return for each frame of a footage whether a clip needs it."""
    wanted = np.zeros(len(footage.times), np.bool_)
    for clip in clips:
        frames = clip.wanted()
        while len(part := np.fromiter(islice(frames, _BLOCK), np.int64)):
            wanted[part] = True
    return wanted


def _owned(windows: Iterator[Window], first: int, stop: int) -> Iterator[Window]:
    """Yield the windows with their centre in `[first, stop)`; centres do not decrease."""
    return (window for window in takewhile(lambda w: w.centre < stop, windows) if window.centre >= first)
