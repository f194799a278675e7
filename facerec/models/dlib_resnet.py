"""dlib's face recognition ResNet (King, "High quality face recognition with deep metric learning", 2017).

128 numbers a face, on the CPU. Its crops are dlib's own: five landmarks (corners of the eyes, base of
the nose) are found in the detector's box and turned to where the network's training had them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dlib
import numpy as np
from numpy.typing import NDArray

from facerec.errors import ModelError
from facerec.models.base import Image, unit
from facerec.models.device import Placement
from facerec.models.weights import Found

SIZE, PADDING = 150, 0.25  # of the network's training crops


class DlibResNet:
    """An `Embedder`.

    Args:
        found: the network's file and that of the five-landmark predictor.
        placement: how many crops a call of the network takes.

    Raises:
        ModelError: a file is not what it should be.
    """

    dimension = 128
    # dlib's documentation has 0.6 (99.38 % of the pairs of LFW), between descriptors as they come, which
    # are about 1.43 long (1.32 to 1.57 on portraits)
    same_person = 0.6 / 1.43

    def __init__(self, found: Found, placement: Placement) -> None:
        self.card = found.card
        self._batch_size = placement.batch_size or 32
        self._network = _open(dlib.face_recognition_model_v1, found, 0)
        self._landmarks = _open(dlib.shape_predictor, found, 1)

    def crop(self, frame: Image, box: NDArray[np.float32], keypoints: NDArray[np.float32]) -> Image:
        """Cut a face out of `frame`, upright, (150, 150, 3) RGB; `keypoints` are not used."""
        x1, y1, x2, y2 = (round(float(value)) for value in box)
        shape = self._landmarks(frame, dlib.rectangle(x1, y1, max(x2, x1 + 1) - 1, max(y2, y1 + 1) - 1))
        crop: Image = dlib.get_face_chip(frame, shape, size=SIZE, padding=PADDING)
        return crop

    def embed(self, crops: Sequence[Image]) -> NDArray[np.float32]:
        """(n, 128) float32 unit vectors."""
        vectors: list[Any] = []
        for begin in range(0, len(crops), self._batch_size):
            vectors += self._network.compute_face_descriptor(list(crops[begin : begin + self._batch_size]))
        found = np.array(vectors, np.float32).reshape(-1, self.dimension)
        return unit(found)


def _open(kind: Any, found: Found, index: int) -> Any:
    try:
        return kind(str(found.paths[index]))
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:120]
        raise ModelError(f"{found.paths[index]}: no file of dlib's {kind.__name__} ({reason})") from error
