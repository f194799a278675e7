"""Small films that the tests encode; the pixels of each frame spell its number."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from facerec.geometry import Image

BITS = 12  # of a frame's number, one block each along the top of the picture


def picture(number: int, width: int = 160, height: int = 120) -> Image:
    """Draw a moving texture with `number` spelled by the blocks along its top."""
    y, x = np.mgrid[0:height, 0:width]
    channels = (2 * x + 5 * number) % 256, (3 * y + 7 * number) % 256, (x + y) % 256
    image = np.stack(channels, -1).astype(np.uint8)
    block = width // BITS
    for bit in range(BITS):
        image[: height // 4, bit * block : (bit + 1) * block] = 235 * (number >> bit & 1)
    return image


def number_in(image: Image) -> int:
    """Read the number that `picture` drew from a decoded, possibly resized frame."""
    height, width = image.shape[:2]
    centres = [int((bit + 0.5) * (160 // BITS) / 160 * width) for bit in range(BITS)]
    return sum(1 << bit for bit, x in enumerate(centres) if image[height // 8, x].mean() > 117)


def make_film(
    path: Path,
    frames: int = 50,
    *,
    width: int = 160,
    height: int = 120,
    codec: str = "libx264",
    rate: int = 25,
    gop: int = 12,
    bframes: int = 0,
    open_gop: bool = False,
    pix_fmt: str = "yuv420p",
    pts: Sequence[int] | None = None,
    time_base: Fraction | None = None,
    sar: Fraction | None = None,
    rotation: int = 0,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    draw: Callable[[int, int, int], Image] = picture,
    audio: bool = False,
) -> Path:
    """Encode a film of `frames` pictures; the suffix of `path` selects the container.

    Args:
        pts: time of each frame in units of `time_base` (default: its number, in units of 1/rate).
        rotation: degrees in the display matrix, as phones write them.
        draw: (number, width, height) → RGB picture.
        audio: add an audio stream.
    """
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream: Any = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        context = stream.codec_context
        context.gop_size, context.max_b_frames = gop, bframes
        context.time_base = time_base or Fraction(1, rate)
        if sar:
            context.sample_aspect_ratio = sar
        own = {"threads": "1"}
        if codec == "libx264":
            fixed = f"keyint={gop}:min-keyint={gop}:scenecut=0:bframes={bframes}:b-adapt=0"
            own |= {"preset": "ultrafast", "x264-params": fixed + (":open-gop=1" if open_gop else "")}
        context.options = own | (options or {})
        if rotation:
            stream.set_display_rotation(rotation)
        audio_stream: Any = container.add_stream("aac", rate=48000) if audio else None
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(draw(number, width, height), format="rgb24")
            frame = frame.reformat(format=pix_fmt)
            frame.pts = pts[number] if pts is not None else number
            frame.time_base = context.time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if audio_stream is not None:
            tone = av.AudioFrame.from_ndarray(np.zeros((1, 48000), np.float32), format="fltp", layout="mono")
            tone.sample_rate = 48000
            container.mux(audio_stream.encode(tone))
            container.mux(audio_stream.encode(None))
    return path


def make_sound(path: Path) -> Path:
    """Write a file with an audio stream only."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("aac", rate=48000)
        tone = av.AudioFrame.from_ndarray(np.zeros((1, 48000), np.float32), format="fltp", layout="mono")
        tone.sample_rate = 48000
        container.mux(stream.encode(tone))
        container.mux(stream.encode(None))
    return path


def cut_off(film: Path, to: Path, share: float) -> Path:
    """Write the first `share` of the bytes of `film` to `to`."""
    data = film.read_bytes()
    to.write_bytes(data[: int(len(data) * share)])
    return to


def flip_bits(film: Path, to: Path, seed: int, flips: int, keep: int = 2048) -> Path:
    """Write `film` to `to` with `flips` random bits flipped, none in the first or last `keep` bytes."""
    rng, data = random.Random(seed), bytearray(film.read_bytes())
    for _ in range(flips):
        data[rng.randrange(keep, len(data) - keep)] ^= 1 << rng.randrange(8)
    to.write_bytes(data)
    return to
