"""Compute the integer box and the sharpness of a detection."""

from __future__ import annotations

import cv2
import numpy as np

from facerec.geometry import Box, Image
from facerec.models.base import Detections

_SHARPNESS_SIDE = 112  # pixels; faces are resized to this before their sharpness is measured


def integer_boxes(detections: Detections, width: int, height: int, min_size: int) -> dict[Box, int]:
    """Round the boxes of a frame to integers, clip them to the frame, and drop those that are too small.

    Of detections that round to the same box the one with the highest score is kept.

    Args:
        width, height: of the frame in display pixels.
        min_size: minimum shorter side in pixels.

    Returns:
        The number of the detection of each box, in ascending order of the boxes x1, y1, x2, y2.
    """
    scores = detections.scores.tolist()
    best: dict[Box, int] = {}
    for index, (left, top, right, bottom) in enumerate(np.rint(detections.boxes).tolist()):
        box = (
            int(min(max(left, 0), width)),
            int(min(max(top, 0), height)),
            int(min(max(right, 0), width)),
            int(min(max(bottom, 0), height)),
        )
        large = shorter_side(box) >= max(1, min_size)
        if large and (box not in best or scores[index] > scores[best[box]]):
            best[box] = index
    return dict(sorted(best.items()))


def shorter_side(box: Box) -> int:
    """Return the shorter side of a box in pixels."""
    x1, y1, x2, y2 = box
    return min(x2 - x1, y2 - y1)


def sharpness(frame: Image, box: Box) -> float:
    """Return the variance of the Laplacian of a face at a fixed size; it is low for a blurred face.

    Method: J. L. Pech-Pacheco et al., Diatom autofocusing in brightfield microscopy, ICPR 2000.

    Args:
        frame: (h, w, 3) uint8 RGB.
        box: x1, y1, x2, y2 inside the frame.
    """
    x1, y1, x2, y2 = box
    gray = cv2.cvtColor(frame[y1:y2, x1:x2], cv2.COLOR_RGB2GRAY)
    gray = cv2.resize(gray, (_SHARPNESS_SIDE, _SHARPNESS_SIDE), interpolation=cv2.INTER_LINEAR)
    return round(float(cv2.Laplacian(gray, cv2.CV_64F).var()), 3)
