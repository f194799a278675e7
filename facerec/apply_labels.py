"""Put annotators' answers beside a movie's predictions: write people.json, which reports and exports prefer.

The labels are a CSV file in the labeling backend's export format, saved by the backend or by the report's
review: columns movie_id, cluster_id, cluster_status, label, tag, image_status and trajectory. Answers belong
to faces, so labels that were made before the film was clustered again are applied to the faces that are still
there. No other file of the movie folder changes.
"""

from __future__ import annotations

if not __package__:  # run as a script, see _script.py
    import _script  # noqa: F401

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from facerec.errors import InputError
from facerec.folder.command import (
    add_actor_db_argument,
    add_labels_argument,
    add_least_argument,
    add_path_argument,
    run_on_folders,
)
from facerec.support.cli import configure_logging, parser, run_main

if TYPE_CHECKING:
    from facerec.folder.layout import MovieFolder


def arguments() -> argparse.ArgumentParser:
    """Return the parser of this command's command line."""
    command_line = parser(__doc__)
    add_path_argument(command_line)
    add_labels_argument(command_line)
    add_actor_db_argument(
        command_line, "actor database, for names of actors that the folder's manifest does not have"
    )
    add_least_argument(
        command_line, "0 to 1; a prediction above it names the trajectories that annotators did not judge"
    )
    return command_line


def main(argv: Sequence[str] | None = None) -> int:
    args = arguments().parse_args(argv)
    configure_logging(args.verbose)
    if not 0 <= args.least <= 1:
        raise InputError(f"--least {args.least}: must be between 0 and 1")

    from facerec.actors.database import ActorDatabase
    from facerec.annotations.apply import apply_labels
    from facerec.annotations.export import has_movie

    database = ActorDatabase(args.actor_db)

    def apply(folder: MovieFolder) -> str:
        if len(args.path) > 1 and not has_movie(args.labels, folder.movie_id):
            return f"nobody annotated it ({args.labels} has no row of it): skipped"
        return apply_labels(folder, args.labels, database, args.least)

    return run_on_folders(args.path, apply)


if __name__ == "__main__":
    raise SystemExit(run_main(main))
