"""The table of pictures is its owner's: one column of it may change, and not one byte more."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facerec.support.csv_tables import replace_rows, set_column


@pytest.mark.parametrize(
    "table, values, wanted",
    [
        ("a,n\nx,0\ny,0\n", [1, 2], "a,n\nx,1\ny,2\n"),
        ("a\nx\ny", [1, 2], "a,n\nx,1\ny,2"),  # no line end at the end
        ("a,b\r\nx,y\r\n", [1], "a,b,n\r\nx,y,1\r\n"),
        ('"a",n,"b"\n"x, ""y""",,"z"\n', [3], '"a",n,"b"\n"x, ""y""",3,"z"\n'),
        ('a,n\n"two\nlines",0\n', [1], 'a,n\n"two\nlines",1\n'),
        ("\ufeffa,n\nx,0\n", [1], "\ufeffa,n\nx,1\n"),
        ("\ufeffn,a\n0,x\n", [1], "\ufeffn,a\n1,x\n"),
        ("a,n\n\nx,0\n  \n\n", [1], "a,n\n\nx,1\n  \n\n"),
        ('a,"n"\nx,"1"\n', [1], 'a,"n"\nx,"1"\n'),  # the same number stays as it is written
        ("a,\nx,\n", [1], "a,,n\nx,,1\n"),
        ("a\n", [], "a,n\n"),
    ],
)  # fmt: skip
def test_one_column_changes_and_nothing_else(table: str, values: list[int], wanted: str) -> None:
    assert set_column(table, "n", values) == wanted


def test_values_for_another_number_of_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="2 values for a table of 1 rows"):
        set_column("a\nx\n", "n", [1, 2])


CELL = st.text(st.sampled_from('ab ,"\n;é\t'), max_size=6)


@given(st.data())
def test_every_reader_sees_the_other_cells_as_before(data: st.DataObject) -> None:
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
    "table, gone, rows, wanted",
    [
        ("n,a\nx,1\ny,2\n", {"x"}, [], "n,a\ny,2\n"),
        ("n,a\r\nx,1", set(), [{"n": "z"}], "n,a\r\nx,1\r\nz,\r\n"),
        ('a,"n",b\n1,"x, y",2\n\n', {"x, y"}, [{"n": 'q"', "b": "3"}], 'a,"n",b\n\n,"q""",3\n'),
        ("\ufeffn\nn\n", set(), [], "\ufeffn\nn\n"),
        ("\n\ufeffn,a\nn,1\n", {"n"}, [{"a": "2"}], "\n\ufeffn,a\n,2\n"),  # the header's own cell is no row
        ("n,a", set(), [{"n": "x"}], "n,a\nx,\n"),
    ],
)  # fmt: skip
def test_rows_come_and_go_and_no_other_changes(
    table: str, gone: set[str], rows: list[dict[str, str]], wanted: str
) -> None:
    assert replace_rows(table, "n", gone, rows) == wanted
