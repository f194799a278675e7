"""Persons followed inside a shot: from boxes in sampled frames to tracks.

The tracker is that of the faces, which works on numbers; it treats the sampled frames as consecutive.
Weak detections continue a track but do not make one: a track needs one of `threshold` and, if the shot has
more than one sampled frame, two boxes. Embeddings forbid links between boxes of two people, because bodies
cross and hide each other far more often than faces do.

The values were chosen on three clips (a stage, a street crowd, a basketball field), with YOLOX-nano and
OSNet x0.25, by the pictures of their tracks. In the crowd, at every fourth frame, boxes alone let five of 17
tracks change to another person in one step; with the embeddings none of 17 did, and two drifted slowly. From
every frame to every eighth the tracks were the same but for those of less than half a second.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facerec.errors import ModelError
from facerec.features.base import Options
from facerec.features.spool import Spool
from facerec.models.base import normalize_rows
from facerec.settings import TrackSettings
from facerec.tracking.appearance import Appearance
from facerec.tracking.tracker import track

DROPPED = -1  # instead of a track


@dataclass(frozen=True)
class PersonSettings:
    """How persons are found and followed.

    Attributes:
        step: frames from one detection to the next, from the first frame of a shot on. Higher: faster, but a
            person who moves fast gets several tracks.
        threshold: minimum score, 0..1, of the best detection of a track. Lower: more small and
            hidden persons, and more false ones.
        weak: share of `threshold` from which detections continue a track. Lower: fewer gaps, more wrong
            boxes.
        iou: intersection over union, 0..1, from which boxes of following samples are linked directly.
        max_gap: maximum number of frames without a detection inside a track, rounded to samples; one sample
            may always be missed.
    """

    step: int = 4
    threshold: float = 0.6
    weak: float = 0.5
    iou: float = 0.3
    max_gap: int = 24


def person_settings(name: str, options: Options) -> PersonSettings:
    """Return the settings of the extractor `name` with these options.

    Raises:
        ModelError: an option is not valid.
    """
    step = PersonSettings.step if options.step is None else options.step
    threshold = PersonSettings.threshold if options.threshold is None else options.threshold
    if step < 1:
        raise ModelError(f"the step of {name} must be at least 1 frame, not {step}")
    if not 0 < threshold < 1:
        raise ModelError(f"the threshold of {name} must be between 0 and 1, not {threshold}")
    return PersonSettings(step=step, threshold=threshold)


class PersonLinker:
    """Collects the persons of the sampled frames of a shot and links them into tracks.

    Args:
        max_distance: Euclidean distance of normalised embeddings above which two boxes are not linked; None:
            the boxes alone decide.
    """

    def __init__(self, settings: PersonSettings, max_distance: float | None) -> None:
        self._settings, self._max_distance = settings, max_distance
        self._boxes: list[NDArray[np.float32]] = []
        self._vectors = Spool()

    def add(self, boxes: NDArray[np.float32], embeddings: NDArray[np.float32] | None = None) -> None:
        """Take the persons of the next sampled frame.

        Args:
            boxes: (n, 5) x1, y1, x2, y2, score.
            embeddings: (n, d); needed if there is a `max_distance`.
        """
        self._boxes.append(boxes)
        if embeddings is not None and self._max_distance is not None:
            for vector in embeddings:
                self._vectors.append(vector.astype(np.float32).tobytes())

    def finish(self) -> NDArray[np.int64]:
        """Link the boxes.

        Returns:
            The track of each box, in the order in which they came, or `DROPPED`. Tracks are numbered from 0
            by their first sample, then by their first box.
        """
        boxes = np.concatenate([np.empty((0, 5), np.float32), *self._boxes])
        samples = np.repeat(np.arange(len(self._boxes)), [len(part) for part in self._boxes])
        appearance = None
        if self._max_distance is not None:
            appearance = Appearance(self._read, self._max_distance)
        linked = track(samples, boxes[:, :4], (), self._track_settings(), appearance) if len(boxes) else []
        tracks = np.full(len(boxes), DROPPED, np.int64)
        count = 0
        for one in linked:
            confident = boxes[one.detection_ids, 4].max() >= np.float32(self._settings.threshold)
            if confident and len(one) >= min(2, len(self._boxes)):
                tracks[one.detection_ids] = count
                count += 1
        self._vectors.close()
        return tracks

    def _track_settings(self) -> TrackSettings:
        gap = max(1, self._settings.max_gap // self._settings.step)
        return TrackSettings(iou_threshold=self._settings.iou, max_gap=gap)

    def _read(self, detections: NDArray[np.int64]) -> NDArray[np.float32]:
        pieces = self._vectors.read(detections.tolist())
        return normalize_rows(np.stack([np.frombuffer(piece, np.float32) for piece in pieces]))
