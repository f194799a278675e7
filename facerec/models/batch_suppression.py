"""Non-maximum suppression of all frames of a batch at once, without the host.

torchvision's `nms` returns as many indices as boxes remain, so the host must wait for their number, once for
each frame. Its `batched_nms` shifts the boxes of every frame by the largest coordinate of the batch, which
changes their last bits, and with them the overlaps at the threshold, with the other frames of the batch.
Here all shapes are fixed and overlaps are computed from the boxes as they are.

Greedy suppression keeps a box if no better box that is itself kept overlaps it. `suppress_batch` applies this
rule to all boxes at once, again and again: after round r it is right for every box with a chain of at most r
overlapping better boxes. Two equal rounds prove that all are right, as the rule has one solution.
"""

from __future__ import annotations

import torch
from torch import Tensor

ROUNDS = 16  # chains of real and made-up boxes are a few boxes long


def suppress_batch(boxes: Tensor, valid: Tensor, overlap: float) -> tuple[Tensor, Tensor]:
    """Suppress boxes that overlap a better one of the same frame.

    Args:
        boxes: (frames, n, 4) x1, y1, x2, y2, best first.
        valid: (frames, n) bool, which boxes count.
        overlap: largest intersection over union of two kept boxes.

    Returns:
        kept: (frames, n) bool, the boxes that torchvision's `nms` keeps.
        exact: (frames,) bool, whether that is proved; if not, a frame needs more than `ROUNDS` rounds.
    """
    suppresses = _overlaps(boxes, overlap).tril_(-1).logical_and_(valid[:, :, None])  # of a row by a column
    before = kept = valid
    for _ in range(ROUNDS):
        before, kept = kept, valid & ~(suppresses & kept[:, None, :]).any(dim=2)
    return kept, (kept == before).all(dim=1)


def _overlaps(boxes: Tensor, overlap: float) -> Tensor:
    """Return (frames, n, n): whether the intersection over union of two boxes is above `overlap`."""
    x1, y1, x2, y2 = boxes.unbind(dim=2)
    shared = _shared(x1, x2).mul_(_shared(y1, y2))
    area = (x2 - x1) * (y2 - y1)
    union = (area[:, :, None] + area[:, None, :]).sub_(shared)
    return shared.div_(union) > overlap


def _shared(low: Tensor, high: Tensor) -> Tensor:
    """Return (frames, n, n): the length that the intervals of two boxes share."""
    length = torch.minimum(high[:, :, None], high[:, None, :])
    return length.sub_(torch.maximum(low[:, :, None], low[:, None, :])).clamp_(min=0)
