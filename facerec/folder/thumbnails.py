"""The thumbnail of a saved face: which part of the frame it shows, its size and its compression."""

from __future__ import annotations

import cv2

from facerec.geometry import Box, Image

THUMBNAIL_SIDE = 160  # pixels; longest side, larger crops are shrunk
JPEG_QUALITY = 65
PADDING = 0.10  # of the box's shorter side, added on every side
GRAY_TOLERANCE = 2.0  # mean spread of a pixel's channels (0..255) below which a crop is stored as gray


def thumbnail_region(box: Box, width: int, height: int) -> Box:
    """Return the region x1, y1, x2, y2 that a thumbnail shows: the padded `box`, clipped to the frame."""
    x1, y1, x2, y2 = box
    padding = round(PADDING * min(x2 - x1, y2 - y1))
    return max(0, x1 - padding), max(0, y1 - padding), min(width, x2 + padding), min(height, y2 + padding)


def thumbnail_bytes(frame: Image, box: Box) -> bytes:
    """Return the thumbnail of a face as a JPEG, gray if the crop has no colour.

    Args:
        frame: (h, w, 3) uint8 RGB.
        box: x1, y1, x2, y2 inside the frame.

    Raises:
        RuntimeError: OpenCV cannot compress the crop.
    """
    x1, y1, x2, y2 = thumbnail_region(box, frame.shape[1], frame.shape[0])
    crop = frame[y1:y2, x1:x2]
    h, w = crop.shape[:2]
    scale = THUMBNAIL_SIDE / max(h, w)
    if scale < 1:
        size = max(1, round(w * scale)), max(1, round(h * scale))
        crop = cv2.resize(crop, size, interpolation=cv2.INTER_AREA)
    red, green, blue = cv2.split(crop)
    spread = cv2.max(cv2.max(red, green), blue) - cv2.min(cv2.min(red, green), blue)
    code = cv2.COLOR_RGB2GRAY if spread.mean() < GRAY_TOLERANCE else cv2.COLOR_RGB2BGR
    encoded, jpeg = cv2.imencode(".jpg", cv2.cvtColor(crop, code), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not encoded:
        raise RuntimeError(f"OpenCV could not compress a thumbnail of shape {crop.shape}")
    return bytes(jpeg)
