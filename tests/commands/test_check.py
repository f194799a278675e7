"""The check command prints one verdict for each folder, lists violations and sets the exit status."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from facerec.check import main
from facerec.folder.layout import MovieFolder
from tests.conftest import ROOT
from tests.edits import FEATURES, TRAJECTORIES, edit_record, edit_text, setting
from tests.folders import make_cast, make_folder


@pytest.fixture
def folder(tmp_path: Path) -> MovieFolder:
    return make_folder(tmp_path)


def test_valid_folder_is_one_line_that_the_backend_will_accept_it(
    folder: MovieFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(folder.path)]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("movie 7: the labeling backend will accept it: 3 trajectories, 2 clusters")
    assert "--actor-db" in printed.out  # which was not given
    assert printed.out.count("\n") == 1 and printed.err == ""


def test_verdict_names_first_a_violation_that_the_backend_reads(
    folder: MovieFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    edit_record(FEATURES, 1, setting(frame=3))(folder)
    edit_text(TRAJECTORIES, 1, lambda text: text + "\n")(folder)
    assert main([str(folder.path)]) == 1
    printed = capsys.readouterr()
    assert "movie 7: the labeling backend will NOT accept it: " in printed.out
    assert f"the first: {folder.trajectories}:2: blank lines are not allowed" in printed.out
    assert f"{folder.features}:1: tag has another frame or box" in printed.err


def test_violation_in_a_file_that_the_backend_does_not_read_keeps_the_folder_acceptable(
    folder: MovieFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.manifest.unlink()
    assert main([str(folder.path)]) == 1
    printed = capsys.readouterr().out
    start = "movie 7: the labeling backend will accept it, but it has 1 violation, the first: "
    assert printed.startswith(start)
    assert f"{folder.manifest}: this file must exist" in printed


def test_many_violations_are_counted_but_only_the_first_are_listed(
    folder: MovieFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.trajectories.write_text("{}\n" * 5000)
    assert main([str(folder.path)]) == 1
    printed = capsys.readouterr()
    assert printed.err.count("\n") <= 51 and "more violations" in printed.err


def test_missing_predictions_are_named_after_a_thousand_harmless_violations(
    folder: MovieFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.quality.write_text("{}\n" * 5000)
    folder.predictions.unlink()
    assert main([str(folder.path)]) == 1
    printed = capsys.readouterr()
    assert "movie 7: the labeling backend will NOT accept it: " in printed.out
    assert f"the first: {folder.predictions}: this file must exist" in printed.out
    assert f"{folder.predictions}: this file must exist" in printed.err


def test_movie_without_faces_is_accepted_with_a_warning_in_the_verdict(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_folder(tmp_path, faces=())
    assert main([str(folder.path)]) == 0  # the backend starts, no rule is broken
    printed = capsys.readouterr()
    assert printed.out.startswith("movie 7: the labeling backend will accept it: 0 trajectories")
    assert "1 warning, the first: " in printed.out and "do not hand it over" in printed.out
    assert printed.out.count("\n") == 1 and "do not hand it over" in printed.err


@pytest.mark.parametrize("name", ["clusters.json", "trajectories.jsonl", "quality.jsonl"])
def test_folder_in_place_of_a_file_is_a_violation(
    name: str, folder: MovieFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder.path / name).unlink()
    (folder.path / name).mkdir()
    assert main([str(folder.path), str(folder.path)]) == 1
    printed = capsys.readouterr()
    assert printed.out.count("movie 7: the ") == 2 and f"{name}: this file must exist" in printed.err


def test_folder_in_place_of_a_table_is_a_violation(
    folder: MovieFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    database = make_cast(folder.path.parent / "actor_db")
    database.actors.unlink()
    database.actors.mkdir()
    assert main([str(folder.path), "--actor-db", str(database.folder)]) == 1
    printed = capsys.readouterr()
    assert "movie 7: the labeling backend will NOT accept it" in printed.out
    assert "actors.csv: is not a file" in printed.err


def test_each_of_several_folders_gets_a_line(
    folder: MovieFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(folder.path), str(tmp_path / "9-data")]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [text.split(":")[0] for text in lines] == ["movie 7", "movie 9"]


@pytest.mark.parametrize("command", [["-m", "facerec.check"], ["./facerec/check.py"]])
def test_command_runs_as_a_module_and_as_a_script(command: list[str], folder: MovieFolder) -> None:
    done = subprocess.run(
        [sys.executable, *command, str(folder.path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout[:8], done.stderr) == (0, "movie 7:", "")
