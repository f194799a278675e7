"""Frames at a constant rate are those of FFmpeg's filter `fps`, also for films with a variable rate."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from facerec.feature_runs.clips import clip_of
from facerec.feature_runs.film_footage import FilmFootage
from facerec.features.base import sample_at_rate
from facerec.video import open_film
from tests.films import make_film, number_in

VARIABLE = sorted(random.Random(1).sample(range(1, 300), 79))


def frames_of_ffmpeg(film: Path, rate: float) -> list[int]:
    """The numbers that the frames of `ffmpeg -vf fps=…` spell."""
    command = ["ffmpeg", "-v", "error", "-i", str(film), "-vf", f"fps={rate}", "-f", "rawvideo"]
    output = subprocess.run([*command, "-pix_fmt", "rgb24", "-"], check=True, capture_output=True).stdout
    return [number_in(image) for image in np.frombuffer(output, np.uint8).reshape(-1, 120, 160, 3)]


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs the program ffmpeg")
@pytest.mark.parametrize(
    ("frames", "options"),
    [(10, {}), (12, {}), (13, {}), (265, {"bframes": 2}), (100, {"rate": 24}), (80, {"pts": [0, *VARIABLE]})],
)
@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_sampled_frames_are_those_of_ffmpeg(tmp_path, frames, options, suffix):
    film = make_film(tmp_path / f"film.{suffix}", frames, **options)
    clip = clip_of(FilmFootage(open_film(film)), 0, frames)
    for rate in (1, 24, 10):
        assert [*sample_at_rate(clip, rate)] == frames_of_ffmpeg(film, rate)


@pytest.mark.parametrize(("frames", "seconds"), [(10, 0.4), (250, 10), (265, 10.6)])
def test_duration_counts_the_last_frame(tmp_path, frames, seconds):
    footage = FilmFootage(open_film(make_film(tmp_path / "film.mp4", frames)))
    assert footage.duration == pytest.approx(seconds, abs=1e-9)
