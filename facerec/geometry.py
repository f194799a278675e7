"""Conventions for images, boxes and keypoints, and the overlap of boxes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]  # (height, width, 3) RGB
Box = tuple[int, int, int, int]  # x1, y1, x2, y2 in pixels

MINIATURE = 48, 27  # width and height of a miniature, see `video.miniature`
MINIATURE_BYTES = 48 * 27 + 2 * 24 * 14  # luma and the two colour planes of YUV 4:2:0

KEYPOINTS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")  # left: in the image


def iou(one: NDArray[Any], other: NDArray[Any]) -> NDArray[np.float64]:
    """Compute the intersection over union of pairs of boxes.

    Args:
        one, other: boxes (…, 4), x1, y1, x2, y2, of shapes that broadcast.

    Returns:
        (…,) values in 0..1; 0 where both boxes are empty.
    """
    sides = np.minimum(one[..., 2:], other[..., 2:]) - np.maximum(one[..., :2], other[..., :2])
    shared = np.maximum(sides, 0).prod(axis=-1)
    areas = (one[..., 2:] - one[..., :2]).prod(axis=-1) + (other[..., 2:] - other[..., :2]).prod(axis=-1)
    union = areas - shared
    overlap: NDArray[np.float64] = np.divide(shared, union, out=np.zeros(union.shape), where=union > 0)
    return overlap
