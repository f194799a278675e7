"""Check movie folders against the contract with the labeling backend, and against how they were made.

Prints one line a folder, which says whether the backend will take it; every deviation, as
FILE:LINE: rule, goes to standard error. Exit status 0 where there is none. Nothing is changed.
"""

from __future__ import annotations

if not __package__:  # run as a plain script, see there
    import _script  # noqa: F401

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from facerec.support.cli import configure_logging, parser, run_main

if TYPE_CHECKING:
    from facerec.checks.inspect import Inspection

SHOWN = 50  # deviations of a folder that are told one by one


def arguments() -> argparse.ArgumentParser:
    """The command line of this tool."""
    made = parser(__doc__)
    made.add_argument(
        "path", type=Path, nargs="+", metavar="PATH", help="movie folders, <out>/<movie_id>-data"
    )
    made.add_argument(
        "--actor-db",
        type=Path,
        default=None,
        metavar="DIR",
        help="also check this actor database, and that it has every id that the predictions name",
    )
    return made


def main(argv: Sequence[str] | None = None) -> int:
    args = arguments().parse_args(argv)
    configure_logging(args.verbose)
    from facerec.checks.inspect import inspect

    status = 0
    for path in args.path:
        seen = inspect(path, args.actor_db)
        for error in seen.deviations.kept[:SHOWN]:
            logging.error("%s", error)
        if seen.deviations.count > SHOWN:
            logging.error("%s: %d more deviations", path, seen.deviations.count - SHOWN)
        print(verdict(seen, args.actor_db is not None), flush=True)  # noqa: T201
        status |= bool(seen.deviations.count)
    return status


def verdict(seen: Inspection, with_database: bool) -> str:
    """Whether the labeling backend will take the folder, in one line; its tables, if they were looked at."""
    movie = str(seen.path) if seen.movie_id is None else f"movie {seen.movie_id}"
    if not seen.deviations.count:
        but = "" if with_database else "; the tables beside it were not checked: --actor-db DIR"
        return f"{movie}: the labeling backend will take it: {seen.summary}{but}"
    several = seen.deviations.count > 1
    count = f"{seen.deviations.count} deviation{'s' * several}, the first: {seen.first}"
    if seen.fit_for_backend:
        return f"{movie}: the labeling backend would take it, but there {'are' if several else 'is'} {count}"
    return f"{movie}: the backend will NOT take it: {count}"


if __name__ == "__main__":
    raise SystemExit(run_main(main))
