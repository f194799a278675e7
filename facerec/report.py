"""Make a page that shows a finished movie: who is on screen, when, with whom, and how sure that is.

Writes report.html into each movie folder. It opens from the file system in any browser and loads nothing
from a network. Beside two or more reports, index.html in the folder above says who appears in which film.
"""

from __future__ import annotations

if not __package__:  # run as a script, see _script.py
    import _script  # noqa: F401

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from facerec.errors import InputError
from facerec.folder.command import (
    add_actor_db_argument,
    add_dry_run_argument,
    add_least_argument,
    add_path_argument,
    print_dry_run,
    run_on_folders,
)
from facerec.support.cli import configure_logging, parser, run_main

if TYPE_CHECKING:
    from facerec.folder.layout import MovieFolder


def arguments() -> argparse.ArgumentParser:
    """Return the parser of this command's command line."""
    command_line = parser(__doc__)
    add_path_argument(command_line)
    add_actor_db_argument(command_line, "actor database, for titles and for names that the manifest lacks")
    command_line.add_argument(
        "--labels",
        type=Path,
        metavar="FILE.csv",
        help="annotators' labels: labels.csv of the review, or the labeling backend's export (default: "
        "people.json in the folder)",
    )
    add_least_argument(command_line, "show predicted names with a probability above P, 0 to 1")
    command_line.add_argument(
        "--standalone",
        action="store_true",
        help="write report-standalone.html instead: one file to be mailed, with the best pictures of each "
        "person inside (6 MB, more if a film has thousands of people)",
    )
    add_dry_run_argument(command_line)
    command_line.add_argument(
        "--review",
        action="store_true",
        help="print the address at which the report opens with the review: it asks who is who, one question "
        "after the other, and saves labels.csv",
    )
    return command_line


def main(argv: Sequence[str] | None = None) -> int:
    args = arguments().parse_args(argv)
    configure_logging(args.verbose)
    if not 0 <= args.least <= 1:
        raise InputError(f"--least {args.least}: must be a probability, 0 to 1")
    if args.labels is not None and not args.labels.is_file():
        raise InputError(f"--labels {args.labels}: no such file")
    if args.dry_run:
        return print_dry_run()
    if args.review and args.standalone:
        raise InputError(
            "--review needs the thumbnails in images/, which a page of --standalone does not show"
        )
    from facerec.movies.movie import open_movie
    from facerec.reporting.index_page import reports, write_index
    from facerec.reporting.report_page import report_page
    from facerec.support.atomic import write_bytes

    parents = [path.absolute().parent for path in args.path]

    def report(folder: MovieFolder) -> str:
        movie = open_movie(folder.path, actor_db=args.actor_db, labels=args.labels, least=args.least)
        if args.review and not any(folder.images.glob("*.jpeg")):
            raise InputError(f"{folder.images}: no thumbnails to review; extract without --no-images")
        page = folder.standalone_report if args.standalone else folder.report
        others = parents.count(folder.path.parent) > 1 or reports(folder.path.parent) - {folder.report}
        index = folder.index if others else None
        write_bytes(page, report_page(movie, page, standalone=args.standalone, index=index))
        return f"{page.as_uri()}#review" if args.review else str(page)

    status = run_on_folders(args.path, report)
    if not args.standalone:
        for parent in dict.fromkeys(parents):
            if page := write_index(parent):
                print(f"all films: {page}")  # noqa: T201
    return status


if __name__ == "__main__":
    raise SystemExit(run_main(main))
