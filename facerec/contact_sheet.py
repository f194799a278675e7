"""Draw a movie's clusters as one picture: their faces, their names, and when each is on screen.

A cluster's faces are its thumbnails, the first and the last of each trajectory. Its name is shown if
its probability is above 0.40, as it is to annotators.
"""

from __future__ import annotations

if not __package__:  # run as a script, see _script.py
    import _script  # noqa: F401

import argparse
from collections.abc import Sequence
from pathlib import Path

from facerec.errors import InputError
from facerec.folder.command import add_actor_db_argument, add_folder_argument
from facerec.support.cli import configure_logging, parser, run_main

MAX_CLUSTERS = 40  # drawn by default; a film has hundreds


def arguments() -> argparse.ArgumentParser:
    """Return the parser of this command's command line."""
    command_line = parser(__doc__)
    add_folder_argument(command_line)
    command_line.add_argument(
        "--out",
        type=Path,
        metavar="FILE.png",
        help="file to write (default: contact_sheet.png in the movie folder)",
    )
    add_actor_db_argument(
        command_line, "actor database, for names of actors that the folder's manifest does not have"
    )
    command_line.add_argument(
        "--clusters",
        type=int,
        default=MAX_CLUSTERS,
        metavar="N",
        help="maximum number of clusters to draw, in the order of their ids",
    )
    return command_line


def main(argv: Sequence[str] | None = None) -> int:
    args = arguments().parse_args(argv)
    configure_logging(args.verbose)
    if args.clusters < 1:
        raise InputError(f"--clusters {args.clusters}: must be at least 1")
    from facerec.actors.cast import cast_names
    from facerec.actors.database import ActorDatabase
    from facerec.folder.layout import MovieFolder
    from facerec.reporting.contact_sheet import draw_contact_sheet
    from facerec.support.atomic import atomic_write

    folder = MovieFolder.existing(args.path)
    database = ActorDatabase(args.actor_db)
    sheet = draw_contact_sheet(folder, cast_names(folder, database), args.clusters, database.unnamed())
    out = args.out or folder.contact_sheet
    with atomic_write(out) as file:
        sheet.save(file, format="PNG")
    print(f"movie {folder.movie_id}: {out}")  # noqa: T201
    return 0


if __name__ == "__main__":
    raise SystemExit(run_main(main))
