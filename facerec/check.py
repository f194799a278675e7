"""Check whether the labeling backend will accept movie folders, and whether their files fit together.

Prints one line for each folder to standard output; violations, as FILE:LINE: RULE, and warnings go to
standard error. The exit status is 0 if no rule is broken, even if there are warnings. No file is changed.
"""

from __future__ import annotations

if not __package__:  # run as a script, see _script.py
    import _script  # noqa: F401

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from facerec.support.cli import configure_logging, parser, run_main

if TYPE_CHECKING:
    from facerec.checks.inspect import Inspection

MAX_LISTED = 50  # listed violations per folder; for the rest only their number is printed


def arguments() -> argparse.ArgumentParser:
    """Return the parser of this command's command line."""
    command_line = parser(__doc__)
    command_line.add_argument(
        "path", type=Path, nargs="+", metavar="PATH", help="movie folders, <out>/<movie_id>-data"
    )
    command_line.add_argument(
        "--actor-db",
        type=Path,
        default=None,
        metavar="DIR",
        help="also check this actor database, and that it contains every actor id in the predictions",
    )
    return command_line


def main(argv: Sequence[str] | None = None) -> int:
    args = arguments().parse_args(argv)
    configure_logging(args.verbose)
    from facerec.checks.inspect import inspect_folder

    status = 0
    for path in args.path:
        inspection = inspect_folder(path, args.actor_db)
        violations = inspection.violations
        for error in violations.kept[:MAX_LISTED]:
            logging.error("%s", error)
        if violations.count > MAX_LISTED:
            logging.error("%s: %d more violations", path, violations.count - MAX_LISTED)
        for warning in inspection.warnings:
            logging.warning("%s", warning)
        print(verdict(inspection, args.actor_db is not None), flush=True)  # noqa: T201
        status |= bool(violations.count)
    return status


def verdict(inspection: Inspection, with_actor_db: bool) -> str:
    """Say in one line whether the labeling backend will accept the folder.

    Args:
        with_actor_db: the actor database was checked as well.
    """
    movie = str(inspection.path) if inspection.movie_id is None else f"movie {inspection.movie_id}"
    count, warnings = inspection.violations.count, inspection.warnings
    warned = f"; {_number(len(warnings), 'warning')}, the first: {warnings[0]}" if warnings else ""
    if not count:
        note = "" if with_actor_db else "; the actor database was not checked (check it with --actor-db DIR)"
        return f"{movie}: the labeling backend will accept it: {inspection.summary}{note}{warned}"
    violations = f"{_number(count, 'violation')}, the first: {inspection.first}{warned}"
    if inspection.backend_accepts:
        return f"{movie}: the labeling backend will accept it, but it has {violations}"
    return f"{movie}: the labeling backend will NOT accept it: {violations}"


def _number(count: int, noun: str) -> str:
    """Return a count with its noun."""
    return f"{count} {noun}{'s' * (count > 1)}"


if __name__ == "__main__":
    raise SystemExit(run_main(main))
