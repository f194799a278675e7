"""Ids that the labeling backend changes, because pandas reads a column as numbers or a cell as empty."""

from __future__ import annotations

import csv
from pathlib import Path

import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facerec.actors.backend_tables import find_changed_ids, first_changed_id, read_as_backend
from facerec.actors.database import ACTOR_COLUMNS, ActorDatabase
from facerec.errors import ContractError


def database(folder: Path, actors: list[str], images: list[str]) -> ActorDatabase:
    """A database with a row for each id in either table."""
    folder.mkdir(exist_ok=True)
    made = ActorDatabase(folder)
    with made.actors.open("w", newline="", encoding="utf-8") as file:
        rows = [(7, "Film", 1999, actor, "Name", "Role", "1970", "Rome") for actor in actors]
        csv.writer(file).writerows([ACTOR_COLUMNS, *rows])
    with made.images.open("w", newline="", encoding="utf-8") as file:
        pictures = [(actor, 7, f"{i}.jpg", 1) for i, actor in enumerate(images)]
        csv.writer(file).writerows([("actor_id", "movie_id", "filename", "n_detections"), *pictures])
    return made


def changed(folder: Path, actors: list[str], images: list[str]) -> list[tuple[str, int | None, str]]:
    """File, line and rule of every id that changes."""
    return [
        (error.path.name, error.line, error.rule)
        for error in find_changed_ids(database(folder, actors, images))
    ]


@pytest.mark.parametrize(
    "ids",
    [
        ["nm0592225", "nm1"],
        ["592225", "7"],
        ["592225", "nm1"],
        ["0592225", "nm1"],  # one id with letters makes the whole column text
        ["0x10", "1_000"],
        ["True", "False"],
        ["Name, A.", 'the "Rock"', "é"],
        ["99999999999999999999", "1"],
    ],
)
def test_ids_that_stay_as_they_are_written(ids: list[str], tmp_path: Path) -> None:
    assert changed(tmp_path, ids, ids) == []


@pytest.mark.parametrize(
    ("ids", "became"),
    [
        (["0592225", "7"], {"0592225": "'592225'"}),
        (["+5", "7"], {"+5": "'5'"}),
        ([" 5", "7"], {" 5": "'5'"}),
        (["NA", "nm1"], {"NA": "an empty cell"}),
        (["null", "None", "nan", "nm1"], dict.fromkeys(("null", "None", "nan"), "an empty cell")),
        (["NA", "7"], {"NA": "an empty cell", "7": "'7.0'"}),
        (["1e5", "7"], {"1e5": "'100000.0'", "7": "'7.0'"}),
        (["1.50", "7"], {"1.50": "'1.5'", "7": "'7.0'"}),
        (["TRUE", "False"], {"TRUE": "'True'"}),
    ],
)
def test_changed_ids_are_reported_with_what_becomes_of_them(
    ids: list[str], became: dict[str, str], tmp_path: Path
) -> None:
    found = changed(tmp_path, ids, ids)
    lines = [i + 2 for i, one in enumerate(ids) if one in became]
    assert [(file, line) for file, line, _ in found] == [
        (file, line) for file in ("actors.csv", "actor_images.csv") for line in lines
    ]
    for _, line, rule in found:
        one = ids[(line or 0) - 2]
        assert f"{one!r} becomes {became[one]} in the labeling backend" in rule
        assert repr(f"nm{one.strip()}") in rule


def test_each_table_is_read_by_itself(tmp_path: Path) -> None:
    found = changed(tmp_path, ["0592225", "nm1"], ["0592225"])  # the actor with letters has no picture
    assert [(file, line) for file, line, _ in found] == [("actor_images.csv", 2)]
    assert "actor_id '0592225' becomes '592225'" in found[0][2]


def test_long_column_is_judged_in_the_parts_in_which_pandas_reads_it(tmp_path: Path) -> None:
    ids = [f"0{i:06}" for i in range(140_000)] + ["nm1"]
    found = {line for file, line, _ in changed(tmp_path, ids, [])}
    assert 2 in found and 140_001 not in found  # digits only, and the part that ends in letters


def test_number_of_affected_rows_is_in_one_message(tmp_path: Path) -> None:
    error = first_changed_id(database(tmp_path, ["01", "02"], ["01"]))
    assert error is not None and error.line == 2 and error.rule.endswith("(3 rows are affected)")
    assert first_changed_id(database(tmp_path, ["nm1"], ["nm1"])) is None


@given(rows=st.lists(st.text('1a,"\n\r\0 é\t#', max_size=12), max_size=6))
def test_pandas_has_the_rows_of_every_table_that_is_not_refused(
    rows: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "rows.csv"
    path.write_bytes("\n".join(["id,x", *(f"a{row}" if "," in row else f"a{row}," for row in rows)]).encode())
    try:
        found = list(read_as_backend(path, ("id",)))
    except ContractError:
        return
    assert len(found) == len(pandas.read_csv(path))
    assert all(read == row for _, row, read in found)  # letters in every id


_HAZARDS = st.sampled_from(
    ["0", "7", "07", "+7", "-7", "1e5", "1.0", "inf", "NA", "null", "None", "true", "True", "x"]
)


@given(
    ids=st.lists(_HAZARDS | st.text('0123456789.e+-_ NAaé,"', min_size=1, max_size=6), min_size=1, max_size=5)
)
def test_without_an_error_the_backend_finds_every_name_and_portrait(
    ids: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    made = database(tmp_path_factory.getbasetemp() / "ids", ids, ids[::-1])
    errors = list(find_changed_ids(made))
    for path, column in ((made.actors, "id"), (made.images, "actor_id")):
        known = set(pandas.read_csv(path)[column].astype(str))
        lost = {one for one in ids if one not in known}
        named = {error.rule for error in errors if error.path == path}
        assert all(any(f"{column} {one!r} becomes" in rule for rule in named) for one in lost)
        assert bool(lost) == bool(named)
