"""Resizing and cropping of pictures for networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from facerec.errors import InputError
from facerec.features.base import FEATURES, Arrays
from facerec.geometry import Image

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)  # of ImageNet's pixel values, RGB
MOST_ELONGATED = 32  # longer side by shorter side; networks would need more memory than there is
_MARGIN = 3  # pixels around a crop, more than a filter reaches


def check_picture(picture: object) -> None:
    """Raise `InputError` for what is not an array (height, width, 3) uint8."""
    if isinstance(picture, np.ndarray):
        if picture.ndim == 3 and picture.shape[2] == 3 and picture.size and picture.dtype == np.uint8:
            return
        what = f"one of shape {picture.shape} and type {picture.dtype}"
    else:
        what = type(picture).__name__
    raise InputError(f"a picture must be an RGB array (height, width, 3) of type uint8, not {what}")


class OneFrameExtractor(Protocol):
    """The methods of a `WindowExtractor` that this module calls."""

    def prepare(self, picture: Image) -> NDArray[Any]: ...

    def forward(self, windows: Sequence[Sequence[NDArray[Any]]]) -> list[Arrays]: ...


def extract_pictures(extractor: OneFrameExtractor, pictures: Sequence[Image]) -> NDArray[np.float32]:
    """Compute the features of pictures, one row each, by an extractor with windows of one frame.

    Raises:
        InputError: there are no pictures, or one is not an array (height, width, 3) uint8.
        NonFiniteError: the network returned NaN or an infinite number.
    """
    for picture in pictures:
        check_picture(picture)
    if not pictures:
        raise InputError("give at least one picture")
    rows = extractor.forward([[extractor.prepare(picture)] for picture in pictures])
    return np.stack([row[FEATURES] for row in rows])


def check_elongation(picture: Image) -> None:
    """Check that a picture can be resized by its shorter side, in bounded memory.

    Raises:
        InputError: its longer side is more than `MOST_ELONGATED` times as long as the other.
    """
    height, width = picture.shape[:2]
    if max(height, width) > MOST_ELONGATED * min(height, width):
        raise InputError(
            f"a picture of {width}x{height} pixels is too elongated; crop it to at most {MOST_ELONGATED}:1"
        )


def resize(picture: Image, width: int, height: int, filter: Pillow.Resampling) -> Image:
    """Resize a picture (height, width, 3); downscaling averages all pixels, as FFmpeg and torchvision do."""
    if picture.shape[:2] == (height, width):
        return picture
    resized = Pillow.fromarray(picture).resize((width, height), filter)
    return np.asarray(resized, dtype=np.uint8)


def resize_shorter_side(picture: Image, size: int, filter: Pillow.Resampling) -> Image:
    """Resize a picture so that its shorter side has `size` pixels; the longer one is rounded down.

    Raises:
        InputError: as `check_elongation`.
    """
    check_elongation(picture)
    return resize(picture, *_shorter_side(picture, size), filter)


def resize_and_crop(picture: Image, size: int, filter: Pillow.Resampling, gap: float) -> Image:
    """Resize a picture so that its shorter side has `size` pixels, and crop it to the middle square; fast.

    Does not resize what is cropped away, apart from a margin that the filter needs.

    Args:
        gap: average blocks of whole pixels first, as far as the result stays `gap` times as large as wanted.
            2 changes values by 0.4 of 255 on average, from 1080 to 112 lines.
    """
    height, width = picture.shape[:2]
    columns, rows = _shorter_side(picture, size)
    x, y = (columns - size) // 2, (rows - size) // 2
    left, top = max(x - _MARGIN, 0), max(y - _MARGIN, 0)
    right, bottom = min(x + size + _MARGIN, columns), min(y + size + _MARGIN, rows)
    box = (left * width / columns, top * height / rows, right * width / columns, bottom * height / rows)
    resized = Pillow.fromarray(picture).resize(
        (right - left, bottom - top), filter, box=box, reducing_gap=gap
    )
    square: Image = np.asarray(resized, np.uint8)[y - top : y - top + size, x - left : x - left + size]
    return square


def crop_centre(picture: Image, size: int) -> Image:
    """Cut the square of `size` pixels out of the middle of a picture, which is at least as large."""
    y, x = (round((length - size) / 2) for length in picture.shape[:2])  # as torchvision rounds
    return picture[y : y + size, x : x + size]


def _shorter_side(picture: Image, size: int) -> tuple[int, int]:
    """Return the width and height of a picture resized so that its shorter side has `size` pixels."""
    height, width = picture.shape[:2]
    return (size, int(height * size / width)) if height >= width else (int(width * size / height), size)
