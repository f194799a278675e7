"""What the commands that work on movie folders share: `--path` and one summary line a folder."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from facerec.errors import EXIT_RERUN
from facerec.support.cli import EXIT_CTRL_C, run_main

if TYPE_CHECKING:
    from facerec.folder.layout import MovieFolder


def add_path_argument(made: argparse.ArgumentParser) -> None:
    """Add `--path`, which takes several movie folders."""
    made.add_argument(
        "--path",
        type=Path,
        nargs="+",
        required=True,
        metavar="DIR",
        help="movie folders, <out>/<movie_id>-data",
    )


def run_on_folders(paths: Sequence[Path], work: Callable[[MovieFolder], str]) -> int:
    """Do one stage's work in each folder and print its summary line; a bad folder stops no other.

    Returns:
        0, or the exit status of the last folder that failed.
    """
    from facerec.folder.layout import MovieFolder

    status = 0
    for path in paths:

        def one(_: Sequence[str] | None, path: Path = path) -> int:
            folder = MovieFolder.existing(path)
            print(f"movie {folder.movie_id}: {work(folder)}", flush=True)  # noqa: T201
            return 0

        failed = run_main(one)
        if failed in (EXIT_RERUN, EXIT_CTRL_C):
            return failed
        status = failed or status
    return status
