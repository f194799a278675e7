"""The row of a film is its display size, to the pixel, or the row to paste is said."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from facerec.actors.aspect_ratios import find_size_error, read_aspect_ratio

FILM = "10005-Anamorphic.mp4"
SIZE = (1024, 576)
ROW = "10005-Anamorphic.mp4,1024,576"


def table(folder: Path, *rows: str, header: str = "filename,display_width,display_height") -> Path:
    path = folder / "aspect_ratios.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def said(path: Path, film: str | None = FILM, size: tuple[int, int] | None = SIZE) -> tuple[int | None, str]:
    error = find_size_error(path, 10005, film, size)
    return (None, "") if error is None else (error.line, error.rule)


def test_display_size_is_right(tmp_path: Path) -> None:
    assert said(table(tmp_path, "1-a.mp4,4,3", ROW)) == (None, "")


@pytest.mark.parametrize("size", ["704,576", "16,9", "2048,1152", "576,1024", "1024,577"])
def test_stored_size_ratio_or_other_size_is_answered_with_the_row_to_paste(size: str, tmp_path: Path) -> None:
    line, rule = said(table(tmp_path, "1-a.mp4,4,3", f"{FILM},{size}"))
    assert line == 3 and rule.endswith(f"replace the row by: {ROW}")
    assert f"{size.split(',')[0]} x {size.split(',')[1]} here" in rule and "1024 x 576" in rule


def test_film_without_a_row_is_answered_with_the_row_to_paste(tmp_path: Path) -> None:
    assert said(table(tmp_path, "10006-b.mp4,4,3")) == (None, f"no row for the film {FILM!r}; add: {ROW}")


@pytest.mark.parametrize(
    ("film", "name"),
    [
        (FILM, "10005-anamorphic.MP4"),
        (FILM, f"{FILM} "),
        (FILM, f"films/{FILM}"),
        ("10005-Am\u00e9lie.mp4", "10005-Ame\u0301lie.mp4"),
    ],
)
def test_row_with_a_name_that_only_looks_the_same_is_named(film: str, name: str, tmp_path: Path) -> None:
    line, rule = said(table(tmp_path, "1-a.mp4,4,3", f"{name},1024,576"), film)
    assert line == 3 and repr(name) in rule and rule.endswith(f"replace it by: {film},1024,576")


def test_row_to_paste_has_the_columns_of_the_table(tmp_path: Path) -> None:
    path = table(tmp_path, "3,1-a.mp4,,4", header="display_height,filename,note,display_width")
    assert said(path, "10005-a, b.mp4")[1].endswith('add: 576,"10005-a, b.mp4",,1024')


@pytest.mark.parametrize("name", [FILM, f"{FILM} "])
def test_row_to_paste_keeps_the_other_cells_of_the_row_that_it_replaces(name: str, tmp_path: Path) -> None:
    path = table(tmp_path, f'"from TV, cut",{name},16,9', header="note,filename,display_width,display_height")
    assert said(path)[1].endswith(f'by: "from TV, cut",{ROW}')


def test_without_a_plan_the_rows_of_the_movie_are_compared(tmp_path: Path) -> None:
    path = table(tmp_path, "1-a.mp4,4,3", f"0{FILM},704,576")
    assert said(path, None)[0] == 3
    assert said(path, None, None) == (None, "")
    assert said(table(tmp_path, "1-a.mp4,4,3"), None) == (None, "no row for a film of movie 10005")


def test_row_may_still_be_a_ratio_for_extraction(tmp_path: Path) -> None:
    assert read_aspect_ratio(table(tmp_path, f"{FILM},16,9"), FILM) == read_aspect_ratio(
        table(tmp_path, ROW), FILM
    )


def test_a_row_in_another_unicode_form_gives_the_ratio_unless_there_is_an_exact_one(tmp_path: Path) -> None:
    composed, decomposed = "1-Am\u00e9lie.mp4", "1-Ame\u0301lie.mp4"
    assert read_aspect_ratio(table(tmp_path, f"{composed},16,9"), decomposed) == Fraction(16, 9)
    assert read_aspect_ratio(table(tmp_path, f"{decomposed},16,9"), composed) == Fraction(16, 9)
    for rows in ((f"{composed},16,9", f"{decomposed},4,3"), (f"{decomposed},4,3", f"{composed},16,9")):
        assert read_aspect_ratio(table(tmp_path, *rows), decomposed) == Fraction(4, 3)
