"""Spectra of sound at 16 kHz, as arrays: the STFT in decibels, and log-mel examples for VGGish."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
Read = Callable[[int, int], Samples]  # reads the samples [beg, end) of a sound

RATE = 16000  # samples per second of all sound here

# The STFT is that of librosa.stft(y, n_fft=512), in decibels by librosa.amplitude_to_db(abs(…)).
N_FFT, HOP, BINS = 512, 128, 257
SMALLEST = 1e-5  # amplitude
RANGE_DB = 80.0  # below the loudest value of a sound; lower values are raised to this limit
COLUMNS = 2048  # columns that are computed at once

# The reduction of movienet-tools' audio feature.
PARTS, PART_COLUMNS = 3, 30
MIN_SECONDS = 4.0  # shorter spectra are repeated

# VGGish's input, by the code published with AudioSet (vggish_params.py).
EXAMPLE_FRAMES, MELS = 96, 64
MEL_WINDOW, MEL_HOP = 400, 160  # samples: 25 and 10 ms
MEL_RANGE = 125.0, 7500.0  # Hz
LOG_OFFSET = 0.01
EXAMPLE_HOP = EXAMPLE_FRAMES * MEL_HOP  # samples from an example to the next: 0.96 s
EXAMPLE_SAMPLES = EXAMPLE_HOP + MEL_WINDOW - MEL_HOP  # samples that an example needs


def stft_columns(samples: int) -> int:
    """Return the number of columns of the STFT of a sound."""
    return 1 + samples // HOP


def stft_decibels(read: Read, count: int, scale: tuple[float, float] = (0.0, 1.0)) -> Iterator[Samples]:
    """Compute the STFT of a sound in decibels, in blocks of columns; reads the sound twice.

    Column t is the spectrum around sample 128 t; beyond its ends the sound is zero.

    Args:
        count: samples of the sound.
        scale: offset that is subtracted from the samples, and divisor.

    Yields:
        (columns, 257) float32.
    """
    loudest = max(float(block.max()) for block in _magnitudes(read, count, scale))
    floor = _decibels(np.array(loudest)) - RANGE_DB
    for block in _magnitudes(read, count, scale):
        yield np.maximum(_decibels(block), floor).astype(np.float32)


def reduced_columns(samples: int) -> NDArray[np.int64]:
    """Return the columns of the STFT of a sound that movienet-tools keeps: 3 runs of 30, (90,).

    The runs lie around the quarters of the spectrum, which is repeated if it is shorter than four seconds.
    """
    columns = stft_columns(samples)
    length = columns * -(-_reduction_needs(samples) // columns)
    quarters = [part[0] for part in np.array_split(np.arange(length), PARTS + 1)[1:]]
    runs = [np.arange(quarter - PART_COLUMNS // 2, quarter + PART_COLUMNS // 2) for quarter in quarters]
    return np.concatenate(runs) % columns


def reduction_repeats(samples: int) -> bool:
    """Whether the STFT of a sound is too short for `reduced_columns` and is repeated."""
    return stft_columns(samples) < _reduction_needs(samples)


def _reduction_needs(samples: int) -> int:
    return int(np.ceil(MIN_SECONDS * stft_columns(samples) / (samples / RATE)))


def _magnitudes(read: Read, count: int, scale: tuple[float, float]) -> Iterator[NDArray[np.float64]]:
    """Yield the amplitudes of the STFT in blocks (columns, 257)."""
    window = hann(N_FFT)
    offset, divisor = scale
    for beg in range(0, stft_columns(count), COLUMNS):
        columns = min(COLUMNS, stft_columns(count) - beg)
        first = beg * HOP - N_FFT // 2
        last = first + (columns - 1) * HOP + N_FFT
        inside = read(max(first, 0), min(last, count)).astype(np.float64)
        padded = np.pad((inside - offset) / divisor, (max(-first, 0), max(last - count, 0)))
        yield np.abs(np.fft.rfft(_frames(padded, N_FFT, HOP) * window))


def _decibels(amplitudes: NDArray[np.float64]) -> NDArray[np.float64]:
    decibels: NDArray[np.float64] = 20 * np.log10(np.maximum(amplitudes, SMALLEST))
    return decibels


def examples(samples: int) -> int:
    """Return the number of complete log-mel examples of a sound."""
    return max(0, (samples - (MEL_WINDOW - MEL_HOP)) // EXAMPLE_HOP)


def log_mel(samples: Samples) -> Samples:
    """Compute the log-mel spectrum of a sound of at least 400 samples: (1 + (n - 400) // 160, 64)."""
    frames = _frames(samples.astype(np.float64), MEL_WINDOW, MEL_HOP)
    amplitudes = np.abs(np.fft.rfft(frames * hann(MEL_WINDOW), N_FFT))
    spectrum: Samples = np.log(amplitudes @ _mel_weights() + LOG_OFFSET).astype(np.float32)
    return spectrum


@cache
def hann(length: int) -> NDArray[np.float64]:
    """Return the periodic Hann window."""
    window: NDArray[np.float64] = 0.5 - 0.5 * np.cos(2 * np.pi / length * np.arange(length))
    return window


@cache
def _mel_weights() -> NDArray[np.float64]:
    """Return the weight of each frequency in each band, (257, 64): triangles on HTK's mel scale."""
    mels = _mel(np.linspace(0, RATE / 2, BINS))[:, None]
    lowest, highest = _mel(np.array(MEL_RANGE))
    edges = np.linspace(lowest, highest, MELS + 2)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    weights: NDArray[np.float64] = np.maximum(
        0, np.minimum((mels - low) / (centre - low), (high - mels) / (high - centre))
    )
    weights[0] = 0  # as HTK leaves out the mean
    return weights


def _mel(hertz: NDArray[np.float64]) -> NDArray[np.float64]:
    mel: NDArray[np.float64] = 1127 * np.log1p(hertz / 700)
    return mel


def _frames(samples: NDArray[np.float64], length: int, hop: int) -> NDArray[np.float64]:
    """Return the complete frames of `length` samples at every `hop`, (n, length); a view."""
    return np.lib.stride_tricks.sliding_window_view(samples, length)[::hop]
