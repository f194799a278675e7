"""Estimates the quality of a saved face, 0..1: how much it says about the identity of the person.

Quality is the product of four factors, each 0..1: detection score, sharpness, size and frontality.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from facerec.folder.frame_records import QualityRecord
from facerec.folder.records import SavedFace
from facerec.settings import VectorSettings

Floats = NDArray[np.float32]

PROFILE_QUALITY = 0.2  # quality of a face in profile over that of the same face from the front


def saved_face_quality(faces: Sequence[tuple[SavedFace, QualityRecord]], settings: VectorSettings) -> Floats:
    """Estimate the quality (m,) float32 of m saved faces from their records; see `face_quality`."""
    boxes = np.array([face.box for face, _ in faces], np.float32).reshape(-1, 4)
    return face_quality(
        np.array([quality.score for _, quality in faces], np.float32),
        np.array([quality.sharpness for _, quality in faces], np.float32),
        (boxes[:, 2:] - boxes[:, :2]).min(1),
        np.array([face.keypoints for face, _ in faces], np.float32).reshape(-1, 5, 2),
        settings,
    )


def face_quality(
    scores: Floats, sharpness: Floats, sizes: Floats, keypoints: Floats, settings: VectorSettings
) -> Floats:
    """Estimate the quality (m,) float32, 0..1, of m faces.

    Args:
        scores: (m,) detection scores, 0..1.
        sharpness: (m,) variance of the Laplacian, see `extraction.faces.sharpness`.
        sizes: (m,) shorter side of the box in pixels.
        keypoints: (m, 5, 2) x, y in pixels, in the order of `geometry.KEYPOINTS`.
    """
    sharp = np.square(sharpness) / (np.square(sharpness) + settings.half_sharpness**2)
    large = sizes / (sizes + settings.half_size)
    quality = np.clip(scores, 0, 1) * sharp * large * frontality(keypoints)
    return np.asarray(np.nan_to_num(quality), np.float32)


def frontality(keypoints: Floats) -> Floats:
    """Estimate how frontal m faces are: (m,) float32, 1 from the front, towards `PROFILE_QUALITY` in profile.

    Yaw moves the nose along the line through the eyes: from the front it is below their middle, at about 45
    degrees below one eye. Roll changes nothing.

    Args:
        keypoints: (m, 5, 2) x, y in pixels, in the order of `geometry.KEYPOINTS`.
    """
    left, right, nose = (keypoints[:, i].astype(np.float64) for i in range(3))
    eyes = right - left
    squared = np.maximum(np.square(eyes).sum(1), 1e-6)
    yaw = 2 * ((nose - (left + right) / 2) * eyes).sum(1) / squared  # 1: the nose is below an eye
    return np.asarray(PROFILE_QUALITY + (1 - PROFILE_QUALITY) * np.exp(-np.square(yaw)), np.float32)
