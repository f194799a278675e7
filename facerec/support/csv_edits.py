"""Edit a CSV table that people maintain: set cells, add columns and rows, and change no other byte."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

from facerec.support.csv_tables import column_names, is_blank, join_rows, split_rows, unquote


def edit_table(
    table: str,
    changes: Mapping[int, Mapping[str, str]],
    added: Sequence[Mapping[str, str]],
    columns: Sequence[str] = (),
) -> str:
    """Return `table` with other cells and more rows.

    A cell that already has its value keeps its quoting. Line ends, blank lines and a byte order mark are
    kept; added rows come last.

    Args:
        table: text of a CSV file with a header.
        changes: cells by column, by the 0-based number of the row below the header, without blank lines.
        added: cells by column; other columns of the table stay empty.
        columns: added after the others if the table lacks them, empty in rows that do not set them.
    """
    rows = split_rows(table)
    filled = [row for row in rows if not is_blank(row)]
    header = filled[0]
    names = column_names(header)
    for column in columns:
        if column in names:
            continue
        for row in filled:
            cell, end = row[-1]
            row[-1] = (cell, ",")
            row.append((column if row is header else "", end))
        names.append(column)
    for number, cells in changes.items():
        row = filled[number + 1]
        for column, text in cells.items():
            at = names.index(column)
            if unquote(row[at][0]) != text:
                row[at] = (_cell(text), row[at][1])
    line_end = header[-1][1] or "\n"
    text = join_rows(rows)
    separator = line_end if added and not text.endswith(("\n", "\r")) else ""
    new = [",".join(_cell(cells.get(name, "")) for name in names) + line_end for cells in added]
    return text + separator + "".join(new)


def _cell(text: str) -> str:
    """Return a cell as written, with quotes if it needs them."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow([text, ""])
    return line.getvalue().removesuffix(",\r\n")
