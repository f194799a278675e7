"""`presence`: one row for each longest interval inside a shot in which a person is on screen; CSV.

Columns:
    movie_id, title: of the movie.
    person, name, uri: as in `screen-time`.
    shot: number of the shot, from 0.
    begin, end: first frame, and frame after the last.
    begin_s, end_s: the same in seconds of the film's clock, by each frame's own presentation time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from facerec.exporting.columns import csv_bytes, of_all, uri_of

if TYPE_CHECKING:
    from facerec.movies.movie import Movie


def export(movies: Sequence[Movie], suffix: str) -> Iterator[bytes]:
    """Yield the table of all `movies`."""
    yield csv_bytes(of_all(movies, _presence))


def _presence(movie: Movie) -> Any:
    table = movie.presence
    table.insert(2, "uri", table["person"].map(uri_of(movie.people)))
    return table
