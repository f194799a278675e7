"""The work of `action` on one shot: collects frames and persons of sequences, averages their results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from heapq import merge
from itertools import groupby
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from facerec.features.action_sequences import LENGTH, centre, needed_frames, samples, sequences
from facerec.features.base import FEATURES, FRAMES, TRACKS, Arrays
from facerec.features.person import BOXES
from facerec.features.person_finder import FoundPersons
from facerec.features.person_tracks import DROPPED
from facerec.features.slowfast_network import ACTIONS, DIMENSION
from facerec.features.spool import Spool
from facerec.geometry import Image

SCORES = "scores"  # name of the array (n, 80)
_ROWS = 256  # per block


class Network(Protocol):
    """The part of the extractor that a run uses."""

    batch_size: int

    def prepare(self, picture: Image) -> NDArray[Any]:
        """Resize a frame, as `WindowExtractor.prepare`."""
        ...

    def forward(self, windows: Sequence[tuple[Sequence[NDArray[Any]], NDArray[np.float32]]]) -> list[Arrays]:
        """Compute features and scores of the boxes, as parts of the frame, of windows of prepared frames."""
        ...


class Persons(Protocol):
    """Finds and follows the persons of the shot."""

    def push(self, frame: int, picture: Image) -> list[FoundPersons]:
        """Take the next sampled frame; return the persons that are known now."""
        ...

    def flush(self) -> list[FoundPersons]:
        """Return the persons of the frames that wait."""
        ...

    def finish(self) -> NDArray[np.int64]:
        """Return the track of each person, or `DROPPED`."""
        ...


@dataclass(eq=False)
class _Sequence:
    """A sequence that is being collected.

    Attributes:
        frames: that the network takes.
        sample: frame in which its persons are detected, the nearest one to its centre.
        pictures: prepared frames so far, in the order of `frames`.
        boxes: (n, 4) of its persons, as parts of the frame; None: not known yet.
        first: number of the first of these persons in the shot.
    """

    frames: tuple[int, ...]
    sample: int
    pictures: list[NDArray[Any]] = field(default_factory=list)
    boxes: NDArray[np.float32] | None = None
    first: int = 0

    def take(self, frame: int, prepared: NDArray[Any]) -> None:
        while len(self.pictures) < len(self.frames) and self.frames[len(self.pictures)] == frame:
            self.pictures.append(prepared)

    @property
    def complete(self) -> bool:
        return len(self.pictures) == len(self.frames) and self.boxes is not None


class ActionRun:
    """The actions in one shot; a `FrameRun`.

    Args:
        length: frames of the shot.
        step: of the frames in which persons are detected.
    """

    def __init__(self, network: Network, persons: Persons, step: int, length: int) -> None:
        self._network, self._persons, self._step, self._length = network, persons, step, length
        self.padded = length < LENGTH
        self._coming = sequences(length)
        self._next = next(self._coming, None)
        self._open: list[_Sequence] = []
        self._ready: list[_Sequence] = []
        self._size: NDArray[np.float32] = np.ones(4, np.float32)  # width, height, width, height
        self._boxes: list[NDArray[np.float32]] = []  # of all persons
        self._frames: list[NDArray[np.int64]] = []
        self._count = 0
        self._owners: list[int] = []  # person of each row
        self._rows = Spool()

    def frames(self) -> Iterator[int]:
        """Yield the frames that the sequences take and those in which persons are detected."""
        samples = range(0, self._length, self._step)
        return (frame for frame, _ in groupby(merge(needed_frames(self._length), samples)))

    def push(self, frame: int, picture: Image) -> None:
        """Take a frame."""
        height, width = picture.shape[:2]
        self._size = np.array([width, height] * 2, np.float32)
        self._begin_sequences(frame)
        if any(frame in sequence.frames for sequence in self._open):
            prepared = self._network.prepare(picture)
            for sequence in self._open:
                sequence.take(frame, prepared)
        if frame % self._step == 0:
            self._take_persons(self._persons.push(frame, picture))
        self._compute(self._network.batch_size)

    def finish(self) -> Iterator[Arrays]:
        """Yield blocks of rows, in order of track."""
        self._take_persons(self._persons.flush())
        self._compute(1)
        tracks = self._persons.finish()
        boxes = np.concatenate([np.empty((0, 5), np.float32), *self._boxes])
        frames = np.concatenate([np.empty(0, np.int64), *self._frames])
        rows_of: dict[int, list[int]] = {}
        for row, owner in enumerate(self._owners):
            if tracks[owner] != DROPPED:
                rows_of.setdefault(int(tracks[owner]), []).append(row)
        found = sorted(rows_of)
        for beg in range(0, max(len(found), 1), _ROWS):
            part = found[beg : beg + _ROWS]
            firsts = [self._owners[rows_of[track][0]] for track in part]
            means = np.array([self._mean(rows_of[track]) for track in part], np.float32)
            means = means.reshape(-1, DIMENSION + ACTIONS)
            yield {
                FRAMES: frames[firsts],
                BOXES: boxes[firsts],
                TRACKS: np.array(part, np.int64),
                FEATURES: means[:, :DIMENSION],
                SCORES: means[:, DIMENSION:],
            }
        self._rows.close()

    def _begin_sequences(self, frame: int) -> None:
        while self._next is not None and self._next[0] <= frame:
            beg, end = self._next
            self._open.append(_Sequence(samples(beg, end), self._nearest_sample(centre(beg, end))))
            self._next = next(self._coming, None)

    def _nearest_sample(self, frame: int) -> int:
        sample = (frame + (self._step - 1) // 2) // self._step * self._step
        return sample if sample < self._length else sample - self._step

    def _take_persons(self, found: Sequence[FoundPersons]) -> None:
        for persons in found:
            for sequence in self._open:
                if sequence.sample == persons.frame:
                    sequence.boxes = persons.boxes[:, :4] / self._size
                    sequence.first = self._count
            self._boxes.append(persons.boxes)
            self._frames.append(np.full(len(persons.boxes), persons.frame, np.int64))
            self._count += len(persons.boxes)

    def _compute(self, least: int) -> None:
        """Compute the sequences that are complete, if there are at least `least` with persons."""
        complete = [sequence for sequence in self._open if sequence.complete]
        if complete:
            self._open = [sequence for sequence in self._open if not sequence.complete]
            self._ready += [s for s in complete if s.boxes is not None and len(s.boxes)]
        if len(self._ready) < least:
            return
        windows = [(s.pictures, s.boxes) for s in self._ready if s.boxes is not None]
        for sequence, arrays in zip(self._ready, self._network.forward(windows), strict=True):
            for number, row in enumerate(np.hstack([arrays[FEATURES], arrays[SCORES]])):
                self._owners.append(sequence.first + number)
                self._rows.append(row.tobytes())
        self._ready = []

    def _mean(self, rows: Sequence[int]) -> NDArray[np.float64]:
        """Return the average of rows of features and scores."""
        total = np.zeros(DIMENSION + ACTIONS)
        for piece in self._rows.read(rows):
            total += np.frombuffer(piece, np.float32)
        return total / len(rows)
