"""Turns tracks into the contract's trajectories: one whole-pixel box per frame, each unique in its frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from facerec.folder.records import Trajectory
from facerec.geometry import Box
from facerec.settings import TrackSettings
from facerec.tracking.tracker import Track, interpolate, track


def track_sampled_frames(
    detect_every: int,
    frames: NDArray[np.int64],
    boxes: NDArray[np.int64],
    cuts: Sequence[int],
    settings: TrackSettings | None = None,
) -> list[Track]:
    """Link the detections of a film with detection only in multiples of `detect_every`.

    These frames are consecutive frames to the tracker, so that the frames between them are no gaps. A cut
    between two of them lies before the second.

    Args:
        frames: (n,) frame of each detection, multiples of `detect_every`.
        boxes: (n, 4) x1, y1, x2, y2 in pixels.
        cuts: the first frame of each new shot.
        settings: as for `track`; `max_gap` counts frames of the film.
    """
    settings = settings or TrackSettings()
    sampled = replace(settings, max_gap=settings.max_gap // detect_every)
    tracks = track(frames // detect_every, boxes, [-(-cut // detect_every) for cut in cuts], sampled)
    return [replace(one, frames=one.frames * detect_every) for one in tracks]


def to_trajectories(tracks: Sequence[Track], movie_id: int, width: int, height: int) -> list[Trajectory]:
    """Number the tracks in their order, interpolate their gaps, and make every (frame, box) unique.

    Args:
        tracks: of boxes x1, y1, x2, y2 inside `width` x `height` pixels, each unique in its frame.
    """
    trajectories = []
    for index, one in enumerate(tracks):
        start, boxes, detected = interpolate(one)
        whole = np.rint(boxes).astype(np.int64)
        whole[:, 2:] = np.maximum(whole[:, 2:], whole[:, :2] + 1)  # opposite edges may round to one pixel
        trajectories.append(Trajectory(index, movie_id, start, whole, detected, width, height))
    _make_boxes_unique(trajectories)
    return trajectories


def _make_boxes_unique(trajectories: Sequence[Trajectory]) -> None:
    """Move interpolated boxes that equal a box of another trajectory, by as few pixels as possible.

    Annotations refer to a face by its frame and box. Detected boxes never move: thumbnails are named by them.
    """
    if not trajectories:
        return
    frames = np.concatenate([np.arange(t.start, t.end) for t in trajectories])
    boxes = np.concatenate([t.boxes for t in trajectories])
    detected = np.concatenate([t.detected for t in trajectories])
    owners = np.concatenate([np.full(len(t.boxes), t.index) for t in trajectories])
    order = np.lexsort((owners, ~detected, *boxes.T[::-1], frames))
    equal = (frames[order[1:]] == frames[order[:-1]]) & (boxes[order[1:]] == boxes[order[:-1]]).all(1)
    for row in order[1:][equal].tolist():
        frame, trajectory = int(frames[row]), trajectories[owners[row]]
        taken = {tuple(box) for box in _boxes_at(trajectories, frames, owners, frame).tolist()}
        trajectory.boxes[frame - trajectory.start] = _nearest_free_box(
            boxes[row], taken, trajectory.w, trajectory.h
        )


def _boxes_at(
    trajectories: Sequence[Trajectory], frames: NDArray[np.int64], owners: NDArray[np.int64], frame: int
) -> NDArray[np.int64]:
    """(m, 4) the boxes of all trajectories in one frame, some of which may have moved already."""
    present = (trajectories[owner] for owner in owners[frames == frame])
    return np.array([t.boxes[frame - t.start] for t in present])


def _nearest_free_box(box: NDArray[np.int64], taken: set[tuple[int, ...]], width: int, height: int) -> Box:
    """Move one edge of `box` by the fewest pixels that make it differ from `taken`; right and lower first."""
    for step in range(1, max(width, height) + 1):
        for edge in (2, 3, 0, 1):
            for by in (step, -step):
                x1, y1, x2, y2 = (old + by * (i == edge) for i, old in enumerate(box.tolist()))
                inside = 0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height
                if inside and (x1, y1, x2, y2) not in taken:
                    return x1, y1, x2, y2
    raise AssertionError(f"no free box beside {box}")  # needs about as many faces in a frame as pixels
