"""Settings of tracks: their links, splits, thumbnails, and which are kept."""

from __future__ import annotations

from dataclasses import dataclass

from facerec.errors import InputError


@dataclass(frozen=True)
class TrackSettings:
    """Which detections the tracker links; the defaults suit 24 to 60 frames per second.

    Attributes:
        iou_threshold: intersection over union, 0..1, from which boxes of adjacent frames are linked in the
            first round. Higher: fast faces are left to the later rounds, which use motion and size; lower:
            more false links, most of all across cuts that were not found.
        max_gap: maximum number of consecutive missed frames inside a track. Higher: fewer, longer tracks,
            with more interpolated boxes; lower: tracks split where a face is missed.
        gate_sigma: gate of a link across a gap: how far position and size together may be from the
            prediction, in standard deviations. Higher: sudden motion is followed; lower: tracks split
            there, and fewer mix two people. The tracker widens the gate after gaps of one or two frames.
    """

    iou_threshold: float = 0.4
    max_gap: int = 10
    gate_sigma: float = 3.2

    def __post_init__(self) -> None:
        if not 0 < self.iou_threshold <= 1:
            raise InputError(f"iou_threshold must be above 0 and at most 1, not {self.iou_threshold}")
        if self.max_gap < 0:
            raise InputError(f"max_gap must be at least 0 frames, not {self.max_gap}")
        if not self.gate_sigma > 0:
            raise InputError(f"gate_sigma must be above 0 (standard deviations), not {self.gate_sigma}")


@dataclass(frozen=True)
class SplitSettings:
    """When the embeddings of a track show two people. Distances are multiples of `same_person`.

    Attributes:
        min_faces: minimum number of embedded faces of a person between two changes. Higher: short identity
            switches are missed; lower: a few bad faces may split a track.
        min_between: minimum median distance between the faces before a change and those after it. Higher:
            fewer splits.
        max_within: largest median distance of two faces between two changes. Lower: fewer splits.
    """

    min_faces: int = 3
    min_between: float = 1.0
    max_within: float = 0.8

    def __post_init__(self) -> None:
        if self.min_faces < 1:
            raise InputError(f"min_faces must be at least 1, not {self.min_faces}")


@dataclass(frozen=True)
class KeepSettings:
    """Which tracks the merge keeps.

    Attributes:
        min_trajectory: minimum length in frames. Higher: fewer false faces, fewer short appearances.
        min_face_size: minimum shorter side of a track's largest box, in display pixels. Higher: larger faces.
    """

    min_trajectory: int = 5
    min_face_size: int = 20

    def __post_init__(self) -> None:
        if self.min_trajectory < 1:
            raise InputError(f"min_trajectory must be at least 1 frame, not {self.min_trajectory}")


@dataclass(frozen=True)
class ThumbnailSettings:
    """Which two thumbnails of a trajectory annotators see.

    Attributes:
        min_separation: minimum time between the two, above 0 and up to 1, as a share of the time between the
            first saved face and the last. Higher: the two differ more, but have less quality. From 0.5 on
            they come from different halves, so that a change of person in the middle is seen.
        quality_step: qualities are rounded to multiples of this, 0..1; of equal pairs the one farther apart
            is chosen. Higher: separation counts for more, quality for less.
    """

    min_separation: float = 0.5
    quality_step: float = 0.01
