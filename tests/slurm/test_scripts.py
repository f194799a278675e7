"""Commands of the launcher that run one program on this machine, and the words that they give it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from facerec.errors import InputError
from slurm import cli
from tests.movie_folder import Shown, movie_folder


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables of make, of which only folders are given."""
    for name in os.environ:
        if name.startswith("FACEREC_"):
            monkeypatch.delenv(name)
    (tmp_path / "films").mkdir()
    monkeypatch.setenv("FACEREC_FILMS", str(tmp_path / "films"))
    monkeypatch.setenv("FACEREC_OUT", str(tmp_path / "out"))


def test_a_movie_is_added_to_the_actor_database_on_this_machine(tmp_path: Path) -> None:
    (tmp_path / "my cast.csv").write_text("name\nGrace Hopper\n")
    words = f"--name 'A Film' --year 1998 --cast '{tmp_path}/my cast.csv'"
    command = ["add-movie", "--movie", "7", "--actor-db", str(tmp_path / "db")]
    assert cli.main([*command, "--add-args", words]) == 0
    assert "7,A Film,1998,grace-hopper,Grace Hopper" in (tmp_path / "db" / "actors.csv").read_text()
    assert cli.main([*command, "--add-args", "--cast none.csv"]) == 1
    for wrong, fault in (
        (["--movie", ""], "which movie"),
        (["--movie", "7 8"], "one movie"),
        ([], "add what"),
    ):
        with pytest.raises(InputError, match=fault):
            cli.main([*command, *wrong])


def test_export_writes_the_movies_on_this_machine(tmp_path: Path) -> None:
    for movie in (7, 8):
        movie_folder(tmp_path / "out", [Shown(0, 0, 20)], movie_id=movie)
    command = ["export", "--movies", "7 8", "--format", "presence"]
    assert cli.main([*command, "--export-args", f"--out '{tmp_path}/my tables'"]) == 0
    made = sorted(path.name for path in (tmp_path / "my tables").iterdir())
    assert made == ["7.presence.csv", "8.presence.csv"]
    assert cli.main([*command[:3], "--format", "nonsense"]) == 1
    with pytest.raises(InputError, match="which format"):
        cli.main(["export", "--movie", "7"])


def test_review_makes_the_reports_on_this_machine_and_says_where_they_open(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = movie_folder(tmp_path / "out", [Shown(0, 0, 20)])
    assert cli.main(["review", "--movie", "7", "--report-args", "--least 0.6"]) == 0
    assert f"movie 7: {folder.report.as_uri()}#review\n" in capfd.readouterr().out
    assert folder.report.is_file()
