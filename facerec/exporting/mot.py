"""`mot`: tracks for research on tracking (MOT Challenge), a ZIP archive with `gt/gt.txt`.

The id of a trajectory is its index + 1, its class is 1, `face`. Visibility is 1 where the face was detected
and 0 where the box was interpolated. `gt/identities.csv` has person, name and identifiers of each id.
Frames are counted from 1, also where the frame rate varies. Trajectories that annotators called no face are
left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from facerec.exporting.clock import STATEMENT
from facerec.exporting.tracks import Track, tracks
from facerec.interchange.mot import Identity, MotSequence

if TYPE_CHECKING:
    from facerec.movies.movie import Movie


def export(movies: Sequence[Movie], suffix: str) -> Iterator[bytes]:
    """Yield the archive of one movie."""
    (movie,) = movies
    shown = [track for track in tracks(movie) if track.person]
    rows = np.array(list(chain.from_iterable(map(_rows, shown))), np.int64).reshape(-1, 7)
    yield MotSequence(
        str(movie.movie_id),
        movie.frame_count,
        max(1, round(movie.frame_rate)),
        movie.width,
        movie.height,
        rows[np.lexsort((rows[:, 1], rows[:, 0]))],
        [Identity(track.trajectory + 1, track.person, track.name, track.uri) for track in shown],
        f"frame n of this sequence is frame n - 1 of the film. {STATEMENT}",
    ).to_zip()


def _rows(track: Track) -> Iterator[tuple[int, ...]]:
    for frame, ((x1, y1, x2, y2), detected) in enumerate(
        zip(track.boxes, track.detected, strict=True), track.begin + 1
    ):
        yield frame, track.trajectory + 1, x1, y1, x2 - x1, y2 - y1, int(detected)
