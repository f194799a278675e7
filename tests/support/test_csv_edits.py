"""Tables are edited cell by cell: every other byte stays, and a second edit changes nothing."""

from __future__ import annotations

import csv
import io

import hypothesis.strategies as st
import pytest
from hypothesis import given

from facerec.support.csv_edits import edit_table


@pytest.mark.parametrize(
    "table, changes, added, columns, wanted",
    [
        ('\ufeff"a",b\r\n"x, y",\r\n\r\n1,2\r\n', {0: {"b": "z"}}, [], [],
         '\ufeff"a",b\r\n"x, y",z\r\n\r\n1,2\r\n'),
        ("a,b\n1,2", {}, [{"b": 'q"', "a": "x,y"}], [], 'a,b\n1,2\n"x,y","q"""\n'),
        ('a,b\n1,"2"\n', {0: {"b": "2"}}, [], [], 'a,b\n1,"2"\n'),
        ("a,b\n1,2\n3,4\n", {1: {"b": "two\nlines"}}, [], [], 'a,b\n1,2\n3,"two\nlines"\n'),
        ("a\n1\n2\n", {1: {"uri": "u"}}, [{"a": "3", "uri": "v"}], ["uri"], "a,uri\n1,\n2,u\n3,v\n"),
        ("a,uri\n1,\n", {}, [], ["uri"], "a,uri\n1,\n"),
        ("a,b\r\n", {}, [{"a": "1"}], ["c"], "a,b,c\r\n1,,\r\n"),
        ("a,b", {}, [], [], "a,b"),
    ],
)  # fmt: skip
def test_only_the_cells_that_are_named_change(
    table: str,
    changes: dict[int, dict[str, str]],
    added: list[dict[str, str]],
    columns: list[str],
    wanted: str,
) -> None:
    assert edit_table(table, changes, added, columns) == wanted


CELL = st.text(st.sampled_from('ab ,"\n;é\t'), max_size=6)


@given(st.data())
def test_edited_tables_are_read_back_exactly(data: st.DataObject) -> None:
    width = data.draw(st.integers(2, 4))
    header = [f"c{i}" for i in range(width)]
    row = st.lists(CELL, min_size=width, max_size=width)
    rows = data.draw(st.lists(row, max_size=5))
    new = data.draw(st.lists(row, max_size=3))
    text = io.StringIO()
    quoting = data.draw(st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]))
    end = data.draw(st.sampled_from(["\n", "\r\n"]))
    csv.writer(text, quoting=quoting, lineterminator=end).writerows([header, *rows])
    changes = {
        number: {data.draw(st.sampled_from(header)): data.draw(CELL)}
        for number in data.draw(st.sets(st.integers(0, len(rows) - 1) if rows else st.nothing()))
    }
    added = [dict(zip(header, cells, strict=True)) for cells in new]
    edited = edit_table(text.getvalue(), changes, added)
    wanted = [dict(zip(header, cells, strict=True)) for cells in rows]
    for number, cells in changes.items():
        wanted[number] |= cells
    assert list(csv.DictReader(io.StringIO(edited, newline=""))) == [*wanted, *added]
    assert edit_table(edited, changes, []) == edited
