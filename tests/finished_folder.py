"""A movie folder in which all stages have run, with trajectories, clusters and names given by a test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image

from facerec.folder.documents import Predictions, clusters_bytes, predictions_bytes, scene_changes_bytes
from facerec.folder.layout import MovieFolder
from facerec.folder.plan import Plan, write_plan
from facerec.folder.records import Trajectory, to_line

MOVIE = 7


def finished_folder(
    parent: Path,
    spans: list[tuple[int, int]],
    labels: list[int],
    names: Predictions,
    *,
    colours: list[tuple[int, int, int]] | None = None,
    plan: bool = True,
) -> MovieFolder:
    """Make a folder in which all stages have run.

    Args:
        spans: frames [beg, end) of each trajectory; their boxes lie side by side.
        labels: cluster of each trajectory.
        names: probabilities of actors by cluster.
        colours: RGB of each trajectory's thumbnails, which are saved every 5 frames; default gray.
        plan: write a plan of a film of 100 frames at 25 frames a second.
    """
    folder = MovieFolder(parent / f"{MOVIE}-data")
    folder.create()
    lines = []
    for i, (beg, end) in enumerate(spans):
        boxes = np.tile([60 * i, 10, 60 * i + 50, 70], (end - beg, 1))
        trajectory = Trajectory(i, MOVIE, beg, boxes, np.ones(end - beg, bool), 60 * len(spans), 360)
        lines.append(to_line(trajectory))
        for frame in range(beg, end):
            if frame % 5 == 0:
                tag = f"{MOVIE}:{frame}:{'_'.join(map(str, boxes[0]))}"
                colour = colours[i] if colours else (90, 90, 90)
                PIL.Image.new("RGB", (40, 50), colour).save(folder.thumbnail(tag), quality=95)
    folder.trajectories.write_bytes(b"".join(lines))
    folder.clusters.write_bytes(clusters_bytes(MOVIE, labels))
    folder.predictions.write_bytes(predictions_bytes(MOVIE, names))
    folder.scene_changes.write_bytes(scene_changes_bytes(MOVIE, [20, 50]))
    if plan:
        film = {"name": "7-Film.mp4"}
        write_plan(
            folder, Plan(MOVIE, film, {"frame_rate": "25"}, 100, 1, {}, {}, ()), Path("7-Film.mp4"), []
        )
    return folder
