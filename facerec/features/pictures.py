"""Resizing and cropping of pictures for networks."""

from __future__ import annotations

import numpy as np
from PIL import Image as Pillow

from facerec.geometry import Image

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)  # of ImageNet's pixel values, RGB


def resize(picture: Image, width: int, height: int, filter: Pillow.Resampling) -> Image:
    """Resize a picture (height, width, 3); downscaling averages all pixels, as FFmpeg and torchvision do."""
    if picture.shape[:2] == (height, width):
        return picture
    resized = Pillow.fromarray(picture).resize((width, height), filter)
    return np.asarray(resized, dtype=np.uint8)


def resize_shorter_side(picture: Image, size: int, filter: Pillow.Resampling) -> Image:
    """Resize a picture so that its shorter side has `size` pixels; the longer one is rounded down."""
    height, width = picture.shape[:2]
    if height >= width:
        return resize(picture, size, int(height * size / width), filter)
    return resize(picture, int(width * size / height), size, filter)


def crop_centre(picture: Image, size: int) -> Image:
    """Cut the square of `size` pixels out of the middle of a picture, which is at least as large."""
    height, width = picture.shape[:2]
    y, x = (height - size) // 2, (width - size) // 2
    return picture[y : y + size, x : x + size]
