"""Cut detection: PySceneDetect's change scores for each frame, and one decision over the whole film.

A score needs the pixels of a frame and of the frame before it, so each shard computes its own. The decision
needs only the scores, so the merge makes it once for the whole film.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from facerec.errors import NonFiniteError
from facerec.geometry import Image
from facerec.settings import ShotSettings

_ZERO = 0.00001  # a mean below this counts as zero, as in AdaptiveDetector
_MAX_RATIO = 255.0  # the ratio to a mean of zero


class ChangeScorer:
    """Scores how much each frame differs from the previous one.

    The score is that of PySceneDetect's `ContentDetector` with `luma_only`, on frames downscaled as by its
    `SceneManager`. Its default also averages hue and saturation, which a black and white film lacks: the
    score of a cut would be a third of that of the same cut in colour.
    """

    def __init__(self) -> None:
        from scenedetect.detectors import ContentDetector

        self._detector = ContentDetector(luma_only=True)
        self._first = True

    def change(self, frame: Image) -> float | None:
        """Compute the mean absolute difference to the previous frame; None for the first frame.

        In grey levels, 0..255.

        Raises:
            NonFiniteError: the difference is NaN or infinite.
        """
        import cv2
        from scenedetect.scene_manager import compute_downscale_factor

        height, width = frame.shape[:2]
        factor = compute_downscale_factor(max(width, height))
        if factor > 1:
            size = max(1, round(width / factor)), max(1, round(height / factor))
            frame = cv2.resize(frame, size, interpolation=cv2.INTER_LINEAR)
        # process_frame() would also decide by another rule, and the public score includes edges, which cost
        # more than everything else. A test compares this private method's scores with the library's.
        score = self._detector._calculate_frame_score(None, frame[..., ::-1])
        first, self._first = self._first, False
        if not math.isfinite(score):
            raise NonFiniteError("its difference from the frame before it is NaN or infinite")
        return None if first else float(score)


def find_cuts(
    frames: NDArray[np.int64], changes: NDArray[np.float64], settings: ShotSettings | None = None
) -> list[int]:
    """Find the cuts: the first frame of each new shot except the first.

    The rule is that of PySceneDetect's `AdaptiveDetector`: the change at a cut is large, both absolutely and
    relative to the mean of its neighbours, which excludes camera motion. Two things differ: near the ends of
    the film the mean is over the neighbours that exist, where the library finds no cuts at all, and the
    first shot may be shorter than `min_shot`.

    Args:
        frames: (n,) numbers of the decoded frames, increasing; the change of a frame after missing ones is
            that across the gap.
        changes: (n,) scores by `ChangeScorer`; NaN for none (the first frame of the film).

    Returns:
        Frame numbers, increasing.
    """
    settings = settings or ShotSettings()
    known = ~np.isnan(changes)
    changes = np.where(known, changes, 0.0)
    sums, neighbours = np.zeros(len(changes)), np.zeros(len(changes), dtype=np.int64)
    for offset in range(-settings.window, settings.window + 1):
        if offset:  # element t gets its neighbour t + offset
            target = slice(max(0, -offset), max(0, len(changes) - max(0, offset)))
            source = slice(max(0, offset), max(0, len(changes) + min(0, offset)))
            sums[target] += changes[source]
            neighbours[target] += known[source]
    mean = sums / np.maximum(neighbours, 1)
    ratio = np.where(mean < _ZERO, _MAX_RATIO, changes / np.maximum(mean, _ZERO))
    cuts: list[int] = []
    for frame in frames[(ratio >= settings.adaptive_ratio) & (changes >= settings.min_change)].tolist():
        if not cuts or frame - cuts[-1] >= settings.min_shot:
            cuts.append(frame)
    return cuts
