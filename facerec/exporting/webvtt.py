"""`webvtt`: subtitles with the names of who is on screen, for players; one cue per interval and person.

Each cue has the name as its voice, `<v Name>`, and as its text; its identifier is the person's id. Comments
at the beginning state the clock and the identifiers in authority files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING

from facerec.exporting.clock import STATEMENT, milliseconds, timecode

if TYPE_CHECKING:
    from facerec.movies.movie import Movie


def export(movies: Sequence[Movie], suffix: str) -> Iterator[bytes]:
    """Yield the subtitles of one movie."""
    (movie,) = movies
    head = [f"WEBVTT - {_text(movie.title)}", "", "NOTE", _text(STATEMENT)]
    head += [
        f"{_text(name)}: {_text(uri)}"
        for name, uri in zip(movie.people["name"], movie.people["uri"], strict=True)
        if uri
    ]
    yield ("\n".join(head) + "\n").encode()
    for row in movie.presence.itertuples():
        begin = milliseconds(row.begin_s)
        end = max(milliseconds(row.end_s), begin + 1)
        name = _text(row.name)
        cue = f"\n{_text(row.person)}\n{timecode(begin)} --> {timecode(end)}\n<v {name}>{name}\n"
        yield cue.encode()


def _text(text: str) -> str:
    """Return text escaped as WebVTT asks for; it can then neither be a tag nor contain an arrow."""
    return escape(text, quote=False)
