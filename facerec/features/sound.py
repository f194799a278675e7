"""Shared by the extractors of sound: samples in a file that can be read again, and `extract`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerec.errors import InputError
from facerec.features.base import Arrays, SoundExtractor
from facerec.video.sound import RATE, Samples, SoundReading, open_sound

IN_MEMORY = 1 << 21  # bytes of sound that are kept in memory: half a minute


class Recording:
    """Samples that are added once and read in any order; memory does not grow with their number.

    Args:
        folder: of the temporary file for long ones; None for the system's ($TMPDIR).

    Attributes:
        lowest, highest: of the samples; 0 without any.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._file = tempfile.SpooledTemporaryFile(IN_MEMORY, dir=str(folder) if folder else None)  # noqa: SIM115
        self.lowest = self.highest = 0.0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, samples: Samples) -> None:
        """Add samples at the end."""
        if len(samples):
            low, high = float(samples.min()), float(samples.max())
            self.lowest, self.highest = (
                (min(self.lowest, low), max(self.highest, high)) if self._count else (low, high)
            )
            self._file.write(np.ascontiguousarray(samples, np.float32).tobytes())
            self._count += len(samples)

    def read(self, beg: int, end: int) -> Samples:
        """Read the samples `[beg, end)`; later, no more can be added."""
        self._file.seek(4 * beg)
        return np.frombuffer(self._file.read(4 * (end - beg)), np.float32)

    def close(self) -> None:
        """Delete the file."""
        self._file.close()


def extract(extractor: SoundExtractor, sound: Samples | Path | str) -> dict[str, NDArray[Any]]:
    """Compute the features of one sound.

    Args:
        sound: samples (n,) float32, mono, 16 kHz, -1 to 1; or a sound file or film, from its first sound on.

    Returns:
        The arrays of the extractor, as they are stored.

    Raises:
        InputError: there is no sound in the file, it cannot be read, or the samples are not as above.
        NonFiniteError: the network returned NaN or an infinite number.
    """
    if isinstance(sound, np.ndarray):
        if sound.ndim != 1 or sound.dtype.kind != "f" or not np.isfinite(sound).all():
            raise InputError(
                f"sound must be mono samples (n,), -1 to 1, in a finite array of floating-point numbers, not "
                f"one of shape {sound.shape} and type {sound.dtype}"
            )
        pieces: Iterator[Samples] = iter([sound])
        duration = len(sound) / RATE
    else:
        found = open_sound(Path(sound))
        if found is None:
            raise InputError(f"{sound}: has no sound")
        pieces, duration = SoundReading(found).blocks(), 0.0
    run = extractor.open(duration)
    count = 0
    blocks: list[Arrays] = []
    for samples in pieces:
        count += len(samples)
        blocks += run.push(samples)
    if not count:
        raise InputError(f"{'the sound' if isinstance(sound, np.ndarray) else sound}: has no samples")
    blocks += run.finish()
    joined = {name: np.concatenate([block[name] for block in blocks]) for name in extractor.arrays}
    return {name: rows.T if extractor.transposed else rows for name, rows in joined.items()}
