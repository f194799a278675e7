"""Shared by the table formats: the columns of the movie, and CSV text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from facerec.movies.movie import Movie

DECIMALS = 6  # of seconds and shares: a microsecond


def of_all(movies: Sequence[Movie], table_of: Callable[[Movie], Any]) -> Any:
    """Return the rows of all movies, with the columns `movie_id` and `title` before the others."""
    parts = []
    for movie in movies:
        part = table_of(movie).round(DECIMALS)
        part.insert(0, "movie_id", movie.movie_id)
        part.insert(1, "title", pd.array([movie.title] * len(part), "str"))
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def csv_bytes(table: Any) -> bytes:
    """Return a table as CSV: UTF-8, a header, commas, quotes where needed, empty cells for missing values."""
    return bytes(table.to_csv(index=False, lineterminator="\n").encode())


def uri_of(people: Any) -> dict[str, str]:
    """Return the identifiers of each person of the table of people, by person id."""
    return dict(zip(people["person"], people["uri"], strict=True))
