"""From a detection to what is kept of it: integer box, the annotator's picture, sharpness."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from facerec.models.base import Detections, Image

PICTURE_SIDE = 160  # pixels into which a picture is shrunk
PICTURE_QUALITY = 65  # JPEG
PADDING = 0.10  # of the box's shorter side, around the picture
GRAY_TOLERANCE = 2.0  # mean distance of a pixel's channels below which a picture has no colour
_SHARPNESS_SIDE = 112  # pixels to which a face is brought before its sharpness is measured


def whole_boxes(
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


def picture_part(box: tuple[int, int, int, int], width: int, height: int) -> tuple[int, int, int, int]:
    """The part of the frame that the picture of a face shows: x1, y1, x2, y2 of the padded, clipped box."""
    x1, y1, x2, y2 = box
    pad = round(PADDING * min(x2 - x1, y2 - y1))
    return max(0, x1 - pad), max(0, y1 - pad), min(width, x2 + pad), min(height, y2 + pad)


def picture_bytes(frame: Image, box: NDArray[np.int64]) -> bytes:
    """The annotator's JPEG of a face: the padded box, shrunk to fit, gray where the film is gray.

    Args:
        box: (4,) x1, y1, x2, y2 inside the frame.
    """
    x1, y1, x2, y2 = picture_part(tuple(box.tolist()), frame.shape[1], frame.shape[0])
    face = frame[y1:y2, x1:x2]
    h, w = face.shape[:2]
    scale = PICTURE_SIDE / max(h, w)
    if scale < 1:
        size = max(1, round(w * scale)), max(1, round(h * scale))
        face = cv2.resize(face, size, interpolation=cv2.INTER_AREA)
    spread = face.max(2).astype(np.int16) - face.min(2)
    code = cv2.COLOR_RGB2GRAY if spread.mean() < GRAY_TOLERANCE else cv2.COLOR_RGB2BGR
    done, jpeg = cv2.imencode(".jpg", cv2.cvtColor(face, code), [cv2.IMWRITE_JPEG_QUALITY, PICTURE_QUALITY])
    if not done:
        raise RuntimeError(f"OpenCV could not compress a picture of {face.shape}")
    return bytes(jpeg)


def sharpness(frame: Image, box: NDArray[np.int64]) -> float:
    """Variance of the Laplacian of the face at a fixed size: low where it is blurred.

    After J. L. Pech-Pacheco et al., Diatom autofocusing in brightfield microscopy, ICPR 2000.
    """
    x1, y1, x2, y2 = box.tolist()
    gray = cv2.cvtColor(frame[y1:y2, x1:x2], cv2.COLOR_RGB2GRAY)
    gray = cv2.resize(gray, (_SHARPNESS_SIDE, _SHARPNESS_SIDE), interpolation=cv2.INTER_LINEAR)
    return round(float(cv2.Laplacian(gray, cv2.CV_64F).var()), 3)
