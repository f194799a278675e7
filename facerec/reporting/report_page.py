"""The report on one movie: a page that opens from the file system, and its summary for the index."""

from __future__ import annotations

import datetime
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from facerec import __version__
from facerec.folder.layout import MovieFolder
from facerec.movies.movie import Movie
from facerec.reporting.page import json_block, render
from facerec.reporting.page_data import page_data, relative_address
from facerec.reporting.page_facts import page_facts
from facerec.reporting.review_data import review_data

STYLES = ("report.css", "review.css")
SCRIPTS = (
    "core.js",
    "sortable.js",
    "people.js",
    "timeline.js",
    "timeline_input.js",
    "moment.js",
    "tables.js",
    "review_work.js",
    "review_queue.js",
    "review.js",
    "page.js",
)
FILTERS = (
    ("all", "Everybody"),
    ("named", "Named"),
    ("unsure", "Not sure"),
    ("unknown", "Unknown"),
    ("shared", "Not one person"),
)
STANDALONE_BYTES = 6_000_000  # of pictures inside one page: what a mail server still takes
_MOST_FACES, _LEAST_FACES = 6, 1  # of a person, in a page with pictures inside


def report_page(movie: Movie, page: Path, *, standalone: bool = False, index: Path | None = None) -> bytes:
    """Return the report on a movie.

    Args:
        page: where it will be written; addresses of pictures and film are relative to it.
        standalone: put the best pictures of each person inside; the page then refers to no other file.
        index: the page over several movies, for a link.

    Raises:
        ContractError: a file of the folder breaks a rule.
    """
    data = page_data(movie, page)
    if standalone:
        _embed_pictures(data, MovieFolder(movie.path))
    made = {
        "program": f"facerec {__version__}",
        "at": f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC",
    }
    return render(
        "report.html.j2",
        STYLES,
        SCRIPTS,
        standalone=standalone,
        movie=data["movie"],
        made=made,
        coverage=data["coverage"],
        shards=data["shards"],
        index_href=None if standalone or index is None else relative_address(index, page),
        filters=FILTERS,
        histograms=_HISTOGRAMS if data["histograms"] else (),
        summary_json=json_block(summary(data)),
        data_json=json_block(data),
        review_json="" if standalone or data["images"] is None else json_block(review_data(movie)),
        **page_facts(movie),
    )


_HISTOGRAMS = (  # key, caption, unit
    ("height", "Height of saved faces, in pixels", " px"),
    ("quality", "Quality of saved faces: how much they say about who it is", ""),
)


def summary(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the summary of a movie for the index over several: the movie and its named people."""
    keys = ("person", "name", "source", "probability", "seconds", "shots", "first", "uri")
    people = [person for person in data["people"] if not person["shared"]]
    return {
        "format": 1,
        "movie": {key: data["movie"][key] for key in ("id", "title", "year", "seconds")},
        "shots": len(data["cuts"]) + 1 if data["movie"]["frames"] else 0,
        "unnamed": sum(not person["named"] for person in people),
        "people": [
            {**{key: person[key] for key in keys}, "face": next(iter(person["faces"]), None)}
            for person in people
            if person["named"]
        ],
    }


def _embed_pictures(data: dict[str, Any], folder: MovieFolder) -> None:
    """Put the best pictures of each person into the data, as many as `STANDALONE_BYTES` allow."""
    embedded: dict[str, str] = {}
    size = 0
    for rank in range(_MOST_FACES):  # first the best of everybody, then the second best of everybody …
        for person in data["people"]:
            if rank >= len(person["faces"]) or (rank >= _LEAST_FACES and size > STANDALONE_BYTES):
                continue
            face = person["faces"][rank]
            jpeg = folder.thumbnail(f"{folder.movie_id}:{face}").read_bytes()
            embedded[face] = f"data:image/jpeg;base64,{b64encode(jpeg).decode()}"
            size += len(embedded[face])
    for shown in (*data["people"], *data["clusters"]):
        shown["faces"] = [face for face in shown["faces"] if face in embedded]
    pictures = data["trajectories"]["pictures"]
    data["trajectories"]["pictures"] = [[face for face in faces if face in embedded] for faces in pictures]
    data["pictures"], data["images"], data["movie"]["film_href"] = embedded, None, None
