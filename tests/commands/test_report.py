"""report.py: where it writes, and what it answers to bad input."""

from __future__ import annotations

from pathlib import Path

import pytest

from facerec import report
from facerec.errors import InputError
from facerec.support.cli import run_main
from tests.movie_folder import Shown, movie_folder


def test_each_folder_gets_its_page_and_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = movie_folder(tmp_path, [Shown(0, 0, 20)])
    assert report.main(["--path", str(folder.path)]) == 0
    assert capsys.readouterr().out == f"movie 7: {folder.report}\n" and folder.report.stat().st_size > 10_000
    before = folder.report.read_bytes()
    assert report.main(["--path", str(folder.path), "--standalone"]) == 0
    assert folder.standalone_report.is_file() and folder.report.read_bytes() == before
    assert not list(folder.path.glob(".*.part"))


@pytest.mark.parametrize("least", ["-0.1", "1.5", "nan"])
def test_a_probability_outside_0_to_1_is_refused(tmp_path: Path, least: str) -> None:
    with pytest.raises(InputError, match=r"--least .*: must be a probability, 0 to 1"):
        report.main(["--path", str(tmp_path / "7-data"), f"--least={least}"])


def test_a_folder_that_cannot_be_shown_is_one_line_and_the_others_are_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = movie_folder(tmp_path, [Shown(0, 0, 20)])
    stale = movie_folder(tmp_path, [Shown(0, 0, 20)], movie_id=8)
    stale.clusters.write_text('{"clusters":[0],"movie_id":8} ')
    paths = [str(tmp_path / "9-data"), str(stale.path), str(good.path)]
    assert run_main(report.main, ["--path", *paths]) == 1
    shown = capsys.readouterr()
    missing, changed = shown.err.splitlines()
    assert "9-data does not exist" in missing and "not the file that cluster.py wrote" in changed
    assert shown.out == f"movie 7: {good.report}\n" and not stale.report.exists()


def test_names_need_the_given_probability(tmp_path: Path) -> None:
    folder = movie_folder(tmp_path, [Shown(0, 0, 20)], {0: {"nm1": 0.5}}, cast={"nm1": "Ada"})
    report.main(["--path", str(folder.path), "--least", "0.6"])
    assert b'"name":"unknown 0"' in folder.report.read_bytes()
    report.main(["--path", str(folder.path)])
    assert b'"name":"Ada"' in folder.report.read_bytes()


def test_the_review_has_an_address(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = movie_folder(tmp_path, [Shown(0, 0, 20)])
    assert run_main(report.main, ["--path", str(folder.path), "--review"]) == 0
    assert capsys.readouterr().out == f"movie 7: {folder.report.as_uri()}#review\n"
    assert run_main(report.main, ["--path", str(folder.path), "--review", "--standalone"]) == 1
    assert "--review needs the thumbnails in images/" in capsys.readouterr().err
    for path in folder.images.iterdir():
        path.unlink()
    assert run_main(report.main, ["--path", str(folder.path), "--review"]) == 1
    assert "images: no thumbnails to review" in capsys.readouterr().err
