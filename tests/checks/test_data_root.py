"""A data root as the labeling backend sees it: what stops it for all movies is named."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from facerec.check import main
from facerec.folder.layout import MovieFolder
from tests.folders import FILM, MOVIE


@pytest.fixture
def films(folder: MovieFolder, tmp_path: Path) -> Path:
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / FILM).write_bytes(b"film")
    return tmp_path / "films"


def check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    words = ["--data", str(tmp_path), "--films", str(tmp_path / "films")]
    status = main([*words, "--actor-db", str(tmp_path / "actor_db")])
    printed = capsys.readouterr()
    assert printed.out.count("\n") == 1  # one verdict for the whole
    return status, printed.out, printed.err


def add(path: Path) -> None:
    path.write_bytes(b"other")


FATAL: dict[str, tuple[Callable[[Path], object], str]] = {
    "a foreign folder": (lambda at: (at / "backup-data").mkdir(), "backup-data: not the folder of a movie"),
    "a file that is named as a folder": (lambda at: add(at / "9-data"), "9-data: not the folder of a movie"),
    "an unfinished second folder of a movie": (
        lambda at: (at / "7-old-data").mkdir(),
        "7-old-data: the labeling backend reads it as movie 7, as 7-data",
    ),
    "an unfinished folder": (
        lambda at: (at / "8-data").mkdir(),
        "8-data/trajectories.jsonl: this file must exist",
    ),
    "a proxy beside the film": (
        lambda at: add(at / "films" / "7-proxy.mp4"),
        f"7-proxy.mp4: the labeling backend takes this file as the film of movie 7, and not {FILM!r}",
    ),
    "subtitles beside the film": (
        lambda at: add(at / "films" / "7-Film.srt"),
        "7-Film.srt: the labeling backend takes this file as the film of movie 7",
    ),
    "a renamed film": (
        lambda at: (at / "films" / FILM).rename(at / "films" / "7-Renamed.mp4"),
        "aspect_ratios.csv: no row for the film '7-Renamed.mp4'",
    ),
    "no folder of films": (lambda at: shutil.rmtree(at / "films"), "films: this folder of films must exist"),
    "a movie without rows": (
        lambda at: shutil.copytree(at / "7-data", at / "8-data"),
        "actors.csv: no row for movie 8, which has a data folder",
    ),
}


@pytest.mark.usefixtures("films")
def test_a_right_data_root_is_accepted_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = check(tmp_path, capsys)
    assert (status, err) == (0, "") and "the labeling backend will accept it: 1 movie" in out


@pytest.mark.usefixtures("films")
@pytest.mark.parametrize("fault", FATAL)
def test_what_stops_the_backend_for_all_movies_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], fault: str
) -> None:
    spoil, rule = FATAL[fault]
    spoil(tmp_path)
    status, out, err = check(tmp_path, capsys)
    assert status == 1 and "will NOT accept it, and starts for no movie" in out and rule in err


@pytest.mark.usefixtures("films")
@pytest.mark.parametrize("name", ["7-old-data", "007-data"])
def test_a_second_folder_of_a_movie_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    shutil.copytree(tmp_path / "7-data", tmp_path / name)
    status, out, err = check(tmp_path, capsys)
    assert status == 1 and "will accept it: 1 movie, but it has 1 violation" in out
    assert f"{name}: the labeling backend reads it as movie 7, as 7-data, and shows one of them" in err


@pytest.mark.usefixtures("films")
def test_an_absent_film_is_named_but_stops_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "films" / FILM).unlink()
    status, out, err = check(tmp_path, capsys)
    assert status == 1 and "NOT" not in out
    assert f"no film of movie {MOVIE} here: annotators see no full frames" in err


@pytest.mark.usefixtures("films")
def test_a_fault_of_the_whole_database_is_listed_once_for_many_movies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for movie in (8, 9):
        (tmp_path / f"{movie}-data").mkdir()
    (tmp_path / "actor_db" / "aspect_ratios.csv").unlink()
    _, _, err = check(tmp_path, capsys)
    assert err.count("aspect_ratios.csv") == 1


def test_the_name_of_a_movie_without_a_folder_stops_the_backend_too(
    films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    actors = tmp_path / "actor_db" / "actors.csv"
    header, row, *rows = actors.read_text().splitlines()
    cells = dict(zip(header.split(","), row.split(","), strict=True)) | {"movie_id": "99", "movie_name": ""}
    actors.write_text("\n".join([header, row, *rows, ",".join(cells.values())]) + "\n")
    status, _, err = check(tmp_path, capsys)
    assert status == 1 and "movie_name is empty" in err


def test_a_path_that_the_backend_cannot_search_is_named(
    films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "films [new]"
    root.mkdir()
    shutil.copytree(tmp_path / "7-data", root / "7-data")
    assert main(["--data", str(root)]) == 1
    assert "finds no folder in a path with *, ? or [" in capsys.readouterr().err


def test_either_folders_or_their_root_is_checked(tmp_path: Path) -> None:
    from facerec.support.cli import run_main

    assert run_main(main, []) == 1
    assert run_main(main, [str(tmp_path), "--data", str(tmp_path)]) == 1
    assert run_main(main, ["--data", str(tmp_path / "none")]) == 1
    assert run_main(main, [str(tmp_path), "--films", str(tmp_path)]) == 1
