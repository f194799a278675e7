"""The interfaces between sources, the engine and the command.

A source says what there is to do (`units`); the engine computes features of clips of a *footage* (the frames
and the sound of one file). A unit opens its footage, calls the engine and writes what it returns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from facerec.errors import FacerecError, InputError
from facerec.feature_runs.rows import Rows
from facerec.geometry import Image

Frame = tuple[int, Callable[[], Image]]  # its number, and the conversion to RGB, done only if it is needed


class NoSoundError(InputError):
    """A clip has no sound; this is no failure, but there are no features of its sound."""


class SoundStream(Protocol):
    """One pass over the samples of a sound, with the silence and the damage in those that were read."""

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Yield the samples in pieces: mono, -1 to 1."""
        ...

    def silent_samples(self, beg: int, end: int) -> int:
        """Count the samples of `[beg, end)` for which the file has no sound; they are 0."""
        ...

    def damaged_packets(self, beg: int, end: int) -> int:
        """Count the damaged packets of `[beg, end)`."""
        ...


class Footage(Protocol):
    """The frames and the sound of one video, folder of frames, picture or sound file.

    Attributes:
        name: for messages: the file or folder.
        times: (n,) float64, presentation times of the frames in seconds from the first one; empty without
            pictures.
        duration: in seconds, including the time for which the last frame is shown.
        width, height: size of the frames as displayed, in pixels.
    """

    name: str
    times: NDArray[np.float64]
    duration: float
    width: int
    height: int

    def frames(self, beg: int, end: int, wanted: NDArray[np.bool_]) -> Iterator[Frame]:
        """Read the frames `[beg, end)`, increasing, without those that cannot be decoded.

        The last decodable frame before `beg`, if there is one, comes first. Frames are converted only if they
        are needed, then or later.

        Args:
            wanted: (frames of the footage,) others may be left out, unless they are the last decodable frame
                before one that is wanted and cannot be decoded, or the first one after it.
        """
        ...

    def sound(self, beg: float, end: float | None, rate: int) -> SoundStream | None:
        """Open the sound from `beg` to `end` seconds (None: to its end); sample 0 is at time 0.

        Returns:
            None if there is no sound.
        """
        ...


@dataclass(frozen=True)
class ClipRequest:
    """A clip for which features are wanted.

    Attributes:
        name: of the item, as in the index (`shot_00012`, `film`, the path in a list, the member of a tar).
        beg, end: its frames in the footage, half-open.
        owned: compute only the windows with their centre among these frames of the footage, and none of the
            extractors with state; None for all.
        pictures, sound: whether extractors of frames, and of sound, are run.
    """

    name: str
    beg: int
    end: int
    owned: tuple[int, int] | None = None
    pictures: bool = True
    sound: bool = True


class Finished(Protocol):
    """Takes the results of the engine, in any order; `rows` are closed after the call."""

    def __call__(self, clip: ClipRequest, feature: str, rows: Rows | FacerecError) -> None:
        """Take the features of `clip` by the extractor named `feature`, or the error that prevented them."""
        ...


class Engine(Protocol):
    """Computes features: `facerec.feature_runs.engine.FeatureEngine`."""

    def compute(
        self,
        footage: Footage,
        clips: Sequence[ClipRequest],
        features: Sequence[str],
        finished: Finished,
        advance: Callable[[int], None],
    ) -> None:
        """Compute `features`, names of extractors, of clips of one footage, which is decoded once.

        Args:
            clips: they may overlap.
            finished: called once for each clip and feature that applies to it, at the latest by `flush`.
            advance: called with the number of frames just read.
        """
        ...

    def flush(self) -> None:
        """Compute the windows that wait for a full batch; call it after the last clip."""
        ...


class Unit(Protocol):
    """A part of the work that one process does at once.

    Attributes:
        key: its name, unique in the source and valid as a file name; names its claim.
        label: for progress and messages.
    """

    key: str
    label: str

    def is_done(self) -> bool:
        """Whether all its outputs and entries of the index are there."""
        ...

    def run(self, engine: Engine, advance: Callable[[int], None]) -> None:
        """Compute and write the outputs that are missing; failed items are recorded in the index.

        Args:
            advance: called with the number of frames just read.
        """
        ...


class Source(Protocol):
    """The work that a command line asks for."""

    def units(self) -> Sequence[Unit]:
        """Return the units in order; they depend on the input alone."""
        ...

    def finish(self) -> dict[str, Any]:
        """Put the index in order, and write outputs that need all units, if every unit is done.

        Returns:
            The summary: counts of items by result.
        """
        ...
