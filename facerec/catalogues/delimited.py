"""Tables of people as spreadsheets and databases save them: CSV in any usual form.

Separated by commas, semicolons, tabs or bars; UTF-8, UTF-16 or Windows' Latin-1; any order of columns.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path

from facerec.catalogues.base import CastList, Format, Source, Wanted
from facerec.catalogues.columns import find_columns
from facerec.catalogues.table import cast_of_table
from facerec.errors import ContractError
from facerec.support.csv_tables import SEPARATORS, is_separator_line
from facerec.support.text import counted

_ROWS_ABOVE = 20  # rows among which the header is looked for
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LATIN_1 = "Latin-1, or rather Windows-1252"


def recognise(source: Source) -> bool:
    """Return whether a file is text; what else it holds shows when it is read."""
    is_xml = source.start.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"<")
    return bool(source.start) and not is_xml and _encoding(source.start) is not None


def read(sources: Sequence[Source], wanted: Wanted) -> CastList:
    """Read a table."""
    (source,) = sources
    text, encoding = decode(source)
    rows, separator = _split(source.path, text, wanted)
    first = list(islice(rows, _ROWS_ABOVE))
    if not first:
        raise ContractError(source.path, "is empty; the first row must name the columns")
    above = _header_place([row for _, row in first], wanted)
    header = first[above]
    width = len(header[1])
    below = _padded(source.path, chain(first[above + 1 :], rows), width)
    doubts = [f"{source.path.name} is not Unicode and was read as {_LATIN_1}"] if encoding == _LATIN_1 else []
    if above:
        doubts.append(
            f"{source.path.name}: the columns are named in line {header[0]}; rows above are left out"
        )
    named = {"\t": "tabs", ",": "commas", ";": "semicolons", "|": "bars"}[separator]
    return cast_of_table(
        source.path,
        f"table separated by {named} ({encoding})",
        header[1],
        map(_plain, below) if header[1][0].startswith("?") else below,
        wanted,
        doubts,
    )


FORMAT = Format("a table (CSV)", recognise, read)


def decode(source: Source) -> tuple[str, str]:
    """Return the text of a file and the name of its encoding.

    Raises:
        ContractError: the file is not text.
    """
    encoding = _encoding(source.content)
    if encoding is None:
        raise ContractError(source.path, "is not text; save the table as CSV, in UTF-8")
    try:
        if encoding == _LATIN_1:  # bytes that Windows leaves undefined are control characters
            return source.content.decode("cp1252", "replace"), encoding
        return source.content.decode(encoding), encoding.removesuffix("-sig").upper()
    except UnicodeDecodeError as error:
        raise ContractError(source.path, f"is damaged text ({error.reason} at byte {error.start})") from None


def _encoding(content: bytes) -> str | None:
    """Return the encoding of text; None if `content` is not text. A character may be cut at its end."""
    for bom, encoding in _BOMS:
        if content.startswith(bom):
            return encoding
    sample = content[: 1 << 16]
    if b"\0" in sample:  # Latin letters in UTF-16 have a zero in each pair of bytes
        even, odd = sample[0::2].count(0), sample[1::2].count(0)
        pairs = max(1, len(sample) // 2)
        if max(even, odd) < 0.3 * pairs or min(even, odd) > 0.1 * pairs:
            return None
        return "utf-16-be" if even > odd else "utf-16-le"
    if any(byte < 32 and byte not in b"\t\n\r\f\x1a" for byte in sample[:4096]):
        return None
    try:
        codecs.getincrementaldecoder("utf-8")().decode(content)
    except UnicodeDecodeError:
        return _LATIN_1
    return "utf-8"


def _plain(row: tuple[int, list[str]]) -> tuple[int, list[str]]:
    """Return a row of SPARQL's TSV without the languages and types of its values."""
    return row[0], [re.sub(r"(@[a-z]{2,3}(-[A-Za-z0-9]+)*|\^\^<[^>]*>)$", "", cell) for cell in row[1]]


def _is_header(row: Sequence[str], wanted: Wanted) -> bool:
    """Return whether a row names columns, those of people's names among them."""
    columns, doubts = find_columns(row, wanted.columns)
    return not (wanted.columns and doubts) and ("name" in columns or {"given", "family"} <= columns.keys())


def _header_place(rows: Sequence[Sequence[str]], wanted: Wanted) -> int:
    """Return the index of the header; without a known name, that of the first row with the most cells in use.

    So a message about unknown columns does not name a title above them.
    """
    known = next((i for i, row in enumerate(rows) if _is_header(row, wanted)), None)
    if known is not None:
        return known
    return max(range(len(rows)), key=lambda i: (sum(bool(cell.strip()) for cell in rows[i]), -i))


def _split(path: Path, text: str, wanted: Wanted) -> tuple[Iterator[tuple[int, list[str]]], str]:
    """Return the rows that are not blank, with their last lines, and the separator of cells.

    The separator is the one with which one of the first rows has the most columns that are known, and of
    equal ones the most columns.
    """
    first, _, rest = text.partition("\n")
    skipped, declared = 0, ""
    if is_separator_line(first.strip()):
        text, skipped, declared = rest, 1, first.strip().strip('"')[len("sep=") :]
    scores = []
    for separator in [declared] if declared in SEPARATORS else SEPARATORS:
        top = [row for _, row in islice(_rows(path, text, separator, skipped), _ROWS_ABOVE)]
        header = top[_header_place(top, wanted)] if top else []
        columns, _ = find_columns(header, wanted.columns)
        scores.append((len(columns), len(header), separator))
    best = max(scores, key=lambda score: score[:2])[2]
    return _closed(path, text, _rows(path, text, best, skipped), skipped), best


def _rows(path: Path, text: str, separator: str, skipped: int) -> Iterator[tuple[int, list[str]]]:
    lines = io.StringIO(text, newline="")
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True)
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise ContractError(path, f"is not a row of cells ({error})", reader.line_num + skipped) from None
        if row is None:
            return
        if any(cell.strip() for cell in row):
            yield reader.line_num + skipped, row


def _closed(
    path: Path, text: str, rows: Iterable[tuple[int, list[str]]], skipped: int
) -> Iterator[tuple[int, list[str]]]:
    """Yield rows; raise if the last one is the rest of the table behind a quote that nothing closes."""
    last: list[str] = []
    begin = end = skipped
    for line, row in rows:
        begin, end, last = end, line, row
        yield line, row
    if any("\n" in cell or "\r" in cell for cell in last):
        lines = io.StringIO(text, newline="").readlines()[begin - skipped : end - skipped]
        if "".join(lines).count('"') % 2:
            rule = "a quote is opened in this row and never closed, so the rows below are part of it"
            raise ContractError(path, rule, begin + 1)


def _padded(path: Path, rows: Iterable[tuple[int, list[str]]], width: int) -> Iterator[tuple[int, list[str]]]:
    """Yield rows of `width` cells: empty cells at the end may be missing or too many.

    Raises:
        ContractError: a row has more cells than the header has columns.
    """
    for line, row in rows:
        while len(row) > width and not row[-1].strip():
            row = row[:-1]
        if len(row) > width:
            rule = f"the row has {counted(len(row), 'cell')}, but the header has {width}; are quotes missing?"
            raise ContractError(path, rule, line)
        yield line, row + [""] * (width - len(row))
