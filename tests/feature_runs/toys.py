"""Extractors and footage whose features spell what they were given: numbers of frames and samples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from facerec.errors import NonFiniteError
from facerec.features import EXTRACTORS, Entry
from facerec.features.base import Arrays, Clip, Window, join_tracks
from facerec.geometry import Image
from tests.films import number_in

ENTRIES = {
    "numbers": Entry("", "Numbers", "windows"),
    "triples": Entry("", "Triples", "windows"),
    "stateful": Entry("", "Stateful", "frames"),
    "loudness": Entry("", "Loudness", "sound"),
}


def register(monkeypatch: pytest.MonkeyPatch) -> None:
    """Add the toys to the registry."""
    for name, entry in ENTRIES.items():
        monkeypatch.setitem(EXTRACTORS, name, entry)  # type: ignore[arg-type]


class Numbers:
    """One row for every `step`-th frame: the number that its picture spells."""

    name, cards, settings, arrays = "numbers", (), {"step": 2}, ("features",)

    def __init__(self, batch_size: int = 4, step: int = 2, width: int = 1, poison: int | None = None) -> None:
        self.batch_size, self._step, self._width, self._poison = batch_size, step, width, poison
        self.prepared: list[int] = []
        self.batches: list[int] = []

    def windows(self, clip: Clip) -> Iterator[Window]:
        reach = self._width // 2
        for centre in range(0, len(clip), self._step):
            frames = np.clip(np.arange(centre - reach, centre + reach + 1), 0, len(clip) - 1)
            padded = len(clip) < self._width
            yield Window(tuple(frames.tolist()), float(clip.times[centre]), padded)

    def prepare(self, picture: Image) -> NDArray[Any]:
        self.prepared.append(number_in(picture))
        return np.array([self.prepared[-1]])

    def forward(self, windows: Sequence[Sequence[NDArray[Any]]]) -> list[Arrays]:
        self.batches.append(len(windows))
        if any(self._poison in [int(frame[0]) for frame in window] for window in windows):
            raise NonFiniteError("NaN")
        return [{"features": np.concatenate(window).astype(np.float32)} for window in windows]


class Stateful:
    """Counts the frames of a clip so far: `frames`, `tracks` (always 0) and the count."""

    name, cards, settings, arrays = "stateful", (), {"step": 3}, ("frames", "tracks", "count", "number")
    join = staticmethod(join_tracks)

    def open(self, clip: Clip) -> StatefulRun:
        return StatefulRun(len(clip))


class StatefulRun:
    padded = False

    def __init__(self, frames: int) -> None:
        self._frames, self._rows = frames, []

    def frames(self) -> Iterator[int]:
        return iter(range(0, self._frames, 3))

    def push(self, frame: int, picture: Image) -> None:
        self._rows.append([frame, 0, len(self._rows), number_in(picture)])

    def finish(self) -> Iterable[Arrays]:
        rows = np.array(self._rows, np.int64).reshape(-1, 4)
        yield dict(zip(Stateful.arrays, rows.T, strict=True))


class Loudness:
    """Sums of samples in blocks of 100; the last block may be shorter."""

    name, cards, settings, arrays = "loudness", (), {}, ("features",)
    sample_rate, transposed = 1000, True

    def open(self, duration: float, folder: Path | None = None) -> LoudnessRun:
        return LoudnessRun()


class LoudnessRun:
    padded = False

    def __init__(self) -> None:
        self._left = np.empty(0, np.float32)

    def push(self, samples: NDArray[np.float32]) -> Sequence[Arrays]:
        samples = np.concatenate([self._left, samples])
        whole = len(samples) // 100 * 100
        self._left = samples[whole:]
        return [{"features": samples[:whole].reshape(-1, 100).sum(axis=1, keepdims=True)}]

    def finish(self) -> Sequence[Arrays]:
        return [{"features": self._left.sum(keepdims=True)[None]}]


class ToyFootage:
    """Frames that spell their numbers, at 10 a second.

    Attributes:
        reads: ranges that were read.
        converted: frames that were converted to RGB.
    """

    name, width, height = "toy", 160, 120

    def __init__(self, frames: int, missing: Sequence[int] = (), sound: float | None = None) -> None:
        self.times = np.arange(frames) / 10
        self.duration = frames / 10
        self._missing, self._sound = set(missing), sound
        self.reads: list[tuple[int, int]] = []
        self.converted: list[int] = []

    def frames(self, beg: int, end: int, wanted: NDArray[np.bool_]) -> Iterator[Any]:
        """Leave out what may be left out."""
        self.reads.append((beg, end))
        numbers = [number for number in range(len(self.times)) if number not in self._missing]
        before = [number for number in numbers if number < beg][-1:]
        kept = {*before, *np.flatnonzero(wanted).tolist()}
        for lost in self._missing & kept:
            kept |= {*[number for number in numbers if number < lost][-1:]}
            kept |= {*[number for number in numbers if number > lost][:1]}
        for number in before + [number for number in numbers if beg <= number < end and number in kept]:
            yield number, lambda number=number: self._picture(number)

    def _picture(self, number: int) -> Image:
        self.converted.append(number)
        picture = np.zeros((120, 160, 3), np.uint8)
        for bit in range(12):
            picture[:30, bit * 13 : (bit + 1) * 13] = 235 * (number >> bit & 1)
        return picture

    def sound(self, beg: float, end: float | None, rate: int) -> ToyStream | None:
        """Sample k is k / 1000."""
        if self._sound is None:
            return None
        stop = self._sound if end is None else min(end, self._sound)
        return ToyStream(np.arange(round(beg * rate), round(stop * rate), dtype=np.float32) / 1000)


class ToyStream:
    """A sound that is silent from sample 2000 to 2100, and has a damaged packet at 3000."""

    def __init__(self, samples: NDArray[np.float32]) -> None:
        self._samples = samples

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        return iter(np.array_split(self._samples, 7))

    def silent_samples(self, beg: int, end: int) -> int:
        return max(0, min(end, 2100) - max(beg, 2000))

    def damaged_packets(self, beg: int, end: int) -> int:
        return int(beg <= 3000 < end)
