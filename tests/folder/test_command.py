"""Arguments that commands on movie folders share, and their summary lines."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import pytest

from facerec.errors import InputError
from facerec.folder.command import (
    add_actor_db_argument,
    add_dry_run_argument,
    add_folder_argument,
    add_labels_argument,
    add_least_argument,
    add_path_argument,
    print_dry_run,
    run_on_folders,
)
from facerec.folder.documents import DISPLAY_THRESHOLD
from facerec.folder.layout import MovieFolder


@pytest.mark.parametrize(
    ("add", "words", "values"),
    [
        (add_path_argument, ["--path", "1-data", "2-data"], [[Path("1-data"), Path("2-data")]]),
        (add_folder_argument, ["--path", "1-data"], [Path("1-data")]),
        (lambda made: add_actor_db_argument(made, "x"), ["--actor-db", "a"], [Path("a")]),
        (lambda made: add_actor_db_argument(made, "x"), [], [Path("actor_db")]),
        (lambda made: add_least_argument(made, "x"), ["--least", "0.5"], [0.5]),
        (lambda made: add_least_argument(made, "x"), [], [DISPLAY_THRESHOLD]),
        (add_labels_argument, ["--labels", "a.csv"], [Path("a.csv")]),
        (add_dry_run_argument, ["--dry-run"], [True]),
        (add_dry_run_argument, [], [False]),
    ],
)
def test_shared_arguments(
    add: Callable[[argparse.ArgumentParser], None], words: list[str], values: list[object]
) -> None:
    made = argparse.ArgumentParser()
    add(made)
    assert list(vars(made.parse_args(words)).values()) == values


@pytest.mark.parametrize(
    ("add", "option"),
    [(add_path_argument, "--path"), (add_folder_argument, "--path"), (add_labels_argument, "--labels")],
)
def test_what_a_command_works_on_must_be_given(
    add: Callable[[argparse.ArgumentParser], None], option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made = argparse.ArgumentParser()
    add(made)
    with pytest.raises(SystemExit):
        made.parse_args([])
    assert f"required: {option}" in capsys.readouterr().err


def test_a_dry_run_says_that_it_found_no_fault(capsys: pytest.CaptureFixture[str]) -> None:
    assert print_dry_run() == 0
    assert capsys.readouterr().out == "dry run: the arguments are valid\n"


def test_a_folder_that_fails_does_not_keep_the_others_from_their_turn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [tmp_path / f"{movie}-data" for movie in (7, 8, 9)]
    MovieFolder(paths[0]).create()
    MovieFolder(paths[2]).create()
    assert run_on_folders(paths, lambda folder: folder.path.name) == 1
    printed = capsys.readouterr()
    assert printed.out == "movie 7: 7-data\nmovie 9: 9-data\n" and "8-data" in printed.err
    assert run_on_folders(paths, lambda folder: folder.path.name, may_be_missing=True) == 0
    assert capsys.readouterr().out == "movie 7: 7-data\nmovie 8: 8-data\nmovie 9: 9-data\n"

    def refuse(folder: MovieFolder) -> str:
        if folder.movie_id == 7:
            raise InputError("no")
        return "done"

    assert run_on_folders([paths[0], paths[2]], refuse) == 1
    assert capsys.readouterr().out == "movie 9: done\n"
