"""From a detection to what is kept of it: integer box, the annotator's picture, sharpness."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from facerec.geometry import Image
from facerec.models.base import Detections

_SHARPNESS_SIDE = 112  # pixels to which a face is brought before its sharpness is measured


def integer_boxes(
    found: Detections, width: int, height: int, min_size: int
) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    """Integer boxes clipped to the frame, without those whose shorter side is below `min_size`.

    Two detections that round to one box are one face: the better score stays.

    Returns:
        boxes: (m, 4) sorted by x1, y1, x2, y2.
        kept: (m,) which detection each comes from.
    """
    boxes = np.rint(found.boxes).astype(np.int64).reshape(-1, 4)
    boxes = np.clip(boxes, 0, [width, height, width, height])
    size = np.minimum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])
    order = np.lexsort((-found.scores, *boxes.T[::-1]))
    order = order[size[order] >= max(1, min_size)]
    sorted_boxes = boxes[order]
    first = np.ones(len(order), bool)
    first[1:] = (sorted_boxes[1:] != sorted_boxes[:-1]).any(1)
    return sorted_boxes[first], order[first]


def sharpness(frame: Image, box: NDArray[np.int64]) -> float:
    """Variance of the Laplacian of the face at a fixed size: low where it is blurred.

    After J. L. Pech-Pacheco et al., Diatom autofocusing in brightfield microscopy, ICPR 2000.
    """
    x1, y1, x2, y2 = box.tolist()
    gray = cv2.cvtColor(frame[y1:y2, x1:x2], cv2.COLOR_RGB2GRAY)
    gray = cv2.resize(gray, (_SHARPNESS_SIDE, _SHARPNESS_SIDE), interpolation=cv2.INTER_LINEAR)
    return round(float(cv2.Laplacian(gray, cv2.CV_64F).var()), 3)
