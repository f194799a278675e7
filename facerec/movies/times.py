"""The times of a film's frames: each frame's own presentation time, also where the frame rate varies."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerec.errors import ContractError
from facerec.folder.layout import MovieFolder
from facerec.folder.plan import Plan, unpack_times

Seconds = NDArray[np.float64]


@dataclass(frozen=True)
class FrameTimes:
    """The presentation time of each frame of a film.

    Attributes:
        seconds: (frame_count + 1,) presentation time of each frame, ascending, and the end of the last frame,
            for which the film's frame rate is used. Read-only.
        frame_rate: frames per second; the mean if it varies.
        constant: the frames follow each other at `frame_rate` within half a frame everywhere.
    """

    seconds: Seconds
    frame_rate: Fraction
    constant: bool

    @property
    def frame_count(self) -> int:
        """Number of frames."""
        return len(self.seconds) - 1

    @property
    def duration(self) -> float:
        """Seconds from the first frame to the end of the last."""
        return float(self.seconds[-1] - self.seconds[0])

    def between(self, begin: Any, end: Any) -> Any:
        """Return how long the frames [begin, end) are shown, in seconds; arrays give an array."""
        return self.seconds[end] - self.seconds[begin]


def frame_times(folder: MovieFolder, plan: Plan) -> FrameTimes:
    """Return the times of the frames of a plan; by its frame rate if the film has no usable times.

    Raises:
        ContractError: the plan does not have one ascending time per frame.
    """
    video = plan.video
    try:
        runs = video["times"]
        if sum(count for _, count in runs) != plan.frame_count:  # before they are unpacked into memory
            raise ValueError
        pts = unpack_times(runs)
        time_base, rate = Fraction(video["time_base"]), Fraction(video["frame_rate"])
        if (np.diff(pts) <= 0).any() or time_base <= 0 or rate <= 0:
            raise ValueError
    except (KeyError, TypeError, ValueError, OverflowError, ZeroDivisionError):
        rule = "video must have times, time_base and frame_rate, one ascending time for each frame"
        raise ContractError(folder.plan, rule) from None
    if video.get("seekable") is False:  # the film has no usable times; the plan has frame numbers instead
        time_base = 1 / rate
    seconds = np.empty(len(pts) + 1)
    seconds[:-1] = pts * time_base.numerator / time_base.denominator
    seconds[-1] = seconds[-2] + float(1 / rate) if len(pts) else 0.0
    regular = seconds[0] + np.arange(len(seconds)) / float(rate)
    seconds.setflags(write=False)
    return FrameTimes(seconds, rate, bool((np.abs(seconds - regular) < float(1 / rate) / 2).all()))
