"""`screen-time`: one row per person, for statistics, R and spreadsheets; CSV or Parquet.

Columns:
    movie_id, title: of the movie.
    person: id, unique within a movie; name: `unknown 17` for an unnamed cluster.
    actor_id, uri: empty if it is no actor, or has no identifiers; several are separated by spaces.
    source: `annotator`, `prediction` or `none`; probability: of a predicted name, 0..1.
    shared: True for a page of faces too poor to compare, which is not one person.
    clusters: ids in clusters.json, separated by spaces.
    seconds: time on screen; share: of the film's length, 0..1.
    shots, trajectories: number of shots with the person, and of trajectories.
    first, last: first and last frame; first_s, last_s: seconds when the first begins and the last ends.
    face_height: mean height of the face as a share of the frame's height, 0..1 (shot scale).
    face_height_px: the same in display pixels.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from facerec.exporting.columns import csv_bytes, of_all

if TYPE_CHECKING:
    from facerec.movies.movie import Movie

TIMES = "seconds of the film's clock, by each frame's own presentation time"
_RENAMED = {"n_shots": "shots", "n_trajectories": "trajectories", "mean_height": "face_height_px"}
_COLUMNS = (
    "person", "name", "actor_id", "uri", "source", "probability", "shared", "clusters", "seconds", "share",
    "shots", "trajectories", "first", "last", "first_s", "last_s", "face_height", "face_height_px",
)  # fmt: skip


def export(movies: Sequence[Movie], suffix: str) -> Iterator[bytes]:
    """Yield the table of all `movies`."""
    table = of_all(movies, _people)
    yield _parquet_bytes(table) if suffix == "parquet" else csv_bytes(table)


def _people(movie: Movie) -> Any:
    people = movie.people.rename(columns=_RENAMED)
    people["clusters"] = [" ".join(map(str, clusters)) for clusters in people["clusters"]]
    return people[list(_COLUMNS)].astype({"clusters": "str"})


def _parquet_bytes(table: Any) -> bytes:
    """Return a table as Parquet, with the meaning of its times in the file's metadata."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    written = pa.Table.from_pandas(table, preserve_index=False)
    written = written.replace_schema_metadata({**(written.schema.metadata or {}), b"times": TIMES.encode()})
    file = io.BytesIO()
    pq.write_table(written, file)
    return file.getvalue()
