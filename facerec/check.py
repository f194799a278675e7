"""Check whether the labeling backend will accept movie folders, and whether their files fit together.

Prints one line for each folder to standard output, or one for all with --data; violations, as
FILE:LINE: RULE, and warnings go to standard error. The exit status is 0 if no rule is broken, even if there
are warnings. No file is changed.
"""

from __future__ import annotations

if not __package__:  # run as a script, see _script.py
    import _script  # noqa: F401

import argparse
from collections.abc import Sequence
from pathlib import Path

from facerec.errors import InputError
from facerec.support.cli import configure_logging, parser, progress, run_main


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
    from facerec.checks.verdict import list_violations, root_verdict, verdict

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


if __name__ == "__main__":
    raise SystemExit(run_main(main))
