"""Names of folders, films, shards and thumbnails are validated as a whole."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from facerec.errors import InputError
from facerec.folder.layout import MovieFolder
from facerec.folder.names import (
    MAX_MOVIE_ID,
    existing_path,
    film_movie_id,
    is_film_of,
    other_unicode_form,
    parse_tag,
    same_name,
    tag_of,
)

NUMBERS = st.integers(0, 10**6)


@given(NUMBERS, NUMBERS, st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS))
def test_tags_round_trip(movie: int, frame: int, box: tuple[int, int, int, int]) -> None:
    assert parse_tag(tag_of(movie, frame, box)) == (movie, frame, box)


@given(st.text(max_size=20) | st.from_regex(r"\d+:\d+:\d+_\d+_\d+_\d+", fullmatch=True))
@example("7:05:1_2_3_4")
@example("7:5:1_2_3_04")
@example("7:5:1_2_3")
@example("7:5:1_2_3_4.jpeg")
@example("7:5:1_2_3_-4")
@example("7:5:1_2_3_4\n")
@example("../7:5:1_2_3_4")
@example("٧:5:1_2_3_4")
@example("7:5:1_2_3_" + "4" * 5000)
def test_text_that_tag_of_would_not_write_is_refused(text: str) -> None:
    try:
        movie, frame, box = parse_tag(text)
    except ValueError:
        return
    assert tag_of(movie, frame, box) == text


@pytest.mark.parametrize(
    ("name", "movie_id"),
    [
        ("12345-CoolMovieFilm.mp4", 12345),
        ("0-x.mp4", 0),
        ("7-a-b-c.mkv", 7),
        ("2147483647-x", MAX_MOVIE_ID),
        ("007-Bond.mp4", 7),
        ("000000000000100-x.mp4", 100),
    ],
)
def test_a_film_s_id_is_the_integer_before_the_first_dash(name: str, movie_id: int) -> None:
    assert film_movie_id(Path("films") / name) == movie_id


@pytest.mark.parametrize(
    "name",
    [
        "CoolMovieFilm.mp4",
        "12345.mp4",
        "-5-x.mp4",
        "12a-x.mp4",
        "1.5-x.mp4",
        " 5-x.mp4",
        "٧-x.mp4",
        "²-x.mp4",
        "2147483648-x.mp4",
        "1_film.mp4",
        "9" * 5000 + "-x",
        "0" * 5000 + "8" * 11 + "-x",
    ],
)
def test_a_film_without_an_id_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=rf"^{re.escape(name)}: .*movie id"):
        film_movie_id(Path(name))


@pytest.mark.parametrize(
    "name",
    [
        "test-data",
        "7",
        "7-data.old",
        "07-data",
        "-7-data",
        "7-DATA",
        "٧-data",
        "7-data-data",
        "1٣-data",
        "2147483648-data",
        "9" * 5000 + "-data",
    ],
)
def test_a_folder_that_would_keep_the_backend_from_starting_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=re.escape(name[:20])):
        MovieFolder(name)


def test_a_folder_is_found_by_a_path_with_dots_or_a_slash_at_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "7-data" / "images").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "7-data")
    for path in (f"{tmp_path}/7-data/", "../7-data", "images/../../7-data", "."):
        assert MovieFolder.existing(path).path.resolve() == tmp_path / "7-data"
        assert MovieFolder.existing(path).movie_id == 7


def test_a_missing_folder_and_a_file_in_its_place_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        MovieFolder.existing(tmp_path / "7-data")
    (tmp_path / "7-data").touch()
    with pytest.raises(InputError, match="is a file"):
        MovieFolder.existing(tmp_path / "7-data")
    with pytest.raises(InputError, match="7-data: this must be a folder, but it is a file"):
        MovieFolder(tmp_path / "7-data").create()


@pytest.mark.parametrize("out", ["plain", "with space", "colon:s", "Ünïcödé/日本", "-dash"])
def test_a_folder_can_be_created_under_any_path(out: str, tmp_path: Path) -> None:
    folder = MovieFolder.of_film(tmp_path / out, Path("films/12-Ä: b.mp4"))
    folder.create()
    folder.create()
    assert folder.path == tmp_path / out / "12-data"
    assert all(directory.is_dir() for directory in (folder.images, *folder.shard_dirs))


def test_shard_files_are_named_by_their_frames(tmp_path: Path) -> None:
    folder = MovieFolder(tmp_path / "7-data")
    files = folder.shard(0, 13)
    assert [folder.relative(path) for path in (*files.results, files.marker)] == [
        "features/features_7_0-13.jsonl",
        "trajectories/trajectories_7_0-13.jsonl",
        "scene_changes/scene_changes_7_0-13.json",
        "evidence/evidence_7_0-13.jsonl",
        "faces/faces_7_0-13.zip",
        "miniatures/miniatures_7_0-13.npz",
        "done/done_7_0-13.json",
    ]
    assert (
        folder.shard(0, 13, tmp_path / "x").features == tmp_path / "x" / "features" / "features_7_0-13.jsonl"
    )


def test_files_of_a_movie_have_the_names_of_the_contract(tmp_path: Path) -> None:
    made = MovieFolder(tmp_path / "7-data")
    files = [value for value in vars(made).values() if isinstance(value, Path)]
    assert {path.name for path in files if path.parent == made.path} == {
        "images", "features.jsonl", "quality.jsonl", "trajectories.jsonl", "scene_changes.json",
        "transitions.json", "clusters.json", "predictions.json", "people.json", "plan.json", "manifest.json",
        "previous", ".lock", ".planning", ".film.json", ".film.lock", "contact_sheet.png", "report.html",
        "report-standalone.html", "exports", "shot_features",
    }  # fmt: skip
    assert (made.index, made.logs) == (tmp_path / "index.html", tmp_path / "logs" / "7")
    names = ["features", "trajectories", "scene_changes", "evidence", "faces", "miniatures", "done"]
    assert [path.relative_to(made.path).as_posix() for path in made.shard_dirs] == names


def test_the_features_of_shots_are_named_by_their_numbers(tmp_path: Path) -> None:
    folder = MovieFolder(tmp_path / "7-data")
    files = folder.feature_files("clip", ".npy")
    paths = (files.provenance, files.film, files.shot(0), files.shot(123456))
    assert [folder.relative(path) for path in paths] == [
        f"shot_features/clip/{name}"
        for name in ("provenance.json", "film.npy", "shot_00000.npy", "shot_123456.npy")
    ]


def test_a_thumbnail_is_named_by_its_tag(tmp_path: Path) -> None:
    folder = MovieFolder(tmp_path / "7-data")
    assert folder.relative(folder.thumbnail("7:5:1_2_3_4")) == "images/7:5:1_2_3_4.jpeg"


@pytest.mark.parametrize(
    ("name", "is_film"),
    [("7-a.mp4", True), ("007-a.mp4", True), ("8-a.mp4", False), ("7.mp4", False), ("a-7.mp4", False)],
)
def test_a_film_belongs_to_the_movie_of_its_id(name: str, is_film: bool) -> None:
    assert is_film_of(7, name) is is_film


def test_a_name_in_another_unicode_form_is_shown_with_its_escapes() -> None:
    said = other_unicode_form("images/e\u0301.jpg", Path("images/\u00e9.jpg"))
    assert r"the file '\xe9.jpg'" in said and r"rename the file to 'e\u0301.jpg'" in said


def test_a_path_is_found_in_either_unicode_form(tmp_path: Path) -> None:
    folder = tmp_path / "Ame\u0301lie"
    folder.mkdir()
    film = folder / "1-E\u0301t\u00e9.mp4"
    film.touch()
    asked = tmp_path / "Am\u00e9lie" / "1-\u00c9te\u0301.mp4"
    assert existing_path(asked) == film and existing_path(film) == film
    (folder / asked.name).touch()
    assert existing_path(folder / asked.name) == folder / asked.name, "an exact name comes first"
    for missing in (tmp_path / "Amelie" / film.name, folder / "1-Ete.mp4", Path("/nowhere/x")):
        assert existing_path(missing) == missing
    later = folder / "2-e\u0301.mp4"
    later.touch()
    os.utime(folder, ns=(0, 0))  # a clock may be too coarse to tell the two times apart
    assert existing_path(folder / "2-\u00e9.mp4") == later
    assert same_name("\u00e9", "e\u0301") and not same_name("\u00e9", "e") and not same_name("A", "a")
