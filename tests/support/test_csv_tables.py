"""Tables that others wrote: read in bounded memory, refused by line."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facerec.errors import ContractError, FacerecError, InputError
from facerec.support.csv_tables import MAX_ROW_BYTES, read_table


@pytest.mark.parametrize(
    ("content", "line", "rule"),
    [
        (b"", None, "is empty"),
        (b"id\n1\n", 1, "lacks the column name"),
        (b"id,name,id\n1,a,2\n", 1, "more than once"),
        (b"id,name\n1,a\n2\n", 3, "1 cells"),
        (b"id,name\n1,a\n2,\xff\n", 3, "not UTF-8"),
        (b'id,name\n1,"a"b\n', 2, "not a CSV row"),
        (b"id,name\n1," + b"x" * (MAX_ROW_BYTES + 1) + b"\n", 2, "more than"),
        (b"id,name\n1," + b"x" * 200_000 + b"\n", 2, "field larger"),
    ],
)
def test_what_is_no_table_is_refused_by_line(tmp_path: Path, content: bytes, line: int, rule: str) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    with pytest.raises(ContractError, match=rule) as caught:
        list(read_table(path, ("id", "name")))
    assert caught.value.line == line


def test_a_quote_left_open_does_not_swallow_the_file(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text('id,name\n1,"open\n' + '"",""\n' * 400_000, encoding="utf-8")
    with pytest.raises(ContractError):
        list(read_table(path, ("id", "name")))


def test_excel_s_byte_order_mark_and_line_ends_do_not_hide_the_first_column(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(b'\xef\xbb\xbfid,name\r\n7,"A, B\r\n\r\nC"\r\n\r\n8, x \r\n')
    rows = list(read_table(path, ("id",)))
    assert [row for _, row in rows] == [{"id": "7", "name": "A, B\r\n\r\nC"}, {"id": "8", "name": " x "}]
    assert [line for line, _ in rows] == [4, 6]


def test_a_missing_table_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        list(read_table(tmp_path / "none.csv", ("id",)))


def test_a_pipe_or_a_folder_is_no_table_and_nobody_waits_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "folder.csv").mkdir()
    for name in ("pipe.csv", "folder.csv"):
        with pytest.raises(InputError, match=f"{name}: is no file"):
            list(read_table(tmp_path / name, ("id",)))


@given(content=st.binary(max_size=300) | st.text('id,name"\n\r\0;7é', max_size=300).map(str.encode))
def test_any_bytes_are_rows_or_one_clear_refusal(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.csv"
    path.write_bytes(content)
    try:
        rows = list(read_table(path, ("id", "name")))
    except FacerecError:
        return
    assert all({"id", "name"} <= row.keys() for _, row in rows)


@given(cells=st.lists(st.tuples(st.text(max_size=9), st.text(max_size=9)), max_size=9))
def test_cells_come_back_character_for_character(
    tmp_path_factory: pytest.TempPathFactory, cells: list[tuple[str, str]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "round.csv"
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([("id", "name"), *cells])
    path.write_bytes(text.getvalue().encode("utf-8"))
    assert [(row["id"], row["name"]) for _, row in read_table(path, ("id", "name"))] == cells
