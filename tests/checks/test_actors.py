"""Each broken rule of the actor database is reported with file, line and rule."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from facerec.actors.database import ActorDatabase
from facerec.actors.provenance import Origin, origins_bytes, show_last
from facerec.checks.inspect import inspect_folder
from facerec.folder.layout import MovieFolder

FileEdit = Callable[[Path], object]


def replace(old: str, new: str) -> FileEdit:
    """Replace text in a file."""
    return lambda path: path.write_text(path.read_text().replace(old, new))


VIOLATIONS: dict[str, tuple[FileEdit, str, int | None, str]] = {
    "a movie without a row": (replace("7,A film", "8,A film"), "actors.csv", None, "no row for movie 7"),
    "a movie without a name": (replace("7,A film", "7,"), "actors.csv", 2, "movie_name is empty"),
    "a movie without a year": (replace("1999,nm2", ",nm2"), "actors.csv", 3, "movie_year is empty"),
    "an actor without a name": (replace("Name 1", ""), "actors.csv", 3, "name is empty"),
    "an actor without a role": (replace("Role,01", ",01"), "actors.csv", 2, "role is empty"),
    "a birthday in ISO": (
        replace("01.02.1970", "1970-02-01"),
        "actors.csv",
        2,
        "neither dd.mm.yyyy nor yyyy",
    ),
    "a missing column": (replace("birthplace", "place"), "actors.csv", 1, "lacks the column birthplace"),
    "no actors": (Path.unlink, "actors.csv", None, "no such file"),
    "a picture of no actor": (replace("nm2,7", "nm3,7"), "actor_images.csv", 3, "no row with the id 'nm3'"),
    "a picture that is missing": (
        replace("nm2.jpg", "nm4.jpg"),
        "actor_images.csv",
        3,
        "'nm4.jpg' is missing",
    ),
    "an empty n_detections": (
        replace("nm2.jpg,1", "nm2.jpg,"),
        "actor_images.csv",
        3,
        "n_detections is not a number",
    ),
    "a path out of the folder": (
        replace("nm2.jpg", "../nm2.jpg"),
        "actor_images.csv",
        3,
        "file name inside",
    ),
    "a vector of zeros": (replace("[1,0", "[0,0"), "actor_embeddings.jsonl", 1, "all zero"),
    "two lines of one picture": (
        replace("nm2.jpg", "nm1.jpg"),
        "actor_embeddings.jsonl",
        2,
        "duplicate: picture 'nm1.jpg'",
    ),
    "a film without a row": (
        replace("7-Film", "7-Other"),
        "aspect_ratios.csv",
        None,
        "no row for the film '7-Film.mp4'; add: 7-Film.mp4,320,180",
    ),
    "the ratio in place of the display size": (
        replace("320,180", "16,9"),
        "aspect_ratios.csv",
        2,
        "replace the row by: 7-Film.mp4,320,180",
    ),
    "a film's name in lower case": (
        replace("7-Film", "7-film"),
        "aspect_ratios.csv",
        2,
        "line 2 has '7-film.mp4', which is another name",
    ),
    "a role that pandas takes for an empty cell": (
        replace("Role,01", "N/A,01"),
        "actors.csv",
        2,
        "role 'N/A' is an empty cell",
    ),
    "a movie named null": (replace("7,A film", "7,null"), "actors.csv", 2, "movie_name 'null' is an empty"),
    "an id that becomes an empty cell": (
        replace("nm2", "NA"),
        "actors.csv",
        3,
        "id 'NA' becomes an empty cell in the labeling backend",
    ),
    "a picture's movie id that is no number": (
        replace("nm2,7", "nm2,x"),
        "actor_images.csv",
        3,
        "movie_id 'x' is not an integer",
    ),
    "two names of one id": (
        lambda path: path.write_text(path.read_text() + "7,A film,1999,nm2,Other,Role,1970,Rome\n"),
        "actors.csv",
        4,
        "duplicate: id 'nm2' is 'Name 1'",
    ),
    "a size of zero": (replace(",180", ",0"), "aspect_ratios.csv", 2, "integers above 0"),
}


@pytest.mark.parametrize(("edit", "file", "number", "rule"), VIOLATIONS.values(), ids=VIOLATIONS)
def test_violation_is_reported_with_file_line_and_rule(
    edit: FileEdit, file: str, number: int | None, rule: str, folder: MovieFolder, database: ActorDatabase
) -> None:
    edit(database.folder / file)
    inspection = inspect_folder(folder.path, database.folder)
    assert not inspection.backend_accepts
    found = inspection.violations.kept
    assert any(
        error.path == database.folder / file and error.line == number and rule in error.rule
        for error in found
    ), [str(error) for error in found]


def test_display_size_is_that_of_the_trajectories_even_without_a_plan(
    folder: MovieFolder, database: ActorDatabase
) -> None:
    folder.plan.unlink()
    replace("320,180", "640,360")(database.aspect_ratios)
    inspection = inspect_folder(folder.path, database.folder)
    assert inspection.first is not None and not inspection.backend_accepts
    assert inspection.first.rule.endswith("replace the row by: 7-Film.mp4,320,180")


def test_learnt_pictures_that_may_hide_portraits_are_a_warning(
    folder: MovieFolder, database: ActorDatabase
) -> None:
    face = Origin("7:0:0_0_9_9", "nm1", "nm1.jpg", "", 0.9, np.zeros(4), np.zeros((5, 2)))
    database.origins.write_bytes(origins_bytes([face]))
    inspection = inspect_folder(folder.path, database.folder)
    assert inspection.violations.kept == []
    (warning,) = inspection.warnings
    assert "1 picture learnt from films may hide portraits" in warning and "prepare_actors.py" in warning
    database.images.write_text(show_last(database.images.read_text(), {"nm1.jpg"}))
    assert inspect_folder(folder.path, database.folder).warnings == []
    database.origins.write_text("tag\n")
    inspection = inspect_folder(folder.path, database.folder)
    assert inspection.backend_accepts and "lacks the column" in inspection.warnings[0]


def test_ids_with_leading_zeros_are_reported_in_both_tables(
    folder: MovieFolder, database: ActorDatabase
) -> None:
    for path in (database.actors, database.images):
        path.write_text(path.read_text().replace("nm1,", "0592225,").replace("nm2,", "12,"))
    inspection = inspect_folder(folder.path, database.folder)
    assert not inspection.backend_accepts
    found = {
        (error.path.name, error.line) for error in inspection.violations.kept if "'592225'" in error.rule
    }
    assert found == {("actors.csv", 2), ("actor_images.csv", 2)}


def test_actors_who_cannot_be_named_are_warnings_one_a_person(
    folder: MovieFolder, database: ActorDatabase
) -> None:
    with database.actors.open("a") as table:
        table.write("7,A film,1999,nm3,Cy Twombly,Role,1970,Rome\n8,B,1999,nm4,Dee,Role,1970,Rome\n")
    database.embeddings.write_text(
        '{"image":"nm1.jpg","n":1,"faces":[{"vector":[1,0]}]}\n{"image":"nm2.jpg","n":0,"faces":[]}\n'
    )
    inspection = inspect_folder(folder.path, database.folder)
    assert inspection.violations.kept == []
    assert inspection.warnings == [
        f"{database.folder}: no usable picture of Name 1 (nm2): cannot be named",
        f"{database.folder}: no usable picture of Cy Twombly (nm3): cannot be named",
    ]
    database.embeddings.write_text("")
    (warning,) = inspect_folder(folder.path, database.folder).warnings
    assert "no actor of movie 7 has a usable picture" in warning
