"""Check whether the labeling backend will accept movie folders, and whether their files fit together.

Prints one line for each folder to standard output, or one for all with --data; violations, as
FILE:LINE: RULE, and warnings go to standard error. The exit status is 0 if no rule is broken, even if there
are warnings. No file is changed.
"""

from __future__ import annotations

if not __package__:  # run as a script, see _script.py
    import _script  # noqa: F401

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from facerec.errors import InputError
from facerec.support.cli import configure_logging, parser, progress, run_main

if TYPE_CHECKING:
    from facerec.checks.data_root import RootInspection
    from facerec.checks.inspect import Inspection
    from facerec.checks.violations import Violations

MAX_LISTED = 50  # listed violations per folder; for the rest only their number is printed


def arguments() -> argparse.ArgumentParser:
    """Return the parser of this command's command line."""
    command_line = parser(__doc__)
    command_line.add_argument(
        "path", type=Path, nargs="*", metavar="PATH", help="movie folders, <out>/<movie_id>-data"
    )
    command_line.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="instead of PATH: check the folder that the labeling backend is given, with all in it that ends "
        "in -data; prints one verdict",
    )
    command_line.add_argument(
        "--films", type=Path, metavar="DIR", help="with --data: also check the folder of the films"
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

    if bool(args.path) == (args.data is not None):
        raise InputError("give movie folders, or the folder that holds them with --data")
    if args.films is not None and args.data is None:
        raise InputError("--films: is compared with all movies; give their folder with --data")
    if args.data is not None:
        from facerec.checks.data_root import folders_of_backend, inspect_root

        total = len(folders_of_backend(args.data)) if args.data.is_dir() else 0
        with progress("check", total, "movies") as advance:
            root = inspect_root(args.data, args.films, args.actor_db, advance)
        list_violations(args.data, root.violations)
        print(root_verdict(root, args.films is not None, args.actor_db is not None), flush=True)  # noqa: T201
        return int(bool(root.violations.count))
    status = 0
    for path in args.path:
        inspection = inspect_folder(path, args.actor_db)
        violations = inspection.violations
        list_violations(path, violations)
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


def list_violations(path: Path, violations: Violations) -> None:
    """Log the violations of a folder, each on a line, and its warnings."""
    for error in violations.kept[:MAX_LISTED]:
        logging.error("%s", error)
    if violations.count > MAX_LISTED:
        logging.error("%s: %d more violations", path, violations.count - MAX_LISTED)
    for warning in violations.warnings:
        logging.warning("%s", warning)


def root_verdict(root: RootInspection, with_films: bool, with_actor_db: bool) -> str:
    """Say in one line whether the labeling backend will start with a data root.

    Args:
        with_films, with_actor_db: the folder of films, the actor database was checked as well.
    """
    violations = root.violations
    given = (("the films", "--films", with_films), ("the actor database", "--actor-db", with_actor_db))
    missing = [f"{what} ({option} DIR)" for what, option, checked in given if not checked]
    note = f"; not checked: {' and '.join(missing)}" if missing else ""
    if violations.warnings:
        note += f"; {_number(len(violations.warnings), 'warning')}, the first: {violations.warnings[0]}"
    movies = _number(root.movies, "movie")
    if not violations.count:
        return f"{root.path}: the labeling backend will accept it: {movies}{note}"
    found = f"{_number(violations.count, 'violation')}, the first: {violations.kept[0]}{note}"
    if violations.fatal_count:
        return f"{root.path}: the labeling backend will NOT accept it, and starts for no movie: {found}"
    return f"{root.path}: the labeling backend will accept it: {movies}, but there are {found}"


def _number(count: int, noun: str) -> str:
    """Return a count with its noun."""
    return f"{count} {noun}{'s' * (count > 1)}"


if __name__ == "__main__":
    raise SystemExit(run_main(main))
