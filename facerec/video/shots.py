"""Where a new shot begins: PySceneDetect's change scores, decided upon over the whole film.

A score needs pixels, and only those of a frame and of the frame before it, so a shard of a film
computes it alone. The decision needs time but no pixels: it is made once, over all scores.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facerec.geometry import Image
from facerec.settings import ShotSettings

_NOTHING = 0.00001  # an average below this is zero (AdaptiveDetector's own figure)
_MAX_RATIO = 255.0  # the ratio to neighbours that do not change at all


class ChangeScorer:
    """How much each frame differs from the one given before it.

    This is the score of PySceneDetect's detectors in their `luma_only` form, on frames made as small
    as its `SceneManager` makes them. With hue and saturation in it, as by default, the score of a
    black and white film, which has neither, would be a third of what the same cut has in colour.
    """

    def __init__(self) -> None:
        from scenedetect.detectors import ContentDetector

        self._detector = ContentDetector(luma_only=True)
        self._first = True

    def change(self, frame: Image) -> float | None:
        """Mean absolute difference in grey levels (0..255) from the frame before; None for the first."""
        import cv2
        from scenedetect.scene_manager import compute_downscale_factor

        height, width = frame.shape[:2]
        factor = compute_downscale_factor(max(width, height))
        if factor > 1:
            size = max(1, round(width / factor)), max(1, round(height / factor))
            frame = cv2.resize(frame, size, interpolation=cv2.INTER_LINEAR)
        # Not process_frame(): it would also decide, by a rule that is not used here. The library offers
        # the score in public only with edges, which cost more than all the rest; a test guards this.
        score = self._detector._calculate_frame_score(None, frame[..., ::-1])
        first, self._first = self._first, False
        return None if first else float(score)


def find_cuts(
    frames: NDArray[np.int64], changes: NDArray[np.float64], settings: ShotSettings | None = None
) -> list[int]:
    """Decide which frames are the first of a new shot.

    The rule of PySceneDetect's `AdaptiveDetector`: a cut's change is large in itself and against the
    mean of its neighbours', so that a moving camera is none. Two things differ. Near the ends of the
    film the mean is taken over the neighbours that exist, where the library cannot see cuts at all.
    And the first shot may be shorter than `min_shot`.

    Args:
        frames: (n,) numbers of the decoded frames, increasing; where some are missing, the next
            frame's change is that across the hole.
        changes: (n,) their changes by `ChangeScorer`; NaN where there is none (the film's first frame).

    Returns:
        Frame numbers, increasing.
    """
    settings = settings or ShotSettings()
    known = ~np.isnan(changes)
    changes = np.where(known, changes, 0.0)
    around, neighbours = np.zeros(len(changes)), np.zeros(len(changes), dtype=np.int64)
    for offset in range(-settings.window, settings.window + 1):
        if offset:  # element t gets its neighbour t + offset
            to = slice(max(0, -offset), max(0, len(changes) - max(0, offset)))
            of = slice(max(0, offset), max(0, len(changes) + min(0, offset)))
            around[to] += changes[of]
            neighbours[to] += known[of]
    mean = around / np.maximum(neighbours, 1)
    ratio = np.where(mean < _NOTHING, _MAX_RATIO, changes / np.maximum(mean, _NOTHING))
    cuts: list[int] = []
    for frame in frames[(ratio >= settings.adaptive_ratio) & (changes >= settings.min_change)].tolist():
        if not cuts or frame - cuts[-1] >= settings.min_shot:
            cuts.append(frame)
    return cuts
