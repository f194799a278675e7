"""Alignment of faces: crops with the keypoints at the positions of the embedder's training data."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from facerec.geometry import Image


def align(
    frame: Image, keypoints: NDArray[np.float32], template: NDArray[np.float64], size: tuple[int, int]
) -> Image:
    """Rotate, scale and shift `frame` to map `keypoints` (5, 2) to `template` (5, 2).

    Uses the least-squares similarity transform (Umeyama, "Least-squares estimation of transformation
    parameters", 1991), which for points written as complex numbers is a quotient.

    Args:
        keypoints: x, y in pixels of `frame`.
        template: x, y in pixels of the crop.
        size: height and width of the crop.

    Returns:
        (height, width, 3) RGB; black outside the frame.
    """
    points = keypoints[:, 0].astype(np.float64) + 1j * keypoints[:, 1]
    target = template[:, 0] + 1j * template[:, 1]
    centred = points - points.mean()
    turn = np.vdot(centred, target - target.mean()) / max(np.vdot(centred, centred).real, 1e-9)
    shift = target.mean() - turn * points.mean()
    matrix = np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])
    crop: Image = cv2.warpAffine(frame, matrix, size[::-1], flags=cv2.INTER_LINEAR)
    return crop
