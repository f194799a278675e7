"""How the labeling backend reads the tables of the actor database, and which ids it changes.

It reads a table with `pandas.read_csv` and turns the ids into text afterwards. pandas decides the type of a
column from all its cells: digits become numbers and lose leading zeros, `NA` or `null` become empty cells,
and one empty cell or `1e5` turns the other numbers into floats. An id that changes finds neither the actor's
name nor the pictures. The tables are read here by pandas as well, so there are no rules of our own.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

from facerec.actors.database import ActorDatabase
from facerec.errors import ContractError
from facerec.support.csv_tables import read_table


def read_as_backend(
    path: Path, columns: Sequence[str]
) -> Iterator[tuple[int, dict[str, str], dict[str, str]]]:
    """Read the cells of `columns` twice: as they are written, and as the labeling backend has them.

    Yields:
        (1-based line, cells as written, cells in the backend; "" where they are empty there).

    Raises:
        InputError: there is no such file.
        ContractError: the file is not such a table.
    """
    import pandas

    table = read_table(path, tuple(columns))
    # `read_table` is stricter than pandas, so both have the same rows
    rows = [(line, {column: row[column] for column in columns}) for line, row in table]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pandas.errors.DtypeWarning)  # a long column of ids of two types
        frame = pandas.read_csv(path, usecols=list(columns))
    read = {column: frame[column].astype(str).mask(frame[column].isna(), "").tolist() for column in columns}
    for i, (line, row) in enumerate(rows):
        yield line, row, {column: cells[i] for column, cells in read.items()}


def find_changed_ids(database: ActorDatabase) -> Iterator[ContractError]:
    """Find the rows of `actors.csv` and `actor_images.csv` that have another id for the labeling backend.

    Raises:
        as `read_as_backend`.
    """
    for path, column in ((database.actors, "id"), (database.images, "actor_id")):
        for line, row, read in read_as_backend(path, (column,)):
            if read[column] != row[column]:
                became = repr(read[column]) if read[column] else "an empty cell"
                rule = (
                    f"{column} {row[column]!r} becomes {became} in the labeling backend, which loses the "
                    f"actor's name or pictures; put letters before it in every table, such as "
                    f"{'nm' + row[column].strip()!r}, and run classify_knn.py again"
                )
                yield ContractError(path, rule, line)


def first_changed_id(database: ActorDatabase) -> ContractError | None:
    """Return the first error of `find_changed_ids`, with the number of rows if there are several."""
    errors = list(find_changed_ids(database))
    if len(errors) < 2:
        return next(iter(errors), None)
    first = errors[0]
    return ContractError(first.path, f"{first.rule} ({len(errors)} rows are affected)", first.line)
