"""Compute the integer box and the sharpness of a detection."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from facerec.geometry import Image
from facerec.models.base import Detections

_SHARPNESS_SIDE = 112  # pixels; faces are resized to this before their sharpness is measured


def integer_boxes(
    detections: Detections, width: int, height: int, min_size: int
) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    """Round the boxes of a frame to integers, clip them to the frame, and drop those that are too small.

    Of detections that round to the same box the one with the highest score is kept.

    Args:
        width, height: of the frame in display pixels.
        min_size: minimum shorter side in pixels.

    Returns:
        boxes: (m, 4) int64 x1, y1, x2, y2, in ascending order.
        indices: (m,) the detection of each box.
    """
    boxes = np.rint(detections.boxes).astype(np.int64).reshape(-1, 4)
    boxes = np.clip(boxes, 0, [width, height, width, height])
    size = shorter_sides(boxes)
    order = np.lexsort((-detections.scores, *boxes.T[::-1]))
    order = order[size[order] >= max(1, min_size)]
    sorted_boxes = boxes[order]
    first = np.ones(len(order), bool)
    first[1:] = (sorted_boxes[1:] != sorted_boxes[:-1]).any(1)
    return sorted_boxes[first], order[first]


def shorter_sides(boxes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the shorter side (n,) in pixels of boxes (n, 4) x1, y1, x2, y2."""
    sides: NDArray[np.int64] = (boxes[:, 2:] - boxes[:, :2]).min(axis=1, initial=np.iinfo(np.int64).max)
    return sides


def sharpness(frame: Image, box: NDArray[np.int64]) -> float:
    """Return the variance of the Laplacian of a face at a fixed size; it is low for a blurred face.

    Method: J. L. Pech-Pacheco et al., Diatom autofocusing in brightfield microscopy, ICPR 2000.

    Args:
        frame: (h, w, 3) uint8 RGB.
        box: (4,) x1, y1, x2, y2 inside the frame.
    """
    x1, y1, x2, y2 = box.tolist()
    gray = cv2.cvtColor(frame[y1:y2, x1:x2], cv2.COLOR_RGB2GRAY)
    gray = cv2.resize(gray, (_SHARPNESS_SIDE, _SHARPNESS_SIDE), interpolation=cv2.INTER_LINEAR)
    return round(float(cv2.Laplacian(gray, cv2.CV_64F).var()), 3)
