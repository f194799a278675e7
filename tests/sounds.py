"""Small sounds, and films with them, that the tests encode."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from tests.films import picture

LOSSLESS = "pcm_s16le"
PIECE = 1024  # samples in a frame that is encoded


def clicks(seconds: float, rate: int, every: float = 1.0, channels: int = 1) -> NDArray[np.float32]:
    """Make silence with a short burst at every multiple of `every` seconds but 0: (channels, n)."""
    sound = np.zeros(round(seconds * rate), np.float32)
    burst = np.hanning(round(rate * 0.004)).astype(np.float32) * 0.8
    for k in range(1, int(seconds / every)):
        middle = round(k * every * rate)
        beg = middle - len(burst) // 2
        sound[beg : beg + len(burst)] = burst[: len(sound) - beg]
    return np.tile(sound, (channels, 1))


def click_times(samples: NDArray[np.float32], rate: int = 16000) -> list[float]:
    """Find the times of the peaks of `clicks`, in seconds."""
    loud = np.flatnonzero(np.abs(samples) > 0.3)
    groups = np.split(loud, np.flatnonzero(np.diff(loud) > rate // 100) + 1)
    return [float(group.mean() / rate) for group in groups if len(group)]


def noise(seconds: float, rate: int, channels: int = 1, seed: int = 0) -> NDArray[np.float32]:
    """Make smooth noise with a wandering loudness, (channels, n)."""
    rng = np.random.default_rng(seed)
    count = round(seconds * rate)
    sound = np.cumsum(rng.standard_normal((channels, count)), axis=1)
    sound -= np.apply_along_axis(lambda x: np.convolve(x, np.ones(200) / 200, "same"), 1, sound)
    loudness = 1 + 0.9 * np.sin(np.arange(count) / rate * 2.1)
    return (sound * loudness / np.abs(sound).max() / 2).astype(np.float32)


def write_sound(
    path: Path,
    sound: NDArray[np.float32],
    rate: int,
    *,
    codec: str = LOSSLESS,
    seconds_of_film: float | None = None,
    film_rate: int = 25,
    film_begins: float = 0.0,
    sound_begins: float = 0.0,
    without: Sequence[int] = (),
    shifted: dict[int, float] | None = None,
    container_options: dict[str, str] | None = None,
) -> Path:
    """Encode `sound` (channels, n), and a film of `seconds_of_film`; the suffix selects the container.

    Args:
        film_begins, sound_begins: time of the first frame and of the first sample, in seconds.
        without: numbers of the audio packets that are not written.
        shifted: seconds by which the times of audio packets are wrong, by their numbers.
    """
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[len(sound)]
    with av.open(str(path), "w", options=container_options or {}) as container:
        video: Any = None
        if seconds_of_film is not None:
            video = container.add_stream("mpeg4", rate=film_rate)
            video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        stream: Any = container.add_stream(codec, rate=rate)
        context = stream.codec_context
        context.layout = layout
        number = 0

        def mux(packets: Sequence[Any]) -> None:
            nonlocal number
            for packet in packets:
                shift = round((shifted or {}).get(number, 0.0) / packet.time_base) if packet.size else 0
                if packet.size and number not in without:
                    packet.pts += shift
                    packet.dts += shift
                    container.mux(packet)
                number += 1

        pictures = iter(range(round((seconds_of_film or 0) * film_rate)))

        def draw_until(seconds: float) -> None:
            for k in pictures:
                frame = av.VideoFrame.from_ndarray(picture(k, 64, 48), format="rgb24").reformat(
                    format="yuv420p"
                )
                frame.pts, frame.time_base = k + round(film_begins * film_rate), Fraction(1, film_rate)
                container.mux(video.encode(frame))
                if k / film_rate > seconds:
                    return

        resampler = av.AudioResampler(format=context.format.name, layout=layout, rate=rate)
        step = context.frame_size or PIECE
        for beg in range(0, sound.shape[1], step):
            draw_until(beg / rate)
            part = np.ascontiguousarray(sound[:, beg : beg + step])
            piece = av.AudioFrame.from_ndarray(part, format="fltp", layout=layout)
            piece.sample_rate, piece.time_base, piece.pts = rate, Fraction(1, rate), beg
            for converted in resampler.resample(piece):
                converted.pts, converted.time_base = beg + round(sound_begins * rate), Fraction(1, rate)
                mux(stream.encode(converted))
        draw_until(np.inf)
        if video is not None:
            container.mux(video.encode(None))
        mux(stream.encode(None))
    return path
