"""Features of sound: one pass over the sound of a footage for all clips and extractors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerec.errors import NonFiniteError
from facerec.feature_runs.sources import ClipRequest, Footage, NoSoundError, SoundStream
from facerec.feature_runs.work import Work
from facerec.features.base import SoundExtractor
from facerec.support.prefetch import prefetch

DEPTH = 4  # pieces of sound that may wait for the computing thread


class _Listener:
    """Gives the samples `[beg, end)` of a footage to an extractor; `end` None: to the end of the sound."""

    def __init__(self, work: Work, extractor: SoundExtractor, footage: Footage, folder: Path | None) -> None:
        beg, end = clip_seconds(footage, work.request)
        self.work, self.rate = work, extractor.sample_rate
        self.beg = round(beg * self.rate)
        self.end = None if end is None else round(end * self.rate)
        self._run = extractor.open((footage.duration if end is None else end) - beg, folder)
        self._count = 0  # samples

    def push(self, position: int, samples: NDArray[np.float32]) -> None:
        """Take samples of the footage from the sample `position` on, of which it uses those of its clip."""
        first = max(self.beg - position, 0)
        stop = len(samples) if self.end is None else min(self.end - position, len(samples))
        if first < stop and self.work.error is None:
            self._count += stop - first
            try:
                for block in self._run.push(samples[first:stop]):
                    self.work.rows.append(block)
            except NonFiniteError as error:
                self.work.error = error

    def finish(self, name: str, sound: SoundStream) -> None:
        """Hand over the features."""
        if not self._count:
            self.work.error = NoSoundError(f"{name}: its sound does not reach {self.work.request.name}")
        if self.work.error is None:
            try:
                for block in self._run.finish():
                    self.work.rows.append(block)
                self.work.rows.padded = self._run.padded
                end = self.beg + self._count
                self.work.rows.facts = {
                    "silent_seconds": sound.silent_samples(self.beg, end) / self.rate,
                    "damaged_packets": sound.damaged_packets(self.beg, end),
                }
            except NonFiniteError as error:
                self.work.error = error
        self.work.finish()


def clip_seconds(footage: Footage, clip: ClipRequest) -> tuple[float, float | None]:
    """Return where a clip begins and ends, in seconds; None: with the sound, if there are no pictures."""
    count = len(footage.times)
    if not count:
        return 0.0, None
    beg = float(footage.times[clip.beg]) if clip.beg < count else 0.0
    return beg, float(footage.times[clip.end]) if clip.end < count else footage.duration


def compute_sound(
    footage: Footage, works: Sequence[tuple[Work, SoundExtractor]], folder: Path | None = None
) -> None:
    """Compute the features of sound of clips; the sound is read once for each sampling rate.

    A clip without sound gets a `NoSoundError`. Where a film with sound has none for a while, it is silent.

    Args:
        folder: for temporary files; None for the system's.
    """
    for rate in sorted({extractor.sample_rate for _, extractor in works}):
        listeners = [
            _Listener(work, extractor, footage, folder)
            for work, extractor in works
            if extractor.sample_rate == rate
        ]
        beg = min(listener.beg for listener in listeners)
        ends = [listener.end for listener in listeners]
        end = None if None in ends else max(end for end in ends if end is not None) / rate
        sound = footage.sound(beg / rate, end, rate)
        if sound is None:
            for listener in listeners:
                listener.work.error = NoSoundError(f"{footage.name}: has no sound")
                listener.work.finish()
            continue
        listeners.sort(key=lambda listener: listener.beg, reverse=True)
        active: list[_Listener] = []
        position = beg
        with prefetch(sound.blocks(), DEPTH) as pieces:
            for samples in pieces:
                while listeners and listeners[-1].beg < position + len(samples):
                    active.append(listeners.pop())
                for listener in active:
                    listener.push(position, samples)
                position += len(samples)
                for listener in [one for one in active if one.end is not None and one.end <= position]:
                    listener.finish(footage.name, sound)
                    active.remove(listener)
        for listener in (*active, *reversed(listeners)):
            listener.finish(footage.name, sound)
