"""Movie ids and films: found by id, or a clear error."""

from __future__ import annotations

from pathlib import Path

import pytest

from facerec.errors import InputError
from facerec.folder.films import (
    check_film_exists,
    files_without_movie_id,
    films_of_all,
    find_film,
    has_film_suffix,
    movie_ids,
    movies_of_several_films,
)


@pytest.fixture
def films(tmp_path: Path) -> Path:
    for name in (
        "12-A b: ç$(id);'.mp4",
        "123-Other.mkv",
        "7-Two.mp4",
        "7-Two.mkv",
        "no-id.mp4",
        "20240131120000-clip named after its date.mp4",
        "readme.txt",
    ):
        (tmp_path / name).touch()
    (tmp_path / "55-folder").mkdir()
    return tmp_path


def test_a_film_is_found_by_its_whole_id(films: Path) -> None:
    assert find_film(films, 12) == films / "12-A b: ç$(id);'.mp4"


BESIDE = [
    "3-Film.srt",
    "3-Film.en.forced.SRT",
    "3-Film.sub",
    "3-Film.idx",
    "3-Film.nfo",
    "3-Film-poster.jpg",
    "3-Film.commentary.m4a",
    "3-Film.mkv.sha256",
    "3-Film.mkv.part",
    "3-Film-trailer.mp4",
    "3-Film.sample2.mkv",
    "3-Film.fanart",
    "._3-Film.mkv",
    "3-Film",
]


@pytest.mark.parametrize("film", ["3-Film.mkv", "3-Film.MP4", "3-Film.m2ts"])
def test_files_beside_the_film_are_passed_over(film: str, tmp_path: Path) -> None:
    for name in [film, *BESIDE]:
        (tmp_path / name).touch()
    (tmp_path / "4-Other.srt").touch()
    assert find_film(tmp_path, 3) == tmp_path / film
    assert movie_ids("all", tmp_path) == [3]


def test_a_film_without_a_known_suffix_is_found(tmp_path: Path) -> None:
    for name in ("3-Mr. Smith", "3-Mr. Smith.srt"):
        (tmp_path / name).touch()
    assert find_film(tmp_path, 3) == tmp_path / "3-Mr. Smith"


@pytest.mark.parametrize("name", ["3-The Trailer.mp4", "3-Short.mkv", "3-trailer.mp4"])
def test_a_film_named_like_an_extra_is_a_film(name: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    assert find_film(tmp_path, 3) == tmp_path / name


@pytest.mark.parametrize("name", ["3-Film.srt", "3-Film.mkv~", "3-Film.mkv.PART"])
def test_only_files_that_are_no_films_are_named_in_the_error(name: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    with pytest.raises(InputError, match=rf"no film of movie 3: .*'{name}' is no film"):
        find_film(tmp_path, 3)
    with pytest.raises(InputError, match="no film here"):
        movie_ids("all", tmp_path)


def test_a_missing_film_is_an_error(films: Path) -> None:
    with pytest.raises(InputError, match=r"no film of movie 1: no file matches \S+/1-\*$"):
        find_film(films, 1)


def test_a_folder_in_the_place_of_a_film_is_named_with_the_way_out(films: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"55-folder: is a folder, not a film; .*make_film"):
        find_film(films, 55)
    (tmp_path / "alone" / "3-Frames").mkdir(parents=True)
    with pytest.raises(InputError, match=r"3-Frames: is a folder, not a film; .*make_film"):
        movie_ids("all", tmp_path / "alone")


def test_a_movie_folder_beside_the_films_is_no_film_in_parts(tmp_path: Path) -> None:
    (tmp_path / "3-data").mkdir()
    with pytest.raises(InputError, match="no film of movie 3: no file matches"):
        find_film(tmp_path, 3)


def test_a_film_that_is_given_by_its_path_is_a_file(films: Path) -> None:
    check_film_exists(films / "no-id.mp4")
    with pytest.raises(InputError, match=r"x\.mp4: no such film$"):
        check_film_exists(films / "x.mp4")
    (films / "Scan").mkdir()
    with pytest.raises(InputError, match=r"Scan: is a folder, not a film; .*--out \S+/12345-Scan\.mkv"):
        check_film_exists(films / "Scan")
    with pytest.raises(InputError, match=r"55-folder: is a folder, not a film; .*--out \S+/9-Title\.mkv"):
        check_film_exists(films / "55-folder", 9, "Title")


def test_two_films_of_a_movie_are_both_named_in_the_error(films: Path) -> None:
    with pytest.raises(InputError, match=r"2 films of movie 7 .*'7-Two.mkv', '7-Two.mp4'"):
        find_film(films, 7)


def test_a_missing_folder_of_films_names_the_option(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="FILMS=DIR"):
        find_film(tmp_path / "nowhere", 1)


def test_a_list_of_movies_keeps_its_order_and_drops_repeats(films: Path) -> None:
    assert movie_ids("123 7,12 7", films) == [123, 7, 12]


def test_the_smallest_and_the_largest_movie_id_are_accepted(films: Path) -> None:
    assert movie_ids("0 2147483647", films) == [0, 2147483647]


def test_all_is_every_film_once(films: Path) -> None:
    assert movie_ids("all", films) == [7, 12, 123]


def test_all_without_films_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no film here"):
        movie_ids("all", tmp_path)


@pytest.mark.parametrize("text", ["x", "012", "-1", "1;id", "12a", "2147483648", "１２", "../3"])
def test_what_is_not_a_movie_id_is_refused(text: str, films: Path) -> None:
    with pytest.raises(InputError, match="is not a movie id"):
        movie_ids(text, films)


def test_an_empty_list_of_movies_says_how_to_give_one(films: Path) -> None:
    with pytest.raises(InputError, match="MOVIE=12345"):
        movie_ids(" ", films)


def test_the_films_of_all_movies_are_those_that_one_film_belongs_to(films: Path) -> None:
    for name in ("12-A b: ç$(id);'-trailer.mp4", "12-A.srt", "40-Only.srt", "8-A.mkv", "8-B.mkv"):
        (films / name).touch()
    assert films_of_all(films) == {12: films / "12-A b: ç$(id);'.mp4", 123: films / "123-Other.mkv"}
    assert movies_of_several_films(films) == [7, 8]


def test_films_without_a_movie_id_are_found(films: Path) -> None:
    (films / "another.MKV").touch()
    names = ["20240131120000-clip named after its date.mp4", "another.MKV", "no-id.mp4"]
    assert [path.name for path in files_without_movie_id(films)] == names


@pytest.mark.parametrize(
    ("name", "is_film"), [("1-a.mp4", True), ("1-a.MKV", True), ("1-a.txt", False), ("mp4", False)]
)
def test_a_film_is_known_by_its_suffix(name: str, is_film: bool) -> None:
    assert has_film_suffix(Path(name)) is is_film
