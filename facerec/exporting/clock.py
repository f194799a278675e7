"""Times in files that do not hold fractions of a second exactly."""

from __future__ import annotations

import math

STATEMENT = (
    "Times are of the film's own clock: each frame's presentation time, also if the frame rate varies."
)


def milliseconds(seconds: float) -> int:
    """Return the last whole millisecond that is not after a time; at least 0.

    Rounded down, an interval from the time of one frame to that of another still includes the first frame and
    excludes the other.
    """
    return max(0, math.floor(seconds * 1000 + 1e-3))  # 1.16 * 1000 is a little less than 1160


def timecode(ms: int) -> str:
    """Return milliseconds as `hh:mm:ss.mmm`."""
    minutes, rest = divmod(ms, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}.{rest % 1000:03}"
