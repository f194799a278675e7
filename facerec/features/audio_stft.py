"""`audio_stft`: the short-time Fourier transform of sound, in decibels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from facerec.features import spectra
from facerec.features.base import FEATURES, Arrays, Options
from facerec.features.sound import Recording, extract
from facerec.models.base import ModelCard
from facerec.models.device import Placement
from facerec.models.weights import WeightFiles
from facerec.video.sound import Samples

SILENT_SPAN = 1e-6  # half the range of the samples below which movienet-tools does not scale them


class AudioSTFT:
    """The STFT of sound at 16 kHz, stored as (257, 1 + n // 128); a `SoundExtractor`.

    The values are those of librosa: `amplitude_to_db(abs(stft(y, n_fft=512)))`, so at most 80 dB below the
    loudest one of the clip. Reduced, it is the feature of movienet-tools: the samples are scaled to -1..1,
    and 3 runs of 30 columns around the quarters of the clip are kept, (257, 90); the spectrum of a clip of
    less than four seconds is repeated.

    Args:
        files: none.
        placement: without effect.
        options: `reduce`.
    """

    name = "audio_stft"
    cards: tuple[ModelCard, ...] = ()
    arrays: tuple[str, ...] = (FEATURES,)
    sample_rate = spectra.RATE
    transposed = True
    sampling: ClassVar[Mapping[str, Any]] = {
        "sample_rate": spectra.RATE,
        "n_fft": spectra.N_FFT,
        "hop": spectra.HOP,
        "range_db": spectra.RANGE_DB,
    }

    def __init__(self, files: Sequence[WeightFiles], placement: Placement, options: Options) -> None:
        self._reduce = bool(options.reduce)
        self.settings: Mapping[str, Any] = {**self.sampling, "reduce": self._reduce}

    def open(self, duration: float, folder: Path | None = None) -> _Run:
        """Begin a clip."""
        return _Run(self._reduce, folder)

    def extract(self, sound: Samples | Path | str) -> NDArray[np.float32]:
        """Compute the STFT of samples (n,) at 16 kHz or of a file: (257, 1 + n // 128), or (257, 90)."""
        return extract(self, sound)[FEATURES]


class _Run:
    """A `SoundRun`; keeps the samples until the end, because all values are relative to the loudest one."""

    def __init__(self, reduce: bool, folder: Path | None) -> None:
        self.padded = False
        self._reduce, self._recording = reduce, Recording(folder)

    def push(self, samples: Samples) -> Sequence[Arrays]:
        """Take the next samples."""
        self._recording.add(samples)
        return ()

    def finish(self) -> Iterable[Arrays]:
        """Yield blocks of columns, as rows."""
        count = len(self._recording)
        self.padded = count < spectra.N_FFT
        if self._reduce:
            self.padded = spectra.reduction_repeats(count)
            columns = spectra.reduced_columns(count)
            kept = np.empty((len(columns), spectra.BINS), np.float32)
            for first, block in self._blocks(self._movienet_scale()):
                mine = (columns >= first) & (columns < first + len(block))
                kept[mine] = block[columns[mine] - first]
            yield {FEATURES: kept}
        else:
            for _, block in self._blocks((0.0, 1.0)):
                yield {FEATURES: block}
        self._recording.close()

    def _blocks(self, scale: tuple[float, float]) -> Iterator[tuple[int, Samples]]:
        first = 0
        for block in spectra.stft_decibels(self._recording.read, len(self._recording), scale):
            yield first, block
            first += len(block)

    def _movienet_scale(self) -> tuple[float, float]:
        low, high = self._recording.lowest, self._recording.highest
        span = (high - low) / 2
        return (high + low) / 2, span if span >= SILENT_SPAN else 1.0
