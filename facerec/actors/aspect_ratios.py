"""Read `aspect_ratios.csv`: the display size of each film.

Extraction takes a film's display aspect ratio from its row. The labeling backend resizes the full frame to
exactly the row's width and height and draws boxes on it, which are in the film's display pixels. So the row
must be that display size, not only have the same ratio.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from facerec.errors import ContractError
from facerec.folder.names import is_film_of, same_name
from facerec.support.csv_tables import read_table

COLUMNS = ("filename", "display_width", "display_height")


@dataclass(frozen=True)
class AspectRow:
    """A row of the table.

    Attributes:
        line: 1-based line.
        name: cell `filename`, as written.
        size: width and height in pixels.
        cells: all cells by column, in the table's order.
    """

    line: int
    name: str
    size: tuple[int, int]
    cells: Mapping[str, str]


def read_aspect_rows(table: Path) -> Iterator[AspectRow]:
    """Read all rows.

    Raises:
        InputError: there is no such file.
        ContractError: a column is missing, a size is not a positive integer, or a film has two rows.
    """
    seen = set()
    for line, row in read_table(table, COLUMNS):
        name, *sides = (row[column].strip() for column in COLUMNS)
        if not all(re.fullmatch(r"0*[1-9][0-9]{0,8}", side) for side in sides):
            rule = f"{name!r} has the size {sides[0]!r} x {sides[1]!r}; both must be integers above 0"
            raise ContractError(table, rule, line)
        if name in seen:
            raise ContractError(table, f"{name!r} has a second row; keep one", line)
        seen.add(name)
        yield AspectRow(line, row["filename"], (int(sides[0]), int(sides[1])), row)


def read_aspect_ratio(table: Path, film_name: str) -> Fraction | None:
    """Read the display aspect ratio of a film: width divided by height; None if it has no row.

    A row with a name that differs in the Unicode form only is used if there is no other.

    Raises:
        as `read_aspect_rows`.
    """
    exact = similar = None
    for row in read_aspect_rows(table):
        name = row.name.strip()
        if name == film_name:
            exact = Fraction(*row.size)
        elif same_name(name, film_name):
            similar = Fraction(*row.size)
    return exact or similar


def find_size_error(
    table: Path, movie_id: int, film_name: str | None, size: tuple[int, int] | None
) -> ContractError | None:
    """Compare the row of a film with its display size; None if they agree.

    Args:
        film_name: None if it is unknown: then every row of a film of the movie is compared.
        size: width and height in which the film's boxes are; None if it is unknown.

    Returns:
        What is wrong and, if the name and the size are known, the row to paste.

    Raises:
        as `read_aspect_rows`.
    """
    no_cells: Mapping[str, str] = dict.fromkeys(COLUMNS, "")
    listed = False
    similar: AspectRow | None = None
    for row in read_aspect_rows(table):
        no_cells = dict.fromkeys(row.cells, "")
        if row.name == film_name or (film_name is None and is_film_of(movie_id, row.name)):
            listed = True
            if size is not None and row.size != size:
                rule = (
                    f"{row.name!r} is {row.size[0]} x {row.size[1]} here, but its boxes are in pixels of "
                    f"{size[0]} x {size[1]}, so the labeling backend would draw them in wrong places; "
                    f"replace the row by: {_csv_row(row.cells, row.name, size)}"
                )
                return ContractError(table, rule, row.line)
        elif film_name is not None and _comparable(row.name) == _comparable(film_name):
            similar = row
    if listed:
        return None
    what = f"the film {film_name!r}" if film_name is not None else f"a film of movie {movie_id}"
    rule = f"no row for {what}"
    if similar is not None:
        rule += f"; line {similar.line} has {similar.name!r}, which is another name for the labeling backend"
    if film_name is not None and size is not None:
        pasted = _csv_row(similar.cells if similar else no_cells, film_name, size)
        rule += f"; {'replace it by' if similar else 'add'}: {pasted}"
    return ContractError(table, rule, similar.line if similar else None)


def _csv_row(cells: Mapping[str, str], name: str, size: tuple[int, int]) -> str:
    """Return a row of the table: `cells` with another name and size; other columns stay as they are."""
    text = io.StringIO()
    changed = {**cells, **dict(zip(COLUMNS, map(str, (name, *size)), strict=True))}
    csv.writer(text, lineterminator="").writerow(changed.values())
    return text.getvalue()


def _comparable(name: str) -> str:
    """Return the name of a film without what is easily mistaken: folder, case, spaces, Unicode form."""
    base = name.strip().replace("\\", "/").rpartition("/")[2]
    return unicodedata.normalize("NFC", base).casefold()
