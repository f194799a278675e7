"""Non-maximum suppression without a library: a frame has a handful of candidates.

For a handful a call of torchvision, or of NumPy for each step, costs more than the arithmetic itself.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_FEW = 32  # boxes; more are compared in NumPy


def suppress(
    boxes: NDArray[np.float32], scores: NDArray[np.float32], overlap: float, border: float = 0.0
) -> NDArray[np.intp]:
    """Return the indices of the boxes that are kept, best score first; equal scores in their order.

    A box is dropped if its intersection over union with a kept one of a better score exceeds `overlap`.

    Args:
        boxes: (n, 4) x1, y1, x2, y2.
        scores: (n,).
        overlap: 0 to 1.
        border: pixels added to the length of each side: 0 as in torchvision's `nms`; 1 where coordinates are
            those of the first and last pixel, as in insightface.
    """
    order = np.argsort(-scores, kind="stable")
    if len(order) < 2:
        return order
    kept = (_of_few if len(order) <= _FEW else _of_many)(boxes[order], overlap, border)
    return order[kept]


def _of_few(boxes: NDArray[np.float32], overlap: float, border: float) -> list[int]:
    kept: list[int] = []
    chosen: list[tuple[float, float, float, float, float]] = []
    for i, (x1, y1, x2, y2) in enumerate(boxes.tolist()):
        area = (x2 - x1 + border) * (y2 - y1 + border)
        for a1, b1, a2, b2, other in chosen:
            width = (x2 if x2 < a2 else a2) - (x1 if x1 > a1 else a1) + border
            if width <= 0:
                continue
            height = (y2 if y2 < b2 else b2) - (y1 if y1 > b1 else b1) + border
            if height > 0 and width * height > overlap * (area + other - width * height):
                break
        else:
            kept.append(i)
            chosen.append((x1, y1, x2, y2, area))
    return kept


def _of_many(boxes: NDArray[np.float32], overlap: float, border: float) -> list[int]:
    x1, y1, x2, y2 = np.ascontiguousarray(boxes.T, np.float64)
    areas = (x2 - x1 + border) * (y2 - y1 + border)
    kept: list[int] = []
    left = np.arange(len(boxes))
    while len(left):
        best, left = int(left[0]), left[1:]
        kept.append(best)
        width = np.minimum(x2[best], x2[left]) - np.maximum(x1[best], x1[left]) + border
        height = np.minimum(y2[best], y2[left]) - np.maximum(y1[best], y1[left]) + border
        shared = np.maximum(width, 0) * np.maximum(height, 0)
        left = left[(shared <= 0) | (shared <= overlap * (areas[best] + areas[left] - shared))]
    return kept
