"""Crops in which a face's keypoints lie where an embedder's training had them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from facerec.geometry import Image


def align(
    frame: Image, keypoints: NDArray[np.float32], template: NDArray[np.float64], size: tuple[int, int]
) -> Image:
    """Turn, scale and shift `frame` so that `keypoints` (5, 2) come to lie on `template` (5, 2).

    The transform is the best similarity in the sense of least squares (Umeyama, "Least-squares
    estimation of transformation parameters", 1991), which for points taken as complex numbers is a
    quotient.

    Returns:
        `size` (height, width) pixels; black where that is outside the frame.
    """
    points = keypoints[:, 0].astype(np.float64) + 1j * keypoints[:, 1]
    target = template[:, 0] + 1j * template[:, 1]
    centred = points - points.mean()
    turn = np.vdot(centred, target - target.mean()) / max(np.vdot(centred, centred).real, 1e-9)
    shift = target.mean() - turn * points.mean()
    matrix = np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])
    crop: Image = cv2.warpAffine(frame, matrix, size[::-1], flags=cv2.INTER_LINEAR)
    return crop
