"""`iiif`: a manifest for the viewers of archives (IIIF Presentation 3) with annotations (W3C Web Annotation).

The film is a canvas, painted with the video. A first page of annotations has one for each interval in which
a person is on screen: its target is a time, `t=begin,end`, in seconds. A second page has where the faces
are: at most a second of a trajectory each, a region and a time. Both name the person, and have the
identifiers in authority files as bodies with the purpose `identifying`. The standard has no moving regions.

The addresses in the manifest begin with `--url`, under which manifest and film are published.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
import orjson

from facerec.exporting.clock import STATEMENT, milliseconds
from facerec.exporting.tracks import tracks

if TYPE_CHECKING:
    from facerec.movies.movie import Movie

CONTEXT = "http://iiif.io/api/presentation/3/context.json"
URL = "https://example.org/"
_FRAGMENTS = "http://www.w3.org/TR/media-frags/"
_PIECE = 1.0  # seconds of a region that does not move


def export(movies: Sequence[Movie], suffix: str, url: str = URL) -> Iterator[bytes]:
    """Yield the manifest of one movie, to be published under `url`."""
    (movie,) = movies
    base = f"{url.rstrip('/')}/{movie.movie_id}"
    canvas = f"{base}/canvas"
    size = {"width": movie.width, "height": movie.height, "duration": _seconds(movie.times.seconds[-1])}
    video = {
        "id": f"{url.rstrip('/')}/{quote(movie.film_name)}",
        "type": "Video",
        "format": mimetypes.guess_type(movie.film_name)[0] or "video/mp4",
        **size,
    }
    painting = {
        "id": f"{base}/painting/1", "type": "Annotation", "motivation": "painting", "body": video,
        "target": canvas,
    }  # fmt: skip
    manifest = {
        "@context": CONTEXT,
        "id": f"{base}.iiif.json",
        "type": "Manifest",
        "label": _text(movie.title or str(movie.movie_id)),
        "summary": {"en": [f"Who is seen when and where. {STATEMENT}"]},
        "metadata": list(_metadata(movie)),
        "items": [
            {
                "id": canvas,
                "type": "Canvas",
                **size,
                "items": [_page(f"{base}/painting", [painting])],
                "annotations": [
                    _page(f"{base}/presence", list(_presence(movie, base, canvas)), "On screen"),
                    _page(f"{base}/regions", list(_regions(movie, base, canvas)), "Faces"),
                ],
            }
        ],
    }
    yield orjson.dumps(manifest, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _metadata(movie: Movie) -> Iterator[dict[str, Any]]:
    """Yield year and cast: who is on screen for how long, and who that is."""
    if movie.year:
        yield {"label": {"en": ["Year"]}, "value": _text(movie.year)}
    for row in movie.people.itertuples():
        if row.uri:
            yield {"label": _text(row.name), "value": {"none": row.uri.split()}}


def _presence(movie: Movie, base: str, canvas: str) -> Iterator[dict[str, Any]]:
    """Yield an annotation of a time for each interval in which a person is on screen."""
    bodies = {row.person: _bodies(row.name, row.uri) for row in movie.people.itertuples()}
    for n, row in enumerate(movie.presence.itertuples(), 1):
        yield _annotation(f"{base}/presence/{n}", bodies[row.person], canvas, _time(row.begin_s, row.end_s))


def _regions(movie: Movie, base: str, canvas: str) -> Iterator[dict[str, Any]]:
    """Yield annotations of a region and a time for each trajectory."""
    n = 0
    for track in tracks(movie):
        if not track.person:
            continue
        bodies = _bodies(track.name, track.uri)
        seconds = movie.times.seconds[track.begin : track.end + 1]
        pieces = np.floor((seconds[:-1] - seconds[0]) / _PIECE)
        starts = [0, *(np.flatnonzero(np.diff(pieces)) + 1).tolist(), len(track.boxes)]
        for begin, end in pairwise(starts):
            n += 1
            x1, y1, x2, y2 = track.boxes[(begin + end) // 2]
            where = f"xywh={x1},{y1},{x2 - x1},{y2 - y1}&{_time(seconds[begin], seconds[end])}"
            yield _annotation(f"{base}/regions/{n}", bodies, canvas, where)


def _page(address: str, items: list[dict[str, Any]], label: str = "") -> dict[str, Any]:
    named = {"label": {"en": [label]}} if label else {}
    return {"id": address, "type": "AnnotationPage", **named, "items": items}


def _annotation(address: str, bodies: list[dict[str, Any]], canvas: str, fragment: str) -> dict[str, Any]:
    selector = {"type": "FragmentSelector", "conformsTo": _FRAGMENTS, "value": fragment}
    target = {"type": "SpecificResource", "source": canvas, "selector": selector}
    return {"id": address, "type": "Annotation", "motivation": "tagging", "body": bodies, "target": target}


def _bodies(name: str, uri: str) -> list[dict[str, Any]]:
    text = {"type": "TextualBody", "value": name, "format": "text/plain", "purpose": "tagging"}
    return [
        text,
        *({"type": "SpecificResource", "source": one, "purpose": "identifying"} for one in uri.split()),
    ]


def _time(begin: float, end: float) -> str:
    """Return a temporal fragment of at least a millisecond."""
    first = milliseconds(begin)
    return f"t={first / 1000:.3f},{max(milliseconds(end), first + 1) / 1000:.3f}"


def _seconds(seconds: float) -> float:
    return max(1, milliseconds(seconds)) / 1000


def _text(text: str) -> dict[str, list[str]]:
    return {"none": [text]}
