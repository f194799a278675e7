"""The export command writes whole files where it was told, or one line that says why not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd
import pytest

from facerec.annotations.export import EXPORT_COLUMNS
from facerec.export import main
from facerec.exporting import presence
from facerec.folder.layout import MovieFolder
from facerec.support.cli import run_main
from tests.movie_folder import Shown, movie_folder

NAMES = {0: {"nm1": 0.9}}


@pytest.fixture
def folders(tmp_path: Path) -> list[MovieFolder]:
    return [movie_folder(tmp_path, [Shown(0, 0, 20)], NAMES, movie_id=i, cast={"nm1": "Ada"}) for i in (7, 8)]


def export(folders: Sequence[MovieFolder], *words: str | Path) -> int:
    return run_main(main, ["--path", *(str(one.path) for one in folders), *map(str, words)])


def test_without_out_each_movie_gets_its_file(
    folders: list[MovieFolder], capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(folders, "--format", "screen-time") == 0
    for folder in folders:
        path = folder.path / "exports" / f"{folder.movie_id}.screen-time.csv"
        assert pd.read_csv(path)["name"].tolist() == ["Ada"]
    assert export(folders[:1], "--format", "ass") == 0
    assert (folders[0].path / "exports" / "7.ass").is_file()
    first, second, _ = capsys.readouterr().out.splitlines()
    assert first == f"movie 7: 1 person, written to {folders[0].path}/exports/7.screen-time.csv"
    assert second.startswith("movie 8: 1 person, written to ")


def test_out_is_a_file_for_all_or_a_folder(folders: list[MovieFolder], tmp_path: Path) -> None:
    table = tmp_path / "new" / "all.parquet"
    assert export(folders, "--format", "screen-time", "--out", table) == 0
    assert pd.read_parquet(table)["movie_id"].tolist() == [7, 8]
    assert export(folders, "--format", "co-presence.graphml", "--out", tmp_path / "graphs") == 0
    made = sorted(path.name for path in (tmp_path / "graphs").iterdir())
    assert made == ["7.co-presence.graphml", "8.co-presence.graphml"]


def test_labels_name_the_movies_that_they_have(
    folders: list[MovieFolder], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = tmp_path / "labels.csv"
    row = "8,0,labeled,Bea,8:0:0_10_50_100,same,0"
    labels.write_text("\n".join([",".join(EXPORT_COLUMNS), row]) + "\n")
    out = tmp_path / "all.csv"
    assert export(folders, "--format", "presence", "--labels", labels, "--out", out) == 0
    assert pd.read_csv(out)["name"].tolist() == ["Ada", "Bea"]
    assert "movie 7: no file of --labels has a row of it" in capsys.readouterr().err
    assert export(folders, "--format", "presence", "--least", "0.95", "--out", out) == 0
    assert pd.read_csv(out)["name"].tolist() == ["unknown 0", "unknown 0"]


def test_labels_of_one_movie_come_from_one_file(
    folders: list[MovieFolder], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = tmp_path / "one.csv", tmp_path / "other.csv"
    for path in (one, other):
        path.write_text(f"{','.join(EXPORT_COLUMNS)}\n8,0,labeled,Bea,8:0:0_10_50_100,same,0\n")
    assert export(folders, "--format", "presence", "--labels", one, other) == 1
    assert f"other.csv:2: movie 8 also has rows in {one}" in capsys.readouterr().err
    one.write_text(f"{','.join(EXPORT_COLUMNS)}\neight,0,labeled,Bea,8:0:0_10_50_100,same,0\n")
    assert export(folders, "--format", "presence", "--labels", one) == 1
    assert "one.csv:2: movie_id 'eight' is not an integer" in capsys.readouterr().err
    assert export(folders[:1], "--format", "cvat", "--out", tmp_path / "7.xml") == 0
    assert export(folders, "--format", "presence", "--labels", tmp_path / "7.xml") == 1
    assert "7.xml: a file of CVAT is about one movie" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--format", "excel"], "--format excel: no such format; there are screen-time, presence"),
        (["--format", "presence.parquet"], "--format presence.parquet: presence is written as csv"),
        (["--format", "presence", "--out", "x.txt"], "--out x.txt: a file of presence ends in .csv"),
        (["--format", "screen-time.csv", "--out", "x.parquet"], "a file of screen-time ends in .csv"),
        (["--format", "presence", "--least", "nan"], "--least nan: must be in 0..1"),
        (["--format", "presence", "--url", "https://a.org/"], "the files of presence hold no addresses"),
        (["--format", "presence", "--path", "7-data", "7-data"], "--path: movie 7 is given twice"),
        (["--format", "iiif", "--url", "a b"], "--url a b: must be an address such as https://example.org"),
        (["--format", "cvat", "--out", "a.xml", "--path", "7-data", "8-data"], "has one file per movie"),
        (["--format", "presence", "--labels", "missing.csv"], "missing.csv: no such file"),
        (["--format", "presence", "--actor-db", "missing"], "missing/actors.csv: no such file"),
    ],
)
def test_a_wrong_argument_is_one_line_and_writes_nothing(
    words: list[str], message: str, folders: list[MovieFolder], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert export(folders[:1], *words) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert sorted(path.name for path in tmp_path.iterdir()) == ["7-data", "8-data"]
    assert not folders[0].exports.exists()


def test_a_movie_that_fails_does_not_stop_the_others_but_spoils_a_joint_file(
    folders: list[MovieFolder], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders[0].clusters.write_bytes(b"[]")
    assert export(folders, "--format", "presence") == 1
    shown = capsys.readouterr()
    assert "7-data/clusters.json: not the file that cluster.py wrote" in shown.err
    assert shown.out.startswith("movie 8: ") and not folders[0].exports.exists()
    assert export(folders, "--format", "presence", "--out", tmp_path / "all.csv") == 1
    assert not (tmp_path / "all.csv").exists()


def test_an_interrupted_export_leaves_the_old_file(
    folders: list[MovieFolder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "x" / "all.csv"
    assert export(folders, "--format", "presence", "--out", out) == 0
    before = out.read_bytes()

    def half(movies: object, suffix: str) -> Iterator[bytes]:
        yield b"movie_id,"
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(presence, "export", half)
    assert export(folders, "--format", "presence", "--out", out) == 1
    assert out.read_bytes() == before and list(out.parent.iterdir()) == [out]


def test_the_summary_counts_people_as_networks_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An actor of two movies once, what is not one person apart."""
    shown = [Shown(0, 0, 10), Shown(1, 20, 30)]
    made = [
        movie_folder(tmp_path, shown, {0: {"nm1": 0.9}, 1: {}}, poor_pages=(1,), movie_id=number)
        for number in (7, 8)
    ]
    assert export(made, "--format", "co-presence", "--out", tmp_path / "all.csv") == 0
    assert capsys.readouterr().out.startswith("1 person and 2 entries of several people in 2 movies, written")
    assert export(made[:1], "--format", "iiif") == 0
    assert "begin with https://example.org/" in capsys.readouterr().err
    assert export(made[:1], "--format", "iiif", "--url", "https://a.org/") == 0
    assert "WARNING" not in capsys.readouterr().err
