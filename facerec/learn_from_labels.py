"""Add the faces that annotators confirmed to the actor database, so that the next film is better named.

LABELS is the labeling backend's export (a CSV with the columns movie_id, cluster_id, cluster_status,
label, tag, image_status, trajectory). Of the pictures marked `same` in labeled clusters the best become
pictures of their actor: in actor_images/ and its tables, with their origin in actor_origins.csv.
Pictures marked `different` or `invalid` are kept out for good. Run again, nothing is learnt twice.
"""

from __future__ import annotations

if not __package__:  # run as a plain script, see there
    import _script  # noqa: F401

import argparse
from collections.abc import Sequence
from pathlib import Path

from facerec.folder.command import add_path_argument, run_on_folders
from facerec.settings import LearnSettings
from facerec.support.cli import configure_logging, parser, run_main


def arguments() -> argparse.ArgumentParser:
    """The command line of this tool."""
    made = parser(__doc__)
    add_path_argument(made)
    made.add_argument("--labels", type=Path, required=True, metavar="FILE", help="the backend's export")
    made.add_argument(
        "--actor-db", type=Path, default=Path("actor_db"), metavar="DIR", help="the actor database"
    )
    made.add_argument(
        "--per-actor",
        type=int,
        default=LearnSettings.per_actor,
        metavar="FACES",
        help="of one movie, so many faces of each actor at most",
    )
    return made


def main(argv: Sequence[str] | None = None) -> int:
    args = arguments().parse_args(argv)
    configure_logging(args.verbose)
    settings = LearnSettings(args.per_actor)

    from facerec.actors.database import ActorDatabase
    from facerec.annotations.learning import learn_folder

    database = ActorDatabase(args.actor_db)
    return run_on_folders(args.path, lambda folder: learn_folder(folder, args.labels, database, settings))


if __name__ == "__main__":
    raise SystemExit(run_main(main))
