"""`eaf`: annotations for ELAN, one tier per person, one annotation per interval on screen, in milliseconds.

The value of an annotation is the name. Tiers have the person's first identifier as external reference; the
file's properties have all of them and state the clock.
"""

from __future__ import annotations

import mimetypes
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote

from facerec.exporting.clock import STATEMENT, milliseconds
from facerec.interchange.elan import ElanDocument, Interval, Tier

if TYPE_CHECKING:
    from facerec.movies.movie import Movie


def export(movies: Sequence[Movie], suffix: str) -> Iterator[bytes]:
    """Yield the file of one movie."""
    (movie,) = movies
    for line in document(movie).to_xml():
        yield line.encode()


def document(movie: Movie) -> ElanDocument:
    """Return the annotations of a movie."""
    people, presence = movie.people, movie.presence
    namesakes = Counter(people["name"])
    intervals: dict[str, list[Interval]] = {person: [] for person in people["person"]}
    for row in presence.itertuples():
        begin, end = milliseconds(row.begin_s), milliseconds(row.end_s)
        intervals[row.person].append(Interval(begin, max(end, begin + 1), row.name))
    tiers = tuple(
        Tier(
            row.name if namesakes[row.name] == 1 else f"{row.name} ({row.person})",
            row.name,
            row.uri.partition(" ")[0],
            tuple(intervals[row.person]),
        )
        for row in people.itertuples()
    )
    properties = {
        "facerec:movie_id": str(movie.movie_id),
        "facerec:title": movie.title,
        "facerec:clock": STATEMENT,
    }
    properties |= {f"facerec:uri:{row.person}": row.uri for row in people.itertuples() if row.uri}
    film = quote(movie.film_name)
    return ElanDocument(
        movie.manifest["stages"]["classify_knn"]["made_at"],
        f"file:///{film}",
        mimetypes.guess_type(movie.film_name)[0] or "video/unknown",
        f"./{film}",
        tiers,
        properties,
    )
