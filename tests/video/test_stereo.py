"""Films of 3D are recognised by their mark, their name or their halves; ordinary films are not."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from facerec.geometry import Image
from facerec.video import open_film
from facerec.video.stereo import SIDE_BY_SIDE, TOP_BOTTOM, stereo_layout
from tests.films import make_film


def scene(number: int, width: int, height: int) -> Image:
    """Coloured blocks that move, without symmetry."""
    blocks = np.random.default_rng(number // 12).integers(0, 255, (6, 9, 3), dtype=np.uint8)
    drawn: Image = cv2.resize(blocks, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.roll(drawn, number % 12, axis=1)


def side_by_side(number: int, width: int, height: int) -> Image:
    return np.hstack([np.roll(scene(number, width // 2, height), shift, axis=1) for shift in (0, 1)])


def top_bottom(number: int, width: int, height: int) -> Image:
    return np.vstack([np.roll(scene(number, width, height // 2), shift, axis=1) for shift in (0, 1)])


@pytest.mark.parametrize(
    ("draw", "layout"),
    [(scene, None), (side_by_side, SIDE_BY_SIDE), (top_bottom, TOP_BOTTOM)],
    ids=["ordinary", "side by side", "top and bottom"],
)
def test_the_halves_of_the_frames_are_compared(draw: object, layout: str | None, tmp_path: Path) -> None:
    film = make_film(tmp_path / "1-film.mp4", 96, draw=draw)  # type: ignore[arg-type]
    assert stereo_layout(open_film(film)) == layout


def test_symmetric_dark_and_flat_films_are_ordinary(tmp_path: Path) -> None:
    def symmetric(number: int, width: int, height: int) -> Image:
        half = scene(number, width // 2, height)
        return np.hstack([half, half[:, ::-1]])

    def striped(number: int, width: int, height: int) -> Image:
        return np.repeat(scene(number, width, height)[:1], height, axis=0)

    for k, draw in enumerate((symmetric, striped, lambda n, w, h: np.full((h, w, 3), n, np.uint8))):
        assert stereo_layout(open_film(make_film(tmp_path / f"{k}-film.mp4", 96, draw=draw))) is None


@pytest.mark.parametrize(
    ("name", "layout"),
    [
        ("1-Film.3D.HSBS.1080p.mkv", SIDE_BY_SIDE),
        ("1-Film-half-sbs.mkv", SIDE_BY_SIDE),
        ("1-Film 3D Half-OU.mkv", TOP_BOTTOM),
        ("1-Film.H-TAB.mkv", TOP_BOTTOM),
        ("1-Taboo.mkv", None),
        ("1-Lesbos.mkv", None),
    ],
)
def test_names_of_releases_are_known(name: str, layout: str | None, tmp_path: Path) -> None:
    assert stereo_layout(open_film(make_film(tmp_path / name, 12))) == layout


def test_the_mark_of_the_stream_decides(tmp_path: Path) -> None:
    options = {"preset": "ultrafast", "x264-params": "keyint=12:frame-packing=3"}
    film = make_film(tmp_path / "1-film.mkv", 12, options=options)
    assert stereo_layout(open_film(film)) == SIDE_BY_SIDE
