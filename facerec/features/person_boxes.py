"""The interface of person detectors and embedders, boxes of persons, and the pictures cut out with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from facerec.geometry import Image, iou
from facerec.models.base import ModelCard


class PersonDetector(Protocol):
    """Finds persons in frames.

    Attributes:
        card: identity of the model.
        batch_size: best number of frames for one call of `detect`.
    """

    card: ModelCard
    batch_size: int

    def detect(self, frames: Sequence[Image]) -> list[NDArray[np.float32]]:
        """Find the persons in each of `frames` (height, width, 3) RGB uint8.

        Returns:
            For each frame (n, 5) float32 x1, y1, x2, y2 in pixels of the frame, clipped to it, and the
            score, 0..1; best score first.

        Raises:
            NonFiniteError: the network returned NaN or an infinite number for one of the frames.
        """
        ...


class PersonEmbedder(Protocol):
    """Maps pictures of persons to vectors; those of one person are close to each other.

    Attributes:
        card: identity of the model.
        dimension: number of components of an embedding.
        max_distance: Euclidean distance of two normalised embeddings above which the tracker does not link
            two boxes; None if it has not been measured: then only the boxes decide.
    """

    card: ModelCard
    dimension: int
    max_distance: float | None

    def embed(self, pictures: Sequence[Image]) -> NDArray[np.float32]:
        """Embed pictures of persons, RGB uint8 of any size; return (n, dimension) float32, not normalised.

        Raises:
            NonFiniteError: the network returned NaN or an infinite number for one of the pictures.
        """
        ...


def make_boxes(
    boxes: NDArray[np.float32], scores: NDArray[np.float32], size: tuple[int, ...]
) -> NDArray[np.float32]:
    """Clip boxes (n, 4) to a frame of `size` (height, width), drop empty ones, sort by score.

    Returns:
        (m, 5) x1, y1, x2, y2, score.
    """
    height, width = size
    clipped = np.clip(boxes, 0, np.array([width, height] * 2, np.float32))
    rows = np.hstack([clipped, scores[:, None]]).astype(np.float32)
    rows = rows[(rows[:, 2:4] - rows[:, :2] >= 1).all(axis=1)]
    return rows[np.argsort(-rows[:, 4], kind="stable")]


def suppress(boxes: NDArray[np.float32], scores: NDArray[np.float32], threshold: float) -> NDArray[np.int64]:
    """Choose boxes by greedy non-maximum suppression.

    Args:
        boxes: (n, 4) x1, y1, x2, y2.
        scores: (n,); of boxes with one score the earlier is better.
        threshold: intersection over union above which the box with the lower score is dropped.

    Returns:
        Indices of the boxes that stay, best score first.
    """
    order = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    while len(order):
        best, order = order[0], order[1:]
        kept.append(int(best))
        order = order[iou(boxes[best], boxes[order]) <= threshold]
    return np.array(kept, np.int64)


def crop(frame: Image, boxes: NDArray[np.floating[Any]]) -> list[Image]:
    """Cut persons out of a frame.

    Args:
        boxes: (n, 4) or (n, 5) x1, y1, x2, y2, … in pixels; they may exceed the frame.

    Returns:
        A copy of the pixels of each box, widened to whole pixels; at least one pixel of the frame.
    """
    height, width = frame.shape[:2]
    pictures = []
    for x1, y1, x2, y2, *_ in boxes:
        left, top = int(np.clip(np.floor(x1), 0, width - 1)), int(np.clip(np.floor(y1), 0, height - 1))
        right, bottom = int(np.clip(np.ceil(x2), left + 1, width)), int(np.clip(np.ceil(y2), top + 1, height))
        pictures.append(frame[top:bottom, left:right].copy())
    return pictures


def shrink(picture: Image, longest: int) -> Image:
    """Shrink a picture so that its longer side has at most `longest` pixels; never enlarge it."""
    scale = longest / max(picture.shape[:2])
    if scale >= 1:
        return picture
    rows, columns = (max(1, round(side * scale)) for side in picture.shape[:2])
    return np.asarray(cv2.resize(picture, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)
