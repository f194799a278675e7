"""The picture of a face that annotators see: padding, size, compression."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from facerec.geometry import Image

THUMBNAIL_SIDE = 160  # pixels into which a picture is shrunk


JPEG_QUALITY = 65  # JPEG


PADDING = 0.10  # of the box's shorter side, around the picture


GRAY_TOLERANCE = 2.0  # mean distance of a pixel's channels below which a picture has no colour


def thumbnail_region(box: tuple[int, int, int, int], width: int, height: int) -> tuple[int, int, int, int]:
    """The part of the frame that the picture of a face shows: x1, y1, x2, y2 of the padded, clipped box."""
    x1, y1, x2, y2 = box
    pad = round(PADDING * min(x2 - x1, y2 - y1))
    return max(0, x1 - pad), max(0, y1 - pad), min(width, x2 + pad), min(height, y2 + pad)


def thumbnail_bytes(frame: Image, box: NDArray[np.int64]) -> bytes:
    """The annotator's JPEG of a face: the padded box, shrunk to fit, gray where the film is gray.

    Args:
        box: (4,) x1, y1, x2, y2 inside the frame.
    """
    x1, y1, x2, y2 = thumbnail_region(tuple(box.tolist()), frame.shape[1], frame.shape[0])
    face = frame[y1:y2, x1:x2]
    h, w = face.shape[:2]
    scale = THUMBNAIL_SIDE / max(h, w)
    if scale < 1:
        size = max(1, round(w * scale)), max(1, round(h * scale))
        face = cv2.resize(face, size, interpolation=cv2.INTER_AREA)
    spread = face.max(2).astype(np.int16) - face.min(2)
    code = cv2.COLOR_RGB2GRAY if spread.mean() < GRAY_TOLERANCE else cv2.COLOR_RGB2BGR
    done, jpeg = cv2.imencode(".jpg", cv2.cvtColor(face, code), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not done:
        raise RuntimeError(f"OpenCV could not compress a picture of {face.shape}")
    return bytes(jpeg)
