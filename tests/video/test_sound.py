"""The sound of films and sound files: exact for any range, and aligned to the first frame."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from facerec.errors import InputError
from facerec.video.film import Film, open_film
from facerec.video.sound import BLOCK, RATE, SoundReading, open_sound, sample_at
from tests.films import flip_bits, make_film
from tests.sounds import click_times, clicks, noise, write_sound

Array = NDArray[np.float32]


def read(path: Path, beg: int = 0, end: int | None = None, film: Film | None = None) -> Array:
    sound = open_sound(path, film)
    assert sound is not None
    blocks = list(SoundReading(sound, beg, end).blocks())
    assert all(len(block) <= BLOCK and block.dtype == np.float32 for block in blocks)
    return np.concatenate([np.empty(0, np.float32), *blocks])


def offsets(times: list[float]) -> NDArray[np.float64]:
    """Return how far clicks are from full seconds, in seconds."""
    return np.array(times) - np.round(times)


def test_a_sound_file_of_16_khz_is_read_without_change(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", noise(2.5, RATE), RATE)
    expected, rate = soundfile.read(path, dtype="float32")
    assert rate == RATE
    assert np.array_equal(read(path), expected)


@pytest.mark.parametrize("codec", ["pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le"])
def test_mono_is_the_mean_of_the_channels_in_every_format(tmp_path: Path, codec: str) -> None:
    path = write_sound(tmp_path / "a.wav", noise(0.7, RATE, channels=6), RATE, codec=codec)
    expected, _ = soundfile.read(path, dtype="float64")
    assert np.abs(read(path) - expected.mean(axis=1)).max() < 1e-7


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000, 96000])
def test_other_rates_are_resampled_without_delay(tmp_path: Path, rate: int) -> None:
    times = np.arange(rate * 2 + 17) / rate
    tone = (0.5 * np.sin(2 * np.pi * 1000 * times)).astype(np.float32)
    found = read(write_sound(tmp_path / "a.wav", tone[None], rate, codec="pcm_f32le"))
    assert len(found) == -(-len(tone) * RATE // rate)
    expected = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(len(found)) / RATE)
    assert np.abs(found - expected)[100:-100].max() < 1e-4


@pytest.mark.parametrize("rate", [RATE, 44100])
def test_samples_that_are_no_numbers_or_too_large_stay_finite(tmp_path: Path, rate: int) -> None:
    values = np.full((rate, 2), 0.25)
    values[100], values[150], values[200], values[300:400] = np.nan, np.inf, -np.inf, 1e300
    values[400:500] = -1e300
    values[500:600] = -1e300
    soundfile.write(tmp_path / "a.wav", values, rate, subtype="DOUBLE")
    found = read(tmp_path / "a.wav")
    assert np.isfinite(found).all() and np.isfinite(np.square(found, dtype=np.float64)).all()
    assert abs(found[RATE // 2] - 0.25) < 1e-3
    if rate == RATE:
        assert (found[100], found[150], found[200]) == (0, 1, -1)


def test_a_file_without_sound_gives_none(tmp_path: Path) -> None:
    assert open_sound(make_film(tmp_path / "1-a.mp4", 5)) is None


@pytest.mark.parametrize("content", [b"", b"no sound at all" * 99])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.wav"):
        open_sound(tmp_path / "a.wav")


@pytest.mark.parametrize("rate", [1, 999, 768001, 2**31 - 1])
def test_an_impossible_rate_is_refused(tmp_path: Path, rate: int) -> None:
    path = write_sound(tmp_path / "a.wav", noise(0.1, 8000), 8000)
    data = bytearray(path.read_bytes())
    data[24:28] = rate.to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(InputError, match=rf"a\.wav: {rate} samples of sound per second"):
        open_sound(path)


FILMS: dict[str, dict[str, Any]] = {
    "aac-with-priming.mp4": {"codec": "aac"},
    "aac-with-priming.mkv": {"codec": "aac"},
    "aac-with-priming.ts": {"codec": "aac"},
    "sound-begins-late.mkv": {"codec": "aac", "sound_begins": 0.4},
    "sound-begins-late.mp4": {"codec": "pcm_s16le", "sound_begins": 0.4, "name": "a.mov"},
    "sound-begins-late.ts": {"codec": "mp2", "sound_begins": 0.4},
    "film-begins-late.mkv": {"codec": "aac", "film_begins": 0.4},
    "film-begins-late.mp4": {"codec": "aac", "film_begins": 0.4},
    "film-begins-late.ts": {"codec": "ac3", "film_begins": 0.4},
    "opus.mkv": {"codec": "libopus", "film_begins": 0.2},
    "mp3.mkv": {"codec": "libmp3lame", "sound_begins": 0.2},
    "pcm.avi": {"codec": "pcm_s16le"},
}


@pytest.mark.parametrize("name", FILMS)
@pytest.mark.parametrize("rate", [44100, 48000])
def test_time_0_is_the_first_frame(tmp_path: Path, name: str, rate: int) -> None:
    options = dict(FILMS[name])
    if options["codec"] == "libopus" and rate == 44100:
        rate = 24000
    path = tmp_path / options.pop("name", name)
    late = options.get("sound_begins", 0.0) - options.get("film_begins", 0.0)
    write_sound(path, clicks(5, rate, channels=2), rate, seconds_of_film=5, **options)
    samples = read(path, 0, 5 * RATE, open_film(path))
    assert len(samples) == 5 * RATE
    found = np.array(click_times(samples))
    assert len(found) >= 4
    assert np.abs(found - late - np.round(found - late)).max() < 0.0015  # an edit list counts milliseconds
    if late > 0:
        assert not samples[: sample_at(late - 0.05)].any()


def test_silence_follows_sound_that_ends_early(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.mkv", noise(1.5, 48000), 48000, codec="flac", seconds_of_film=4)
    sound = open_sound(path, open_film(path))
    assert sound is not None
    reading = SoundReading(sound, 0, 4 * RATE)
    samples = np.concatenate(list(reading.blocks()))
    assert len(samples) == 4 * RATE
    assert samples[: int(1.4 * RATE)].any() and not samples[int(1.5 * RATE) :].any()
    assert reading.silent_samples(0, 4 * RATE) == int(2.5 * RATE)
    assert reading.silent_samples(RATE, 2 * RATE) == RATE // 2
    assert reading.damaged_packets(0, 4 * RATE) == 0


@pytest.mark.parametrize("name", ["a.wav", "aac-with-priming.mp4", "opus.mkv", "mp3.mkv"])
def test_samples_do_not_depend_on_the_range_that_is_read(tmp_path: Path, name: str) -> None:
    options = {**FILMS, "a.wav": {}}[name]
    seconds = None if name == "a.wav" else 5
    rate = 24000 if name == "opus.mkv" else 44100
    path = write_sound(tmp_path / name, noise(5, rate, 2), rate, seconds_of_film=seconds, **options)
    film = None if name == "a.wav" else open_film(path)
    whole = read(path, 0, 5 * RATE, film)
    rng = np.random.default_rng(1)
    for beg, end in [(0, 1), (7, 7), (79999, 80000), *np.sort(rng.integers(0, 80000, (8, 2))).tolist()]:
        assert np.array_equal(read(path, beg, end, film), whole[beg:end])
    assert np.array_equal(read(path, 70000, 90000, film)[:10000], whole[70000:])


@pytest.mark.parametrize(
    ("codec", "suffix", "piece"), [("aac", "mkv", 1024), ("mp2", "ts", 1152), ("flac", "mkv", 4608)]
)
def test_missing_packets_are_replaced_by_silence(tmp_path: Path, codec: str, suffix: str, piece: int) -> None:
    rate, path = 48000, tmp_path / f"a.{suffix}"
    lost = [*range(20, 23), 30]
    write_sound(path, clicks(6, rate), rate, codec=codec, seconds_of_film=6, without=lost)
    sound = open_sound(path, open_film(path))
    assert sound is not None
    reading = SoundReading(sound, 0, 6 * RATE)
    found = click_times(np.concatenate(list(reading.blocks())))
    assert np.abs(offsets(found)).max() < 0.003
    assert found[-1] > 4.9
    at_end = 6 * RATE - 4 * piece * RATE // rate  # some codecs begin or end with silence of their own
    assert abs(reading.silent_samples(0, at_end) - len(lost) * piece * RATE / rate) < 0.01 * RATE


def test_one_wrong_time_is_ignored(tmp_path: Path) -> None:
    sound = clicks(5, 48000)
    options: dict[str, Any] = {"codec": "flac", "seconds_of_film": 5}
    right = write_sound(tmp_path / "a.mkv", sound, 48000, **options)
    wrong = write_sound(tmp_path / "b.mkv", sound, 48000, shifted={20: 0.06}, **options)
    film = open_film(right)
    assert np.array_equal(read(wrong, 0, 5 * RATE, film), read(right, 0, 5 * RATE, film))


def test_sound_that_jumps_follows_its_times(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    shifted = dict.fromkeys(range(24, 999), 0.5)
    write_sound(path, clicks(5, 48000), 48000, codec="flac", seconds_of_film=6, shifted=shifted)
    found = click_times(read(path, 0, 6 * RATE, open_film(path)))
    assert np.abs(np.array(found) - [1.0, 2.0, 3.5, 4.5]).max() < 0.001


@pytest.mark.parametrize(
    ("codec", "suffix"), [("aac", "mkv"), ("flac", "mkv"), ("libmp3lame", "mkv"), ("ac3", "ts")]
)
def test_damage_is_reported_and_the_rest_stays_in_time(tmp_path: Path, codec: str, suffix: str) -> None:
    whole = tmp_path / f"a.{suffix}"
    write_sound(whole, clicks(20, 48000) + noise(20, 48000) * 0.2, 48000, codec=codec, seconds_of_film=20)
    damaged = flip_bits(whole, tmp_path / f"b.{suffix}", 3, 300, keep=20000)
    film = open_film(whole)
    sound = open_sound(damaged, film)
    assert sound is not None
    reading = SoundReading(sound, 0, 20 * RATE)
    samples = np.concatenate(list(reading.blocks()))
    assert len(samples) == 20 * RATE
    assert reading.damaged_packets(0, 20 * RATE) > 0
    found, expected = samples, read(whole, 0, 20 * RATE, film)
    equal = np.abs(found - expected).reshape(-1, 400).max(axis=1) < 0.02  # pieces of 25 ms
    assert equal.mean() > 0.5 and equal[-40:].mean() > 0.3
    assert np.array_equal(read(damaged, 111111, 222222, film), samples[111111:222222])


def test_damage_at_the_end_of_a_sound_is_reported_and_gives_no_sample(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.mka", noise(5, RATE), RATE, codec="flac")
    whole, data = read(path), bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        last = [packet for packet in container.demux(audio=0) if packet.size][-2:]
    for packet in last:
        at = data.index(bytes(packet)) + packet.size // 2
        data[at : at + 20] = bytes(value ^ 255 for value in data[at : at + 20])
    (tmp_path / "b.mka").write_bytes(data)
    sound = open_sound(tmp_path / "b.mka")
    assert sound is not None
    reading = SoundReading(sound)
    samples = np.concatenate(list(reading.blocks()))
    assert samples.dtype == np.float32
    assert len(samples) == len(whole) - sum(
        round(packet.duration * packet.time_base * RATE) for packet in last
    )
    assert np.array_equal(samples, whole[: len(samples)])
    assert reading.damaged_packets(0, len(samples) + 1) == 2 and reading.damaged_packets(0, len(samples)) == 0


def test_memory_does_not_grow_with_the_sound(tmp_path: Path) -> None:
    program = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from facerec.video.sound import SoundReading, open_sound\n"
        "count = sum(map(len, SoundReading(open_sound(Path(sys.argv[1]))).blocks()))\n"
        "print(count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    peaks = []
    for seconds in (30, 600):
        path = tmp_path / f"{seconds}.wav"
        soundfile.write(path, np.zeros((seconds * 48000, 2), np.int16), 48000)
        command = [sys.executable, "-c", program, str(path)]
        count, peak = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        assert int(count) == seconds * RATE
        peaks.append(int(peak))
    assert peaks[1] < 1.05 * peaks[0] + 2000


def test_a_time_gives_the_nearest_sample() -> None:
    assert [sample_at(t) for t in (0, 1, 0.5, 1 / 3, 0.00003124, 0.00003126)] == [0, RATE, 8000, 5333, 0, 1]


def test_the_rate_may_change_inside_a_file(tmp_path: Path) -> None:
    first = write_sound(tmp_path / "a.ts", clicks(3, 44100), 44100, codec="aac")
    second = write_sound(
        tmp_path / "b.ts", clicks(3, 48000, channels=2), 48000, codec="aac", sound_begins=3.5
    )
    (tmp_path / "c.ts").write_bytes(first.read_bytes() + second.read_bytes())
    samples = read(tmp_path / "c.ts")
    assert np.abs(np.diff(click_times(samples)) - [1, 2.5, 1]).max() < 0.025  # the encoders' delays differ
    assert abs(len(samples) - 6.5 * RATE) < 0.1 * RATE
    assert np.array_equal(read(tmp_path / "c.ts", 40000, 60000), samples[40000:60000])


def test_the_audio_stream_marked_as_default_is_used(tmp_path: Path) -> None:
    path = tmp_path / "a.mka"
    with av.open(str(path), "w") as container:
        streams: list[Any] = [container.add_stream("pcm_s16le", rate=RATE, layout="mono") for _ in range(2)]
        streams[0].disposition, streams[1].disposition = 0, av.stream.Disposition.default
        for number, stream in enumerate(streams):
            values = np.full((1, RATE), 1000 * (number + 1), np.int16)
            frame = av.AudioFrame.from_ndarray(values, format="s16", layout="mono")
            frame.sample_rate = RATE
            container.mux([*stream.encode(frame), *stream.encode(None)])
    assert (read(path) == np.float32(2000 / 32768)).all()


def test_times_that_jump_by_hours_do_not_lengthen_a_sound_file(tmp_path: Path) -> None:
    right = write_sound(tmp_path / "a.mka", noise(5, RATE), RATE, codec="flac")
    jump = dict.fromkeys(range(16, 999), 90000.0)
    wrong = write_sound(tmp_path / "b.mka", noise(5, RATE), RATE, codec="flac", shifted=jump)
    assert np.array_equal(read(wrong), read(right))
