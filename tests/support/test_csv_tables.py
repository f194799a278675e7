"""CSV tables: read in bounded memory with errors by line, and edited without changing other bytes."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facerec.errors import ContractError, FacerecError, InputError
from facerec.support.csv_tables import (
    MAX_ROW_BYTES,
    has_columns,
    read_table,
    replace_rows,
    set_cells,
    set_column,
)


@pytest.mark.parametrize(
    ("content", "line", "rule"),
    [
        (b"", None, "is empty"),
        (b"id\n1\n", 1, "lacks the column name"),
        (b"id;name\n1;a\n", 1, "separated by semicolons; save it with commas"),
        (b"id\tname\n1\ta\n", 1, "separated by tabs"),
        (b'"id";"name"\r\n1;a\n', 1, "separated by semicolons; save it with commas"),
        (b'\n"id"\t"name"\n1\ta\n', 2, "separated by tabs; save it with commas"),
        (b"id|name\n1|a\n", 1, "separated by vertical bars; save it with commas"),
        (b"\xef\xbb\xbfsep=;\r\nid;name\r\n1;a\r\n", 1, "sep=;; save it without, with commas"),
        (b'"sep=,"\nid,name\n1,a\n', 1, "begins with a spreadsheet's line"),  # the backend cannot read it
        (b'"id";"born"\n1;a\n', 1, "lacks the column name; it has id, born, separated by semicolons"),
        (b"number;born\n1;a\n", 1, "lacks the column id, name; it has number;born"),
        (b"id,name,id\n1,a,2\n", 1, "more than once"),
        (b"id,name\n1,a\n2\n", 3, "1 cell,"),
        (b"id,name\n1,a\n2,\xff\n", 3, "not UTF-8"),
        (b'id,name\n1,"a"b\n', 2, "not a CSV row"),
        (b"id,name\n1," + b"x" * (MAX_ROW_BYTES + 1) + b"\n", 2, "more than"),
        (b"id,name\n1," + b"x" * 200_000 + b"\n", 2, "field larger"),
    ],
)
def test_errors_name_the_line(tmp_path: Path, content: bytes, line: int, rule: str) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    with pytest.raises(ContractError, match=rule) as caught:
        list(read_table(path, ("id", "name")))
    assert caught.value.line == line


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_ALL, csv.QUOTE_MINIMAL])
@pytest.mark.parametrize("above", [b"", b"\xef\xbb\xbf", b"sep=%s\r\n", b'\xef\xbb\xbf"sep=%s"\r\n'])
def test_a_table_that_a_german_spreadsheet_saved_again_is_not_refused(
    tmp_path: Path, separator: str, quoting: Literal[0, 1], above: bytes
) -> None:
    rows = [["name", "note", "id"], ["Hopper, Grace", "a;b|c\td", "7"], ['"x"', "", "8"]]
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=separator, quoting=quoting).writerows(rows)
    path = tmp_path / "table.csv"
    path.write_bytes(above.replace(b"%s", separator.encode()) + text.getvalue().encode())
    read = list(read_table(path, ("id", "name"), any_separator=True))
    assert [list(row.values()) for _, row in read] == rows[1:]
    first = 3 if b"sep" in above else 2
    assert [line for line, _ in read] == [first, first + 1]
    assert has_columns(path, ("id", "name")) and not has_columns(path, ("id", "born"))


def test_a_missing_closing_quote_does_not_read_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text('id,name\n1,"open\n' + '"",""\n' * 400_000, encoding="utf-8")
    with pytest.raises(ContractError):
        list(read_table(path, ("id", "name")))


def test_byte_order_mark_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(b'\xef\xbb\xbfid,name\r\n7,"A, B\r\n\r\nC"\r\n\r\n8, x \r\n')
    rows = list(read_table(path, ("id",)))
    assert [row for _, row in rows] == [{"id": "7", "name": "A, B\r\n\r\nC"}, {"id": "8", "name": " x "}]
    assert [line for line, _ in rows] == [4, 6]


def test_a_missing_table_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        list(read_table(tmp_path / "none.csv", ("id",)))


def test_pipes_and_folders_are_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "folder.csv").mkdir()
    for name in ("pipe.csv", "folder.csv"):
        with pytest.raises(InputError, match=f"{name}: is not a file"):
            list(read_table(tmp_path / name, ("id",)))


@given(
    content=st.binary(max_size=300) | st.text('id,name"\n\r\0;7é', max_size=300).map(str.encode),
    any_separator=st.booleans(),
)
def test_any_bytes_give_rows_or_a_facerec_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, any_separator: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.csv"
    path.write_bytes(content)
    try:
        rows = list(read_table(path, ("id", "name"), any_separator=any_separator))
    except FacerecError:
        return
    assert all({"id", "name"} <= row.keys() for _, row in rows)


@given(cells=st.lists(st.tuples(st.text(max_size=9), st.text(max_size=9)), max_size=9))
def test_written_cells_are_read_back_exactly(
    tmp_path_factory: pytest.TempPathFactory, cells: list[tuple[str, str]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "round.csv"
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([("id", "name"), *cells])
    path.write_bytes(text.getvalue().encode("utf-8"))
    assert [(row["id"], row["name"]) for _, row in read_table(path, ("id", "name"))] == cells


@pytest.mark.parametrize(
    "table, values, wanted",
    [
        ("a,n\nx,0\ny,0\n", [1, 2], "a,n\nx,1\ny,2\n"),
        ("a\nx\ny", [1, 2], "a,n\nx,1\ny,2"),  # no final line end
        ("a,b\r\nx,y\r\n", [1], "a,b,n\r\nx,y,1\r\n"),
        ('"a",n,"b"\n"x, ""y""",,"z"\n', [3], '"a",n,"b"\n"x, ""y""",3,"z"\n'),
        ('a,n\n"two\nlines",0\n', [1], 'a,n\n"two\nlines",1\n'),
        ("\ufeffa,n\nx,0\n", [1], "\ufeffa,n\nx,1\n"),
        ("\ufeffn,a\n0,x\n", [1], "\ufeffn,a\n1,x\n"),
        ("a,n\n\nx,0\n  \n\n", [1], "a,n\n\nx,1\n  \n\n"),
        ('a,"n"\nx,"1"\n', [1], 'a,"n"\nx,"1"\n'),  # an equal value keeps its quoting
        ("a,\nx,\n", [1], "a,,n\nx,,1\n"),
        ("a\n", [], "a,n\n"),
    ],
)  # fmt: skip
def test_set_column_changes_nothing_else(table: str, values: list[int], wanted: str) -> None:
    assert set_column(table, "n", values) == wanted


def test_set_column_refuses_a_wrong_number_of_values() -> None:
    with pytest.raises(ValueError, match="2 values for a table of 1 rows"):
        set_column("a\nx\n", "n", [1, 2])


CELL = st.text(st.sampled_from('ab ,"\n;é\t'), max_size=6)


@given(st.data())
def test_set_column_keeps_all_other_cells_for_csv_readers(data: st.DataObject) -> None:
    width = data.draw(st.integers(2, 4))
    has_column = data.draw(st.booleans())
    header = [f"c{i}" for i in range(width)]
    if has_column:
        header[data.draw(st.integers(0, width - 1))] = "n"
    rows = data.draw(st.lists(st.lists(CELL, min_size=width, max_size=width), max_size=5))
    text = io.StringIO()
    quoting = data.draw(st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]))
    csv.writer(text, quoting=quoting, lineterminator=data.draw(st.sampled_from(["\n", "\r\n"]))).writerows(
        [header, *rows]
    )
    values = list(range(len(rows)))
    edited = set_column(text.getvalue(), "n", values)
    at = header.index("n") if has_column else width
    wanted = [[*row[:at], str(i), *row[at + 1 :]] for i, row in enumerate(rows)]
    wanted_header = header if has_column else [*header, "n"]
    assert list(csv.reader(io.StringIO(edited, newline=""))) == [wanted_header, *wanted]
    assert set_column(edited, "n", values) == edited


@pytest.mark.parametrize(
    "table, removed, added, wanted",
    [
        ("n,a\nx,1\ny,2\n", {"x"}, [], "n,a\ny,2\n"),
        ("n,a\r\nx,1", set(), [{"n": "z"}], "n,a\r\nx,1\r\nz,\r\n"),
        ('a,"n",b\n1,"x, y",2\n\n', {"x, y"}, [{"n": 'q"', "b": "3"}], 'a,"n",b\n\n,"q""",3\n'),
        ("\ufeffn\nn\n", set(), [], "\ufeffn\nn\n"),
        ("\n\ufeffn,a\nn,1\n", {"n"}, [{"a": "2"}], "\n\ufeffn,a\n,2\n"),  # never the header itself
        ("n,a", set(), [{"n": "x"}], "n,a\nx,\n"),
    ],
)  # fmt: skip
def test_replace_rows_changes_nothing_else(
    table: str, removed: set[str], added: list[dict[str, str]], wanted: str
) -> None:
    assert replace_rows(table, "n", removed, added) == wanted


def test_cells_are_set_in_the_rows_of_the_keys_and_no_other_byte_changes() -> None:
    table = '\ufeffn,"id",note\r\n"5",a,"x, y"\r\n\r\n1,"b ""c""",z\r\n1,d,\r\n'
    changed = set_cells(table, "id", {"a", 'b "c"', "e"}, {"n": "5", "missing": "7"})
    assert changed == table.replace('1,"b', '5,"b')
    assert set_cells(changed, "id", {"d"}, {"note": "last"}) == changed.replace("1,d,", "1,d,last")
    assert set_cells(table, "id", (), {"n": "5"}) == table
