"""Tables of other people's making, read as streams and in bounded memory, refused by file and line."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from facerec.errors import ContractError, InputError

MAX_ROW_BYTES = 1 << 20  # a real row has a few hundred


def read_lines(path: Path, limit: int) -> Iterator[tuple[int, str]]:
    """1-based number and text of every line, none longer than `limit` bytes."""
    if not path.is_file():  # nor a pipe, which may never end
        raise InputError(f"{path}: {'is no file' if path.exists() else 'no such file'}")
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


def read_table(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """Line and cells of every row of a CSV file whose header has at least `columns`.

    Quoted cells may hold commas and line breaks; the line is the row's last.
    """
    line = pending = 0  # pending: bytes of the row that is being read, which quotes may stretch over lines

    def feed() -> Iterator[str]:
        nonlocal line, pending
        for line, text in read_lines(path, MAX_ROW_BYTES):
            pending += len(text)
            if pending > MAX_ROW_BYTES:
                rule = f"the row has more than {MAX_ROW_BYTES} bytes; is a quote left open?"
                raise ContractError(path, rule, line)
            yield text

    header: list[str] | None = None
    reader = csv.reader(feed(), strict=True)
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise ContractError(path, f"is not a CSV row ({error})", line) from None
        pending = 0
        if cells is None:
            break
        if not cells:  # a blank line
            continue
        if header is None:
            header = cells
            missing = [column for column in columns if column not in header]
            if missing:
                rule = f"lacks the column {', '.join(missing)}; it has {', '.join(header)[:200]}"
                raise ContractError(path, rule, line)
            twice = [column for column in columns if header.count(column) > 1]
            if twice:
                raise ContractError(path, f"has the column {', '.join(twice)} more than once", line)
            continue
        if len(cells) != len(header):
            rule = f"the row has {len(cells)} cells, but the header has {len(header)}"
            raise ContractError(path, rule, line)
        yield line, dict(zip(header, cells, strict=True))
    if header is None:
        raise ContractError(path, f"is empty; its header must have the columns {', '.join(columns)}")


# a cell as it is written, quotes and all, and what ends it
_CELL = re.compile(r'((?:"(?:[^"]|"")*")?[^,\r\n]*)(,|\r\n|\n|\r|\Z)')


def set_column(table: str, column: str, values: Sequence[int]) -> str:
    """`table` with the numbers `values` in `column`, which is added at the end where it is missing.

    All other cells, their quoting, blank lines, the line ends and a byte order mark stay as they are.

    Args:
        table: text of a CSV file with a header.
        values: one per row below the header, blank lines not counted.
    """
    rows = _split(table)
    filled = [row for row in rows if len(row) > 1 or row[0][0].strip("\ufeff \t")]
    if len(filled) != len(values) + 1:
        raise ValueError(f"{len(values)} values for a table of {len(filled) - 1} rows")
    names = [_plain(cell.removeprefix("\ufeff")) for cell, _ in filled[0]]
    at = names.index(column) if column in names else None
    for row, text in zip(filled, [column, *map(str, values)], strict=True):
        if at is None:
            cell, end = row[-1]
            row[-1] = (cell, ",")
            row.append((text, end))
        elif row is not filled[0] and _plain(row[at][0]) != text:
            row[at] = (text, row[at][1])
    return "".join(cell + end for row in rows for cell, end in row)


def replace_rows(table: str, column: str, gone: Collection[str], rows: Sequence[Mapping[str, str]]) -> str:
    """`table` without the rows whose cell in `column` is one of `gone`, and with `rows` at its end.

    Args:
        table: text of a CSV file with a header that has `column`.
        rows: cells by column; where the table has further columns they stay empty.
    """
    kept = _split(table)
    header = next(row for row in kept if len(row) > 1 or row[0][0].strip("\ufeff \t"))
    names = [_plain(cell.removeprefix("\ufeff")) for cell, _ in header]
    at = names.index(column)
    kept = [row for row in kept if row is header or len(row) <= at or _plain(row[at][0]) not in gone]
    line_end = header[-1][1] or "\n"
    added = io.StringIO()
    csv.DictWriter(added, names, restval="", lineterminator=line_end).writerows(rows)
    text = "".join(cell + end for row in kept for cell, end in row)
    between = line_end if rows and not text.endswith(("\n", "\r")) else ""
    return text + between + added.getvalue()


def _split(table: str) -> list[list[tuple[str, str]]]:
    """Rows of (cell as written, what ends it)."""
    rows: list[list[tuple[str, str]]] = []
    row: list[tuple[str, str]] = []
    at = 0
    while at < len(table) or row:
        match = _CELL.match(table, at)
        assert match is not None  # every text begins with a cell, if an empty one
        row.append((match[1], match[2]))
        at = match.end()
        if match[2] != ",":
            rows.append(row)
            row = []
    return rows


def _plain(cell: str) -> str:
    quoted = len(cell) > 1 and cell[0] == cell[-1] == '"'
    return cell[1:-1].replace('""', '"') if quoted else cell
