"""The two interfaces every model stands behind: `Detector` and `Embedder`.

Whatever a model finds in a frame must not depend on the frames that share its batch: a film cut into
shards has other batches than the whole film, and must give the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from facerec.geometry import Image

Item = TypeVar("Item")


@dataclass(frozen=True)
class Detections:
    """The faces of one frame, best score first.

    Attributes:
        boxes: (n, 4) float32, x1, y1, x2, y2 in pixels of the frame, clipped to it.
        scores: (n,) float32 in 0..1.
        keypoints: (n, 5, 2) float32, x, y in pixels, in the order of `KEYPOINTS`.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    keypoints: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.boxes)


@dataclass(frozen=True)
class ModelCard:
    """What a folder records of the model that made it.

    Attributes:
        kind: the registry's name (`retinaface`, `dlib`, …).
        weights: file name of the weights.
        sha256: hash of the weights' bytes, hex.
        licence: of the weights, as its publisher states it.
    """

    kind: str
    weights: str
    sha256: str
    licence: str


def make_detections(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    keypoints: NDArray[np.float32],
    size: tuple[int, int],
    min_face_size: float,
) -> Detections:
    """What a network found, as `Detections`: clipped, best first, without what is too small.

    Args:
        boxes, scores, keypoints: as in `Detections`, in any order, boxes beyond the frame or turned over.
        size: height and width of the frame.
        min_face_size: least longer side of a box before clipping, in pixels.
    """
    height, width = size
    large = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0) >= min_face_size
    boxes = np.clip(boxes, 0, np.array([width, height] * 2, np.float32))
    kept = np.flatnonzero(large & (boxes[:, 2:] > boxes[:, :2]).all(axis=1))
    kept = kept[np.argsort(-scores[kept], kind="stable")]
    return Detections(boxes[kept], scores[kept], keypoints[kept])


def split_into_batches(items: Sequence[Item], size: int) -> list[Sequence[Item]]:
    """`items` in parts of `size`, the last perhaps shorter."""
    return [items[begin : begin + size] for begin in range(0, len(items), size)]


def pad_batch(crops: Sequence[Image], size: int) -> NDArray[np.uint8]:
    """A batch (size, height, width, 3) of at most `size` crops, black ones at its end."""
    return np.pad(np.stack(crops), ((0, size - len(crops)), (0, 0), (0, 0), (0, 0)))


def normalize_rows(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """`vectors` (n, d), every row at Euclidean length 1."""
    lengths = np.sqrt(np.square(vectors).sum(axis=1, keepdims=True))
    units: NDArray[np.float32] = vectors / np.maximum(lengths, np.float32(1e-12))
    return units


class Detector(Protocol):
    """Finds faces in frames."""

    card: ModelCard
    batch_size: int  # frames that `detect` is best called with at once

    def detect(self, frames: Sequence[Image]) -> list[Detections]:
        """Find the faces of each of `frames`, which all have the same size."""
        ...


class Embedder(Protocol):
    """Turns faces into unit vectors in which one person's faces lie close together.

    Attributes:
        dimension: length of a vector.
        same_person: Euclidean distance between two unit vectors below which two *faces* are more
            likely one person than two, from the model's own calibration.
    """

    card: ModelCard
    dimension: int
    same_person: float

    def crop(self, frame: Image, box: NDArray[np.float32], keypoints: NDArray[np.float32]) -> Image:
        """Cut the face with `box` (4,) and `keypoints` (5, 2) out of `frame`, as `embed` wants it."""
        ...

    def embed(self, crops: Sequence[Image]) -> NDArray[np.float32]:
        """(n, dimension) float32, every row of Euclidean length 1; (0, dimension) for no crops."""
        ...
