"""Score a movie folder against ground truth: trajectories, clusters, names and clicks, as JSON.

Ground truth is a CSV file, either a table of boxes (columns frame, track, x, y, w, h, identity) or the
export of the labeling backend (columns movie_id, cluster_id, cluster_status, label, tag, image_status,
trajectory); or boxes that were corrected in CVAT ("CVAT for video 1.1" as `export.py --format cvat` writes
it).
"""

from __future__ import annotations

if not __package__:  # run as a script, see _script.py
    import _script  # noqa: F401

import argparse
from collections.abc import Sequence
from pathlib import Path

from facerec.folder.command import add_actor_db_argument, add_folder_argument
from facerec.support.cli import configure_logging, parser, run_main


def arguments() -> argparse.ArgumentParser:
    """Return the parser of this command's command line."""
    command_line = parser(__doc__)
    add_folder_argument(command_line)
    command_line.add_argument(
        "--truth",
        type=Path,
        required=True,
        metavar="FILE",
        help="ground truth: table of boxes, file of CVAT, labels.csv of the review, or the backend's export",
    )
    add_actor_db_argument(
        command_line, "actor database, for names of actors that the folder's manifest does not have"
    )
    command_line.add_argument(
        "--min-trajectory",
        type=int,
        default=1,
        metavar="FRAMES",
        help="score only trajectories of at least this many frames",
    )
    command_line.add_argument(
        "--out", type=Path, default=None, metavar="FILE", help="also write the JSON to this file"
    )
    return command_line


def main(argv: Sequence[str] | None = None) -> int:
    args = arguments().parse_args(argv)
    configure_logging(args.verbose)

    from facerec.annotations.truth import evaluate_folder
    from facerec.folder.layout import MovieFolder
    from facerec.support.atomic import write_bytes

    report = evaluate_folder(MovieFolder.existing(args.path), args.truth, args.actor_db, args.min_trajectory)
    if args.out:
        write_bytes(args.out, report)
    print(report.decode(), end="")  # noqa: T201
    return 0


if __name__ == "__main__":
    raise SystemExit(run_main(main))
