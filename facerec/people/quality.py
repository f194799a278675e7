"""How much a saved face says about whose it is: score, size, sharpness and how frontal it is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from facerec.folder.frame_records import Quality
from facerec.folder.records import Feature
from facerec.people.embeddings import Floats
from facerec.settings import VectorSettings


def qualities(faces: Sequence[tuple[Feature, Quality]], settings: VectorSettings) -> NDArray[np.float32]:
    """How much each of m saved faces says about whose it is, (m,) in 0..1; see `face_quality`."""
    box = np.array([face.box for face, _ in faces], np.float32).reshape(-1, 4)
    return face_quality(
        np.array([quality.score for _, quality in faces], np.float32),
        np.array([quality.sharpness for _, quality in faces], np.float32),
        (box[:, 2:] - box[:, :2]).min(1),
        np.array([face.keypoints for face, _ in faces], np.float32).reshape(-1, 5, 2),
        settings,
    )


PROFILE = 0.2  # worth of a face in profile beside the same one from the front


def face_quality(
    scores: Floats, sharpness: Floats, sizes: Floats, keypoints: Floats, settings: VectorSettings
) -> Floats:
    """How much each of m faces says about whose it is, (m,) float32 in 0..1.

    Args:
        scores: (m,) of the detector, 0..1.
        sharpness: (m,) variance of the Laplacian, see `faces.sharpness`.
        sizes: (m,) shorter side of the box in pixels.
        keypoints: (m, 5, 2) pixels, in the order of `models.base.KEYPOINTS`.
    """
    sharp = np.square(sharpness) / (np.square(sharpness) + settings.half_sharpness**2)
    large = sizes / (sizes + settings.half_size)
    quality = np.clip(scores, 0, 1) * sharp * large * frontality(keypoints)
    return np.asarray(np.nan_to_num(quality), np.float32)


def frontality(keypoints: Floats) -> Floats:
    """1 for a face seen from the front, towards `PROFILE` for one in profile, (m,) float32.

    Turning the head moves the nose along the line of the eyes: it is below their middle from the front,
    and below one of them when turned by about 45 degrees. Rolling the head changes nothing.
    """
    left, right, nose = (keypoints[:, i].astype(np.float64) for i in range(3))
    eyes = right - left
    squared = np.maximum(np.square(eyes).sum(1), 1e-6)
    turned = 2 * ((nose - (left + right) / 2) * eyes).sum(1) / squared  # 1: the nose is below an eye
    return np.asarray(PROFILE + (1 - PROFILE) * np.exp(-np.square(turned)), np.float32)
