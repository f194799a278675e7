"""Score a movie folder against truth: trajectories, clusters, names, and the annotator's clicks.

TRUTH is a table of boxes (`frame,track,x,y,w,h,…,identity`) or the labeling backend's own export (with
the columns movie_id, cluster_id, cluster_status, label, tag, image_status, trajectory). Prints JSON.
"""

from __future__ import annotations

if not __package__:  # run as a plain script, see there
    import _script  # noqa: F401

import argparse
from collections.abc import Sequence
from pathlib import Path

from facerec.support.cli import configure_logging, parser, run_main


def arguments() -> argparse.ArgumentParser:
    """The command line of this tool."""
    made = parser(__doc__)
    made.add_argument(
        "--path", type=Path, required=True, metavar="DIR", help="movie folder, <out>/<movie_id>-data"
    )
    made.add_argument(
        "--truth", type=Path, required=True, metavar="FILE", help="table of boxes, or the backend's export"
    )
    made.add_argument(
        "--actor-db",
        type=Path,
        default=Path("actor_db"),
        metavar="DIR",
        help="where actor ids have their names, beside the manifest's cast",
    )
    made.add_argument(
        "--min-trajectory",
        type=int,
        default=1,
        metavar="FRAMES",
        help="score only trajectories of at least this length",
    )
    made.add_argument("--out", type=Path, default=None, metavar="FILE", help="also write the JSON here")
    return made


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
