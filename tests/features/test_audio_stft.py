"""`audio_stft` against librosa, for sounds of any length pushed in any pieces."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from facerec.errors import InputError
from facerec.features import load_extractor
from facerec.features.audio_stft import AudioSTFT
from tests.sounds import noise, write_sound

Array = NDArray[np.float32]
LENGTHS = [1, 100, 127, 128, 511, 512, 513, 16000, 16001, 50000, 300000]


def of_librosa(samples: Array) -> Array:
    decibels: Array = librosa.amplitude_to_db(np.abs(librosa.stft(samples, n_fft=512)))
    return decibels


def reduced_by_librosa(samples: Array) -> Array:
    """Compute what movienet-tools' audio extractor returns."""
    span = (samples.max() - samples.min()) / 2
    scaled = (samples - (samples.max() + samples.min()) / 2) / (span if span >= 1e-6 else 1)
    spectrum = of_librosa(scaled)
    columns_of_4_seconds = int(np.ceil(4 * spectrum.shape[1] / (len(samples) / 16000)))
    repeated = np.tile(spectrum, (1, -(-columns_of_4_seconds // spectrum.shape[1])))
    starts = [part[0] for part in np.array_split(np.arange(repeated.shape[1]), 4)[1:]]
    return np.concatenate([repeated[:, start - 15 : start + 15] for start in starts], axis=1)


def run(extractor: Any, samples: Array, piece: int) -> tuple[Array, bool]:
    """Return the stored array and whether it is marked as padded."""
    opened = extractor.open(len(samples) / 16000)
    blocks = []
    for beg in range(0, len(samples), piece):
        blocks += opened.push(samples[beg : beg + piece])
    blocks += opened.finish()
    return np.concatenate([block["features"] for block in blocks]).T, opened.padded


@pytest.mark.parametrize("length", LENGTHS)
def test_values_are_those_of_librosa(length: int) -> None:
    samples = noise(20, 16000)[0, :length]
    found = load_extractor("audio_stft").extract(samples)
    assert found.shape == (257, 1 + length // 128)
    assert found.dtype == np.float32
    assert np.abs(found - of_librosa(samples)).max() < 1e-4


@pytest.mark.parametrize("length", LENGTHS)
def test_the_reduced_form_is_that_of_movienet_tools(length: int) -> None:
    samples = noise(20, 16000)[0, :length] + np.float32(0.05)
    found = load_extractor("audio_stft", reduce=True).extract(samples)
    assert found.shape == (257, 90)
    assert np.abs(found - reduced_by_librosa(samples)).max() < 1e-4


def test_silence_has_the_smallest_value() -> None:
    silence = np.zeros(8000, np.float32)
    for reduce in (False, True):
        found = load_extractor("audio_stft", reduce=reduce).extract(silence)
        assert (found == -100).all()


@pytest.mark.parametrize("reduce", [False, True])
def test_the_result_does_not_depend_on_the_pieces(reduce: bool) -> None:
    extractor = load_extractor("audio_stft", reduce=reduce)
    samples = noise(20, 16000)[0]
    whole, _ = run(extractor, samples, len(samples))
    for piece in (999, 16000, 123457):
        assert np.array_equal(run(extractor, samples, piece)[0], whole)


def test_a_sound_shorter_than_a_window_is_marked_as_padded() -> None:
    samples = noise(5, 16000)[0]
    plain, reduced = load_extractor("audio_stft"), load_extractor("audio_stft", reduce=True)
    assert [run(plain, samples[:n], 4000)[1] for n in (511, 512)] == [True, False]
    assert [run(reduced, samples[:n], 4000)[1] for n in (63000, 64600)] == [True, False]


def test_a_wav_file_gives_what_its_samples_give(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", noise(3, 16000, channels=2), 16000)
    samples = librosa.load(path, sr=None)[0]
    found = load_extractor("audio_stft").extract(str(path))
    assert np.array_equal(found, load_extractor("audio_stft").extract(samples))


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((2, 600), np.float32), np.ones(600, np.int16), np.full(600, np.nan, np.float32)],
    ids=["stereo", "integers", "nan"],
)
def test_samples_of_another_kind_are_refused(wrong: np.ndarray) -> None:
    with pytest.raises(InputError, match="sound must be mono samples"):
        load_extractor("audio_stft").extract(wrong)


def test_a_file_without_sound_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.empty(0, np.float32), 16000)
    with pytest.raises(InputError, match=r"a\.wav: has no samples"):
        load_extractor("audio_stft").extract(path)
    with pytest.raises(InputError, match="has no samples"):
        load_extractor("audio_stft").extract(np.empty(0, np.float32))


def test_memory_does_not_grow_with_the_sound() -> None:
    program = (
        "import resource, sys\n"
        "import numpy as np\n"
        "from facerec.features import load_extractor\n"
        "run = load_extractor('audio_stft').open(0.0)\n"
        "second = np.sin(np.arange(16000, dtype=np.float32))\n"
        "for _ in range(int(sys.argv[1])):\n"
        "    assert not run.push(second)\n"
        "columns = sum(len(block['features']) for block in run.finish())\n"
        "print(columns, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    peaks = []
    for seconds in (120, 1200):
        command = [sys.executable, "-c", program, str(seconds)]
        columns, peak = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        assert int(columns) == 1 + seconds * 125
        peaks.append(int(peak))
    assert peaks[1] < 1.05 * peaks[0]


def test_the_temporary_file_is_made_in_the_given_folder(tmp_path: Path) -> None:
    extractor = load_extractor("audio_stft")
    assert isinstance(extractor, AudioSTFT)
    opened = extractor.open(60.0, tmp_path / "missing")
    with pytest.raises(FileNotFoundError):
        for _ in range(60):
            opened.push(np.zeros(16000, np.float32))
