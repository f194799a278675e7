"""CSV tables that people maintain: read row by row, or edited without changing any other byte.

Reading needs bounded memory and reports errors by file and line. Editing works on the text of a whole
table and keeps the quoting, line ends, blank lines and byte order mark of everything it does not change.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path

from facerec.errors import ContractError, InputError
from facerec.support.text import counted

MAX_ROW_BYTES = 1 << 20  # a real row has a few hundred

# a cell as written, with its quotes, and its terminator
_CELL = re.compile(r'((?:"(?:[^"]|"")*")?[^,\r\n]*)(,|\r\n|\n|\r|\Z)')
Row = list[tuple[str, str]]  # (cell as written, its terminator)
# between cells; spreadsheets write semicolons in the languages that have a comma in decimal numbers
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}


def read_text_lines(path: Path, limit: int) -> Iterator[tuple[int, str]]:
    """Read the lines of a UTF-8 file, with or without a byte order mark.

    Args:
        limit: longest allowed line, in bytes.

    Yields:
        (1-based line number, text with its line end).

    Raises:
        InputError: there is no such file.
        ContractError: a line is too long or not UTF-8.
    """
    if not path.is_file():  # also refuses pipes, which may never end
        raise InputError(f"{path}: {'is not a file' if path.exists() else 'no such file'}")
    with path.open("rb") as file:
        line = 0
        while raw := file.readline(limit + 1):
            line += 1
            if len(raw) > limit:
                raise ContractError(path, f"the line has more than {limit} bytes", line)
            try:
                text = raw.decode("utf-8-sig" if line == 1 else "utf-8")
            except UnicodeDecodeError:
                raise ContractError(path, "the line is not UTF-8 text", line) from None
            yield line, text


def read_table(
    path: Path, columns: tuple[str, ...], *, any_separator: bool = False
) -> Iterator[tuple[int, dict[str, str]]]:
    """Read the rows of a CSV file that has at least `columns` in its header.

    Quoted cells may contain commas and line breaks. Blank lines are skipped.

    Args:
        any_separator: take any of `SEPARATORS` with which the header has the columns, and skip a line `sep=;`
            above it. Not for tables that the labeling backend also reads: it knows only commas.

    Yields:
        (1-based number of the row's last line, cells by column).

    Raises:
        InputError: there is no such file.
        ContractError: the file is not such a table.
    """
    line = row_bytes = 0  # row_bytes: of the row being read; a quoted cell may span lines

    def feed() -> Iterator[str]:
        nonlocal line, row_bytes
        for line, text in read_text_lines(path, MAX_ROW_BYTES):
            row_bytes += len(text)
            if row_bytes > MAX_ROW_BYTES:
                rule = f"the row has more than {MAX_ROW_BYTES} bytes; is a closing quote missing?"
                raise ContractError(path, rule, line)
            yield text

    lines = feed()
    first = _first_line(lines)
    if is_separator_line(first):
        if not any_separator:
            rule = f"begins with a spreadsheet's line {first.strip()}; save it without, with commas"
            raise ContractError(path, rule, line)
        row_bytes = 0
        first = _first_line(lines)
    separator = find_separator(first, columns)
    header: list[str] | None = None
    reader = csv.reader(chain([first], lines), delimiter=separator, strict=True)
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise ContractError(path, f"is not a CSV row ({error})", line) from None
        row_bytes = 0
        if cells is None:
            break
        if not cells:  # a blank line
            continue
        if header is None:
            header = cells
            if fault := _header_error(header, columns, separator, any_separator):
                raise ContractError(path, fault, line)
            continue
        if len(cells) != len(header):
            rule = f"the row has {counted(len(cells), 'cell')}, but the header has {len(header)}"
            raise ContractError(path, rule, line)
        yield line, dict(zip(header, cells, strict=True))
    if header is None:
        raise ContractError(path, f"is empty; its header must have the columns {', '.join(columns)}")


def _header_error(
    header: Sequence[str], columns: Sequence[str], separator: str, any_separator: bool
) -> str | None:
    """Return what is wrong with the header of a table; None if nothing is."""
    if missing := [column for column in columns if column not in header]:
        between = "" if separator == "," else f", separated by {SEPARATORS[separator]}"
        return f"lacks the column {', '.join(missing)}; it has {', '.join(header)[:200]}{between}"
    if separator != "," and not any_separator:
        return f"has its cells separated by {SEPARATORS[separator]}; save it with commas between them"
    repeated = [column for column in columns if header.count(column) > 1]
    return f"has the column {', '.join(repeated)} more than once" if repeated else None


def has_columns(path: Path, columns: Collection[str]) -> bool:
    """Return whether a file begins like a table with `columns`, with any of `SEPARATORS`."""
    with path.open("rb") as file:
        read = partial(file.readline, MAX_ROW_BYTES)
        lines = (raw.decode("utf-8-sig", "replace") for raw in iter(read, b""))
        first = _first_line(lines)
        if is_separator_line(first):
            first = _first_line(lines)
    return set(columns) <= {*_header_cells(first, find_separator(first, columns))}


def is_separator_line(line: str) -> bool:
    """Return whether a line gives a spreadsheet the separator of cells, as `sep=;`."""
    return re.fullmatch('"?sep=.?"?', line.rstrip("\r\n"), re.IGNORECASE) is not None


def find_separator(header: str, columns: Collection[str]) -> str:
    """Return the separator with which the line `header` has the most of `columns`; a comma in doubt."""
    return max(SEPARATORS, key=lambda one: len({*columns} & {*_header_cells(header, one)}))


def _header_cells(header: str, separator: str) -> list[str]:
    try:
        cells = next(csv.reader([header], delimiter=separator, strict=True), [])
    except csv.Error:
        return []
    return [cell.strip() for cell in cells]


def _first_line(lines: Iterator[str]) -> str:
    """Return the next line that is not blank, with its line end; "" without one."""
    return next((text for text in lines if text.strip("\r\n")), "")


def set_column(table: str, column: str, values: Sequence[int]) -> str:
    """Set the integers of a column; add the column at the end if it is missing.

    A cell that already has its value keeps its quoting.

    Args:
        table: text of a CSV file with a header.
        values: one per row below the header, blank lines not counted.

    Raises:
        ValueError: the number of values is not the number of rows.
    """
    rows = split_rows(table)
    filled = [row for row in rows if not is_blank(row)]
    if len(filled) != len(values) + 1:
        raise ValueError(f"{len(values)} values for a table of {len(filled) - 1} rows")
    names = column_names(filled[0])
    index = names.index(column) if column in names else None
    for row, text in zip(filled, [column, *map(str, values)], strict=True):
        if index is None:
            cell, end = row[-1]
            row[-1] = (cell, ",")
            row.append((text, end))
        elif row is not filled[0] and unquote(row[index][0]) != text:
            row[index] = (text, row[index][1])
    return join_rows(rows)


def set_cells(table: str, column: str, keys: Collection[str], cells: Mapping[str, str]) -> str:
    """Set cells in the rows that have one of `keys` in `column`.

    A cell that already has its value keeps its quoting. Cells of columns that the table lacks are left out.

    Args:
        table: text of a CSV file with a header that has `column`.
        cells: by column; they need no quotes.
    """
    rows = split_rows(table)
    header = next(row for row in rows if not is_blank(row))
    names = column_names(header)
    index = names.index(column)
    for row in rows:
        if row is header or len(row) != len(names) or unquote(row[index][0]) not in keys:
            continue
        for name, text in cells.items():
            if name in names and unquote(row[names.index(name)][0]) != text:
                row[names.index(name)] = (text, row[names.index(name)][1])
    return join_rows(rows)


def replace_rows(
    table: str, column: str, removed: Collection[str], added: Sequence[Mapping[str, str]]
) -> str:
    """Remove the rows that have one of `removed` in `column`; append the rows `added`.

    Args:
        table: text of a CSV file with a header that has `column`.
        added: cells by column; other columns of the table stay empty.
    """
    rows = split_rows(table)
    header = next(row for row in rows if not is_blank(row))
    names = column_names(header)
    index = names.index(column)
    kept = [
        row for row in rows if row is header or len(row) <= index or unquote(row[index][0]) not in removed
    ]
    line_end = header[-1][1] or "\n"
    new = io.StringIO()
    csv.DictWriter(new, names, restval="", lineterminator=line_end).writerows(added)
    text = join_rows(kept)
    separator = line_end if added and not text.endswith(("\n", "\r")) else ""
    return text + separator + new.getvalue()


def split_rows(table: str) -> list[Row]:
    """Split the text of a table into rows of cells as written, each with its terminator."""
    rows: list[Row] = []
    row: Row = []
    position = 0
    while position < len(table) or row:
        match = _CELL.match(table, position)
        assert match is not None  # the pattern also matches an empty cell
        row.append((match[1], match[2]))
        position = match.end()
        if match[2] != ",":
            rows.append(row)
            row = []
    return rows


def join_rows(rows: Sequence[Row]) -> str:
    """Return the text of a table; the opposite of `split_rows`."""
    return "".join(cell + end for row in rows for cell, end in row)


def is_blank(row: Row) -> bool:
    """Return whether a row is a blank line."""
    return len(row) == 1 and not row[0][0].strip("\ufeff \t")


def column_names(header: Row) -> list[str]:
    """Return the names of the columns, without quotes and byte order mark."""
    return [unquote(cell.removeprefix("\ufeff")) for cell, _ in header]


def unquote(cell: str) -> str:
    """Return the value of a cell as written."""
    quoted = len(cell) > 1 and cell[0] == cell[-1] == '"'
    return cell[1:-1].replace('""', '"') if quoted else cell
