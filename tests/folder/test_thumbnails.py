"""Thumbnails: what they show, their size, and their colours."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from facerec.folder.thumbnails import JPEG_QUALITY, thumbnail_bytes


def frame_of(width: int, height: int, colour: tuple[int, int, int] = (200, 60, 20)) -> NDArray[np.uint8]:
    return np.full((height, width, 3), colour, np.uint8)


def shown(frame: NDArray[np.uint8], *box: int) -> NDArray[np.uint8]:
    """The thumbnail's pixels as RGB, or as gray if it is stored so."""
    with Image.open(io.BytesIO(thumbnail_bytes(frame, box))) as picture:
        return np.asarray(picture)


@pytest.mark.parametrize(
    ("box", "size"),
    [
        ((100, 100, 140, 150), (48, 58)),  # a tenth of the shorter side is added on each side
        ((100, 100, 150, 140), (58, 48)),
        ((0, 0, 40, 50), (44, 54)),
        ((360, 250, 400, 300), (44, 54)),  # up to the frame's right and lower edge
        ((10, 10, 144, 144), (157, 157)),
        ((100, 50, 234, 184), (160, 160)),
        ((100, 50, 235, 185), (160, 160)),  # larger crops are shrunk, their shape is kept
        ((0, 0, 400, 200), (160, 88)),
        ((0, 0, 200, 300), (117, 160)),
        ((7, 0, 8, 300), (1, 160)),
        ((0, 7, 400, 8), (160, 1)),
    ],
)
def test_a_thumbnail_shows_the_padded_box_at_most_160_pixels_long(
    box: tuple[int, ...], size: tuple[int, int]
) -> None:
    height, width = shown(frame_of(400, 300), *box).shape[:2]
    assert (width, height) == size


def test_a_thumbnail_shows_the_place_of_the_box() -> None:
    frame = frame_of(400, 300)
    frame[90:160, 190:260] = (20, 60, 200)
    picture = shown(frame, 200, 100, 250, 150).astype(int)
    assert np.abs(picture - (20, 60, 200)).max() < 8
    upright = frame_of(300, 400)
    upright[330:, 190:260] = (20, 60, 200)
    assert np.abs(shown(upright, 200, 340, 250, 390).astype(int) - (20, 60, 200)).max() < 8


@pytest.mark.parametrize(
    "colour",
    [(200, 60, 20), (20, 200, 60), (60, 20, 200), (103, 100, 100), (100, 103, 100), (100, 100, 103)],
)
def test_colours_are_kept(colour: tuple[int, int, int]) -> None:
    picture = shown(frame_of(400, 300, colour), 100, 100, 150, 150).astype(int)
    assert picture.shape == (60, 60, 3)
    assert np.abs(picture - colour).max() < 6


def test_a_crop_with_next_to_no_colour_is_stored_as_gray() -> None:
    frame = frame_of(400, 300, (101, 100, 100))
    assert shown(frame, 100, 100, 150, 150).shape == (60, 60)
    frame[100:103, 100:150] = (200, 60, 20)  # a coloured line
    assert shown(frame, 100, 100, 150, 150).shape == (60, 60, 3)


def test_a_shrunk_thumbnail_has_the_mean_of_the_pixels_that_it_covers() -> None:
    frame = frame_of(480, 480, (0, 0, 0))
    frame[::2, ::2] = frame[1::2, 1::2] = 255
    picture = shown(frame, 0, 0, 480, 480).astype(int)
    assert picture.shape == (160, 160) and np.abs(picture - 127).max() < 40
    assert abs(picture.mean() - 127.5) < 2


def test_a_thumbnail_is_a_jpeg_of_the_stated_quality() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    stored = thumbnail_bytes(frame, (100, 100, 200, 200))
    other = io.BytesIO()
    Image.fromarray(frame).save(other, "JPEG", quality=JPEG_QUALITY)
    with Image.open(io.BytesIO(stored)) as found, Image.open(other) as expected:
        assert found.format == "JPEG" and found.quantization == expected.quantization  # type: ignore[attr-defined]


def test_a_crop_that_cannot_be_compressed_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "imencode", lambda *_: (False, None))
    with pytest.raises(RuntimeError, match="could not compress a thumbnail"):
        thumbnail_bytes(frame_of(400, 300), (0, 0, 30, 30))
