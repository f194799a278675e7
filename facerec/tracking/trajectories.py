"""Tracks of detections as the contract's trajectories: a whole box a frame, none of them twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from facerec.folder.records import Trajectory
from facerec.settings import TrackSettings
from facerec.tracking.tracker import Track, interpolate, track


def track_every(
    every: int,
    frames: NDArray[np.int64],
    boxes: NDArray[np.int64],
    cuts: Sequence[int],
    settings: TrackSettings | None = None,
) -> list[Track]:
    """As `track`, of a film of which only frames that are multiples of `every` were looked at.

    To the tracker those are the film's consecutive frames: what was never looked for is no gap. A cut
    between two of them lies before the second.
    """
    settings = settings or TrackSettings()
    seen = replace(settings, max_gap=settings.max_gap // every)
    tracks = track(frames // every, boxes, [-(-cut // every) for cut in cuts], seen)
    return [replace(one, frames=one.frames * every) for one in tracks]


def to_trajectories(tracks: Sequence[Track], movie_id: int, width: int, height: int) -> list[Trajectory]:
    """Number the tracks in their order, fill their gaps, and keep every (frame, box) unique.

    Args:
        tracks: of boxes that are unique in their frame, inside `width` x `height` pixels.
    """
    filled = []
    for index, one in enumerate(tracks):
        start, boxes, detected = interpolate(one)
        whole = np.rint(boxes).astype(np.int64)
        whole[:, 2:] = np.maximum(whole[:, 2:], whole[:, :2] + 1)  # two ends may round to one pixel
        filled.append(Trajectory(index, movie_id, start, whole, detected, width, height))
    _make_unique(filled)
    return filled


def _make_unique(trajectories: Sequence[Trajectory]) -> None:
    """Move interpolated boxes that coincide with another trajectory's by as little as will do.

    Annotations are addressed by frame and box; a detected box also names a picture and never moves.
    """
    if not trajectories:
        return
    frames = np.concatenate([np.arange(t.start, t.end) for t in trajectories])
    boxes = np.concatenate([t.boxes for t in trajectories])
    detected = np.concatenate([t.detected for t in trajectories])
    owners = np.concatenate([np.full(len(t.boxes), t.index) for t in trajectories])
    order = np.lexsort((owners, ~detected, *boxes.T[::-1], frames))
    same = (frames[order[1:]] == frames[order[:-1]]) & (boxes[order[1:]] == boxes[order[:-1]]).all(1)
    for row in order[1:][same].tolist():
        frame, trajectory = int(frames[row]), trajectories[owners[row]]
        others = {tuple(box) for box in _boxes_at(trajectories, frames, owners, frame).tolist()}
        trajectory.boxes[frame - trajectory.start] = _nearest_free(
            boxes[row], others, trajectory.w, trajectory.h
        )


def _boxes_at(
    trajectories: Sequence[Trajectory], frames: NDArray[np.int64], owners: NDArray[np.int64], frame: int
) -> NDArray[np.int64]:
    here = (trajectories[owner] for owner in owners[frames == frame])
    return np.array([t.boxes[frame - t.start] for t in here])


def _nearest_free(
    box: NDArray[np.int64], taken: set[tuple[int, ...]], width: int, height: int
) -> tuple[int, int, int, int]:
    """`box` with one edge moved by as little as makes it nobody's; right and lower edge first."""
    for step in range(1, max(width, height) + 1):
        for edge in (2, 3, 0, 1):
            for by in (step, -step):
                x1, y1, x2, y2 = (old + by * (i == edge) for i, old in enumerate(box.tolist()))
                inside = 0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height
                if inside and (x1, y1, x2, y2) not in taken:
                    return x1, y1, x2, y2
    raise AssertionError(f"no free box beside {box}")  # as many trajectories as pixels in one frame
