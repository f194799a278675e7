"""Stage 2: merge a film's shards into its trajectories, features and scene changes.

Requires that all shards of the plan are done, so that every frame was processed once. Cuts and trajectories
are decided over the whole film, so that the results do not depend on the number of shards. Writes to images/
the thumbnails that annotators see: the best two saved faces of each trajectory that are far apart in time.
"""

from __future__ import annotations

if not __package__:  # run as a script, see _script.py
    import _script  # noqa: F401

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from facerec.folder.command import add_dry_run_argument, add_path_argument, print_dry_run, run_on_folders
from facerec.settings import SHOT_METHODS, KeepSettings, ShotSettings, TrackSettings
from facerec.support.cli import configure_logging, parser, run_main

if TYPE_CHECKING:
    from facerec.folder.layout import MovieFolder


def arguments() -> argparse.ArgumentParser:
    """Return the parser of this stage's command line."""
    command_line = parser(__doc__)
    t, k, s = TrackSettings, KeepSettings, ShotSettings
    add_path_argument(command_line)
    command_line.add_argument(
        "--iou-threshold",
        type=float,
        default=t.iou_threshold,
        metavar="IOU",
        help="minimum overlap (intersection over union, 0 to 1) at which boxes of consecutive frames are "
        "linked in the first step",
    )
    command_line.add_argument(
        "--max-gap",
        type=int,
        default=t.max_gap,
        metavar="FRAMES",
        help="maximum number of consecutive frames without a detection inside a trajectory",
    )
    command_line.add_argument(
        "--min-trajectory",
        type=int,
        default=k.min_trajectory,
        metavar="FRAMES",
        help="drop trajectories that are shorter than this",
    )
    command_line.add_argument(
        "--min-face-size",
        type=int,
        default=k.min_face_size,
        metavar="PIXELS",
        help="drop trajectories in which every box is smaller than this (shorter side, in display pixels)",
    )
    command_line.add_argument(
        "--shots",
        choices=SHOT_METHODS,
        default=s.shots,
        help="find transitions between shots by a rule, by the network TransNetV2, or by the network "
        "where the rule is in doubt",
    )
    command_line.add_argument(
        "--adaptive-ratio",
        type=float,
        default=s.adaptive_ratio,
        metavar="RATIO",
        help="minimum ratio of the change at a hard cut to that around it; lower finds more cuts",
    )
    command_line.add_argument(
        "--min-shot",
        type=int,
        default=s.min_shot,
        metavar="FRAMES",
        help="of hard cuts that are closer than this only the largest counts",
    )
    command_line.add_argument(
        "--allow-missing",
        action="store_true",
        help="merge even if shards are missing, and record the missing frames in the manifest",
    )
    command_line.add_argument(
        "--overwrite",
        action="store_true",
        help="replace published results; the old ones are kept in previous/",
    )
    command_line.add_argument(
        "--faces",
        type=Path,
        metavar="DIR",
        help="also export all saved faces of the trajectories, for training, as "
        "DIR/<movie_id>/<trajectory>/<tag>.jpeg; existing files are never replaced",
    )
    add_dry_run_argument(command_line)
    return command_line


def main(argv: Sequence[str] | None = None) -> int:
    args = arguments().parse_args(argv)
    configure_logging(args.verbose)
    tracking = TrackSettings(iou_threshold=args.iou_threshold, max_gap=args.max_gap)
    keeping = KeepSettings(args.min_trajectory, args.min_face_size)
    shots = ShotSettings(args.shots, args.adaptive_ratio, min_shot=args.min_shot)
    if args.dry_run:
        return print_dry_run()

    def work(folder: MovieFolder) -> str:
        from facerec.merging.merge import merge

        return merge(
            folder,
            tracking,
            keeping,
            shots,
            allow_missing=args.allow_missing,
            overwrite=args.overwrite,
            faces_to=args.faces,
        )

    return run_on_folders(args.path, work)


if __name__ == "__main__":
    raise SystemExit(run_main(main))
