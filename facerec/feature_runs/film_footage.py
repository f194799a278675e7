"""Films as footage of the engine."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from facerec.feature_runs.sources import Frame
from facerec.video.film import Film, last_frame_duration, read_decoded
from facerec.video.sound import Sound, SoundReading, open_sound, sample_at


class FilmFootage:
    """The frames and the sound of a film, see `sources.Footage`.

    Args:
        threads: of the decoder; 0 for `cpu_threads()`.
    """

    def __init__(self, film: Film, threads: int = 0) -> None:
        self._film, self._threads = film, threads
        self.name = str(film.path)
        self.times = frame_times(film)
        self.duration = float(self.times[-1]) + float(last_frame_duration(film))
        self.width, self.height = film.display_width, film.display_height

    def frames(self, beg: int, end: int, wanted: NDArray[np.bool_]) -> Iterator[Frame]:
        """Read those of the frames `[beg, end)` that are wanted, and others if that costs nothing."""
        decoded = read_decoded(self._film, beg, end, self._threads, wanted)
        return ((frame.number, frame.image) for frame in decoded)

    def sound(self, beg: float, end: float | None, rate: int) -> SoundReading | None:
        """Open the sound from `beg` to `end` seconds; None if there is none."""
        sound = open_sound(self._film.path, self._film)
        return None if sound is None else read_sound(sound, beg, end)


def read_sound(sound: Sound, beg: float, end: float | None) -> SoundReading:
    """Open a sound from `beg` to `end` seconds; `end` None: to its end."""
    return SoundReading(sound, sample_at(beg), None if end is None else sample_at(end))


def frame_times(film: Film) -> NDArray[np.float64]:
    """Return the times of a film's frames in seconds from the first; evenly spaced if the film has none."""
    if not film.seekable:  # then `pts` are frame numbers
        return np.arange(film.frame_count) / float(film.frame_rate)
    ticks = np.asarray(film.pts - film.pts[0], np.float64)
    return ticks * film.time_base.numerator / film.time_base.denominator
