"""Sound at one rate resampled to another, the same in whatever parts it comes."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray

_Samples = NDArray[np.float32]


class GaplessSound:
    """Sound without gaps at one rate, resampled to another.

    The output depends only on the sequence of samples, not on the parts in which they come. The resampler's
    delay is compensated: input and output begin at the same time.

    Args:
        rate: of the samples that are added, per second.
        target: rate of the samples that are returned.
        start: number of the first sample at the rate `target`.

    Attributes:
        count: samples added.
    """

    def __init__(self, rate: int, target: int, start: int = 0) -> None:
        self.rate, self.start, self.count = rate, start, 0
        self._target = target
        self._waiting: list[_Samples] = []
        self._fed = self._returned = 0
        self._resampler = None
        if rate != target:
            self._resampler = av.AudioResampler(format="fltp", layout="mono", rate=target)

    @property
    def end(self) -> int:
        """The number of the sample at the rate `target` after those that were added."""
        return self.start - (-self.count * self._target // self.rate)

    def add(self, samples: _Samples) -> _Samples:
        """Add samples; return those that are complete, often none."""
        self.count += len(samples)
        self._waiting.append(samples)
        if self.count - self._fed < self.rate:  # resampling small pieces is slow
            return np.empty(0, np.float32)
        return self._feed()

    def finish(self) -> _Samples:
        """Return the remaining samples."""
        rest = self._feed()
        if self._resampler is None or not self._fed:
            return rest
        tail = [rest, *(frame.to_ndarray()[0] for frame in self._resampler.resample(None))]
        missing = self.end - self.start - self._returned + len(rest)
        joined = np.concatenate(tail)[:missing]
        return np.pad(joined, (0, missing - len(joined)))

    def _feed(self) -> _Samples:
        samples = np.concatenate([np.empty(0, np.float32), *self._waiting])
        self._waiting = []
        if not len(samples):
            return samples
        self._fed += len(samples)
        if self._resampler is None:
            return samples
        frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.sample_rate, frame.time_base = self.rate, Fraction(1, self.rate)
        frame.pts = self._fed - len(samples)
        found = [part.to_ndarray()[0] for part in self._resampler.resample(frame)]
        resampled = np.concatenate([np.empty(0, np.float32), *found])
        self._returned += len(resampled)
        return resampled
