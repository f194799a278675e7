"""Threads of the decoder: the same frames from any number of them, also of damaged film."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facerec.geometry import Image
from facerec.video.decoded_frame import DecodedFrame
from facerec.video.film import Film, open_film, read_decoded
from facerec.video.seeking import frames_around
from tests.films import flip_bits, make_film, picture

HEVC = {"preset": "ultrafast", "x265-params": "keyint=24:bframes=2:log-level=none:pools=1:frame-threads=1"}
KINDS: dict[str, dict[str, Any]] = {  # options of make_film by file name
    "1-hevc.mp4": {"codec": "libx265", "options": HEVC},
    "1-mpeg2.mpg": {"codec": "mpeg2video", "bframes": 2},
}


def checksum(frame: DecodedFrame) -> int:
    return zlib.crc32(frame.image().tobytes())


def read(film: Film, beg: int, end: int, threads: int) -> list[tuple[int, int]]:
    """Return numbers and checksums of the frames read."""
    return [(frame.number, checksum(frame)) for frame in read_decoded(film, beg, end, threads)]


def noisy_picture(number: int, width: int, height: int) -> Image:
    image = picture(number, width, height).astype(int)
    image += np.random.default_rng(number).integers(-20, 20, image.shape)
    return image.clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("name", "seeds"),
    [
        ("1-hevc.mp4", [4]),
        ("1-mpeg2.mpg", [6]),
        pytest.param("1-hevc.mp4", range(12), marks=pytest.mark.slow),
        pytest.param("1-mpeg2.mpg", range(12), marks=pytest.mark.slow),
    ],
)
def test_damage_is_found_by_any_number_of_threads(name: str, seeds: Sequence[int], tmp_path: Path) -> None:
    """Threads within a frame find other damage than one thread does, and conceal it otherwise."""
    intact = make_film(tmp_path / name, 40, **KINDS[name])
    for seed in seeds:
        film = open_film(flip_bits(intact, tmp_path / f"2-{name}", seed, 6))
        frames = read(film, 0, 40, 1)
        assert read(film, 0, 40, 2) == frames, seed
        assert read(film, 0, 40, 12) == frames, seed


@pytest.mark.parametrize("suffix", ["mp4", "ts"])
def test_a_gradual_refresh_is_no_position_to_begin_at(suffix: str, tmp_path: Path) -> None:
    """A decoder that began there takes its frames for recovered before they are as those of any other."""
    options = {"preset": "veryfast", "x264-params": "keyint=24:intra-refresh=1:bframes=2"}
    path = tmp_path / f"1-refresh.{suffix}"
    film = open_film(make_film(path, 72, width=96, height=80, options=options, draw=noisy_picture))
    whole = read(film, 0, 72, 2)
    for threads in (None, 1, 2, 12):
        for number, frame in frames_around(path, film.index, 55, threads):
            assert (number, checksum(DecodedFrame(film, number, frame))) == whole[number], threads


@pytest.mark.parametrize("options", ["bframes=2", "bframes=4:b-pyramid=normal:ref=3"])
@pytest.mark.parametrize("suffix", ["mkv", "ts"])
def test_an_open_group_of_pictures_is_begun_at_by_several_threads(
    suffix: str, options: str, tmp_path: Path
) -> None:
    """Else each shard would be decoded from the beginning of the film, as leading pictures give errors."""
    own = {"preset": "veryfast", "x264-params": f"keyint=20:scenecut=0:b-adapt=0:open-gop=1:{options}"}
    path = tmp_path / f"1-open-gop.{suffix}"
    film = open_film(make_film(path, 120, width=96, height=80, options=own, draw=noisy_picture))
    whole = read(film, 0, 120, 2)
    for threads in (None, 0, 1, 2, 12):
        frames = list(frames_around(path, film.index, 100, threads))
        assert 30 < frames[0][0] < 100, threads
        assert [(n, checksum(DecodedFrame(film, n, frame))) for n, frame in frames] == whole[frames[0][0] :]
