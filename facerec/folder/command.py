"""Shared code of commands that work on movie folders: their arguments, and one summary line per folder."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from facerec.errors import EXIT_RERUN
from facerec.folder.names import existing_path
from facerec.settings import ExtractSettings
from facerec.support.cli import EXIT_CTRL_C, run_main

if TYPE_CHECKING:
    from facerec.folder.layout import MovieFolder


def given_path(text: str) -> Path:
    """Return a path as it is on disk, where names are often decomposed, while users type them composed."""
    return existing_path(Path(text))


def add_path_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--path`, which takes one or more movie folders."""
    parser.add_argument(
        "--path",
        type=given_path,
        nargs="+",
        required=True,
        metavar="DIR",
        help="movie folders, <out>/<movie_id>-data",
    )


def add_folder_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--path`, which takes one movie folder."""
    parser.add_argument(
        "--path", type=given_path, required=True, metavar="DIR", help="movie folder, <out>/<movie_id>-data"
    )


def add_actor_db_argument(parser: argparse.ArgumentParser, help: str) -> None:
    """Add `--actor-db`, the folder of the actor database; `help` says what the command takes from it."""
    parser.add_argument("--actor-db", type=given_path, default=Path("actor_db"), metavar="DIR", help=help)


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--detector`, `--embedder` and `--models`; `models.packs.choose_models` sets what is not given."""
    file = "FILE: its weights file"
    default = ExtractSettings()
    parser.add_argument(
        "--detector",
        metavar="NAME[:FILE]",
        help=f"retinaface, mtcnn, yunet or scrfd; {file} (default: {default.detector})",
    )
    parser.add_argument(
        "--embedder",
        metavar="NAME[:FILE]",
        help=f"facenet, dlib or arcface; {file} (default: {default.embedder})",
    )
    parser.add_argument(
        "--models",
        metavar="PACK",
        help="detector and embedder of a pack of insightface: buffalo_l, buffalo_m, buffalo_s, buffalo_sc or "
        "antelopev2, or its folder; research use only",
    )


def add_dry_run_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--dry-run`, with which the launcher tries the arguments before it starts anything."""
    parser.add_argument(
        "--dry-run", action="store_true", help="check the arguments, run nothing and change no file"
    )


def print_dry_run() -> int:
    """Say that a dry run found no fault; returns exit status 0."""
    print("dry run: the arguments are valid")  # noqa: T201
    return 0


def add_labels_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--labels`, the file of annotators' labels."""
    parser.add_argument(
        "--labels",
        type=given_path,
        required=True,
        metavar="FILE",
        help="annotators' labels: labels.csv of the review, the labeling backend's export, or a corrected "
        "file of CVAT",
    )


def add_least_argument(parser: argparse.ArgumentParser, help: str) -> None:
    """Add `--least`, the probability above which a prediction counts; `help` says what for."""
    default = 0.40  # as `folder.documents.DISPLAY_THRESHOLD`, which is slow to import
    parser.add_argument("--least", type=float, default=default, metavar="P", help=help)


def run_on_folders(
    paths: Sequence[Path], work: Callable[[MovieFolder], str], *, may_be_missing: bool = False
) -> int:
    """Call `work` for each folder and print the summary that it returns.

    A folder that fails is reported and the next one is processed; only a signal ends the loop.

    Args:
        may_be_missing: the folders need not exist yet.

    Returns:
        0, or the exit status of the last folder that failed.
    """
    from facerec.folder.layout import MovieFolder

    status = 0
    for path in paths:

        def process(_: Sequence[str] | None, path: Path = path) -> int:
            folder = MovieFolder(path) if may_be_missing else MovieFolder.existing(path)
            print(f"movie {folder.movie_id}: {work(folder)}", flush=True)  # noqa: T201
            return 0

        failure = run_main(process)
        if failure in (EXIT_RERUN, EXIT_CTRL_C):
            return failure
        status = failure or status
    return status
