"""Tables of other people's making, read as streams and in bounded memory, refused by file and line."""

from __future__ import annotations

import csv
from collections.abc import Iterator
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
