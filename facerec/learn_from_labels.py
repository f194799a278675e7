"""Add faces that annotators confirmed to the actor database, to name later films of the same cast better.

The labels are the export of the labeling backend, a CSV file with the columns movie_id, cluster_id,
cluster_status, label, tag, image_status and trajectory; or boxes that were corrected in CVAT. Faces marked
`same` in a labeled cluster are confirmed. The best of them become pictures of their actor, in actor_images/
and the tables, and are recorded in actor_origins.csv. Faces marked `different` or `invalid` are never
added, and no face of a trajectory that shows two people. Running the command again does not add a face
twice.
"""

from __future__ import annotations

if not __package__:  # run as a script, see _script.py
    import _script  # noqa: F401

import argparse
from collections.abc import Sequence

from facerec.folder.command import (
    add_actor_db_argument,
    add_labels_argument,
    add_path_argument,
    run_on_folders,
)
from facerec.settings import LearnSettings
from facerec.support.cli import configure_logging, parser, run_main


def arguments() -> argparse.ArgumentParser:
    """Return the parser of this command's command line."""
    command_line = parser(__doc__)
    add_path_argument(command_line)
    add_labels_argument(command_line)
    add_actor_db_argument(command_line, "actor database to which the faces are added")
    command_line.add_argument(
        "--per-actor",
        type=int,
        default=LearnSettings.per_actor,
        metavar="FACES",
        help="maximum number of faces to add per actor and movie",
    )
    return command_line


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
