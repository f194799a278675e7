"""Hand finished movies over to annotators: folders with just what the labeling backend reads.

Copies (or links) trajectories.jsonl, clusters.json, predictions.json and images/ of each movie folder into
DIR/<movie_id>-data, whole or not at all, readable by everybody. A folder that the labeling backend would
refuse, or that breaks another rule, is not handed over. At the end, all of DIR is checked as the backend
reads it, as check.py --data does.
"""

from __future__ import annotations

if not __package__:  # run as a script, see _script.py
    import _script  # noqa: F401

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from facerec.folder.command import add_actor_db_argument, add_path_argument, run_on_folders
from facerec.support.cli import configure_logging, parser, progress, run_main

if TYPE_CHECKING:
    from facerec.folder.layout import MovieFolder


def arguments() -> argparse.ArgumentParser:
    """Return the parser of this command's command line."""
    command_line = parser(__doc__)
    add_path_argument(command_line)
    command_line.add_argument(
        "--to",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder that the labeling backend is given; created if it does not exist",
    )
    command_line.add_argument(
        "--films", type=Path, metavar="DIR", help="folder of the films that the labeling backend is given"
    )
    add_actor_db_argument(command_line, "actor database that the labeling backend is given")
    command_line.add_argument(
        "--link", action="store_true", help="hard links instead of copies, where the file system allows it"
    )
    command_line.add_argument(
        "--overwrite",
        action="store_true",
        help="replace folders with other clusters or trajectories; the old ones are kept in DIR/previous",
    )
    return command_line


def main(argv: Sequence[str] | None = None) -> int:
    args = arguments().parse_args(argv)
    configure_logging(args.verbose)
    from facerec.annotations.handover import hand_over
    from facerec.checks.data_root import folders_of_backend, inspect_root
    from facerec.checks.inspect import Inspection, inspect_folder
    from facerec.checks.verdict import list_violations, root_verdict
    from facerec.errors import StaleError

    def refuse_violations(inspection: Inspection) -> None:
        if inspection.first is not None:
            more = inspection.violations.count - 1
            raise StaleError(f"{inspection.first}{f' (and {more} more violations)' if more else ''}")

    def work(folder: MovieFolder) -> str:
        inspection = inspect_folder(folder.path, args.actor_db)
        refuse_violations(inspection)
        if not folder.trajectories.stat().st_size:
            raise StaleError(f"{folder.path}: the film has no face, so the backend cannot show its page")
        for warning in inspection.warnings:
            logging.warning("%s", warning)
        return hand_over(
            folder,
            args.to,
            lambda made: refuse_violations(inspect_folder(made.path)),
            link=args.link,
            overwrite=args.overwrite,
        )

    status = run_on_folders(args.path, work)
    if not args.to.is_dir():
        return status
    with progress("check", len(folders_of_backend(args.to)), "movies") as advance:
        root = inspect_root(args.to, args.films, args.actor_db, advance)
    list_violations(args.to, root.violations)
    print(root_verdict(root, args.films is not None, with_actor_db=True), flush=True)  # noqa: T201
    return status or int(bool(root.violations.count))


if __name__ == "__main__":
    raise SystemExit(run_main(main))
