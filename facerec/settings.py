"""The settings of extraction and merge and, once each, their defaults.

Imports nothing heavy: `--help` shows them at once.
"""

from __future__ import annotations

from dataclasses import dataclass

from facerec.errors import InputError


@dataclass(frozen=True)
class ExtractSettings:
    """Settings of `extract.py`; a folder's shards must all have the same.

    Attributes:
        detector, embedder: model specs, `NAME` or `NAME:FILE`.
        save_every: frames; faces are saved and embedded where the frame's number is a multiple of it.
            Lower: more pictures and vectors a trajectory, more time.
        min_face_size: display pixels of a box's shorter side. Higher: fewer, better faces, less time.
        face_threshold: least score, 0 to 1; None: the detector's own. Higher: fewer false faces.
        images: whether pictures are saved.
    """

    detector: str = "retinaface"
    embedder: str = "facenet"
    save_every: int = 5
    min_face_size: int = 20
    face_threshold: float | None = None
    images: bool = True


@dataclass(frozen=True)
class TrackSettings:
    """What counts as the same face; the defaults suit 24 to 60 frames a second.

    Attributes:
        iou_threshold: intersection over union, 0..1, above which two boxes of neighbouring frames are one
            face at first sight. Higher: fast faces wait for a later round, which asks for steady motion
            and size; lower: more is linked over a cut that nobody noticed.
        max_gap: longest gap of missed frames inside a trajectory, in frames. Higher: fewer, longer
            trajectories, more of whose boxes are interpolated; lower: a face is split where it is missed.
        gate: largest squared distance between the two predictions in the middle of a gap, in units of
            its expected variance. Higher: sudden moves are followed; lower: trajectories split on them.
        jitter: standard deviation of a detected box about the true one, as a share of the face's size.
        acceleration: standard deviation of the change of velocity in one frame, in face sizes a frame.
        speed: standard deviation of the velocity of a face seen once, in face sizes a frame.
    """

    iou_threshold: float = 0.4
    max_gap: int = 10
    gate: float = 9.0
    jitter: float = 0.05
    acceleration: float = 0.02
    speed: float = 0.06

    def __post_init__(self) -> None:
        if not 0 < self.iou_threshold <= 1:
            raise InputError(f"the IoU threshold must lie in 0..1, not at {self.iou_threshold}")
        if self.max_gap < 0:
            raise InputError(f"the longest gap of a trajectory is a number of frames, not {self.max_gap}")


@dataclass(frozen=True)
class KeepSettings:
    """Which trajectories the merge keeps.

    Attributes:
        min_trajectory: frames; shorter trajectories are dropped. Higher: fewer false faces, and fewer
            glimpses of real ones.
        min_face_size: display pixels; a trajectory whose largest box has a shorter side below this is
            dropped.
    """

    min_trajectory: int = 5
    min_face_size: int = 20

    def __post_init__(self) -> None:
        if self.min_trajectory < 1:
            raise InputError(f"the shortest trajectory is a number of frames, not {self.min_trajectory}")
