"""`ass`: subtitles that draw a moving box around every face, with its name (Advanced SubStation Alpha).

ASS has hundredths of a second. A box stays where it is until the face has moved by more than a fiftieth of
its height. Comments at the beginning state the clock and the identifiers in authority files. ASS cannot hold
braces and backslashes: names have parentheses and slashes instead.
"""

from __future__ import annotations

import colorsys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from facerec.exporting.clock import STATEMENT, milliseconds, timecode
from facerec.exporting.tracks import Track, tracks
from facerec.folder.people import NONE

if TYPE_CHECKING:
    from facerec.movies.movie import Movie

_TOLERANCE = 0.02  # of the height of a box, by which it may be off; at least a pixel
_PLAIN = str.maketrans({"{": "(", "}": ")", "\\": "/", ",": ";"})
_STYLE = (
    "Style: {},Arial,{},&H00FFFFFF,&H00FFFFFF,&H00000000,&H80000000,{},0,0,0,100,100,0,0,1,{},0,{},0,0,0,1\n"
)
_UNNAMED = "C0C0C0"
_GOLDEN = 0.618034  # share of the colour circle between two people, so that all differ


def export(movies: Sequence[Movie], suffix: str) -> Iterator[bytes]:
    """Yield the subtitles of one movie."""
    (movie,) = movies
    colours = {person: _colour(rank) for rank, person in enumerate(movie.people["person"])}
    starts = [_hundredths(milliseconds(seconds)) for seconds in movie.times.seconds.tolist()]
    yield _head(movie).encode()
    for track in tracks(movie):
        if track.person:
            colour = _UNNAMED if track.source == NONE else colours[track.person]
            yield "".join(_events(movie, track, starts, colour)).encode()


def _head(movie: Movie) -> str:
    size = max(12, movie.height // 20)
    uris = zip(movie.people["name"], movie.people["uri"], strict=True)
    return "".join(
        (
            f"[Script Info]\n; {STATEMENT}\n",
            *(f"; {_plain(name)}: {uri}\n" for name, uri in uris if uri),
            f"Title: {_plain(movie.title)}\nScriptType: v4.00+\nPlayResX: {movie.width}\n",
            f"PlayResY: {movie.height}\nLayoutResX: {movie.width}\nLayoutResY: {movie.height}\n",
            "WrapStyle: 2\nScaledBorderAndShadow: yes\nYCbCr Matrix: None\n\n[V4+ Styles]\n",
            "Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, ",
            "Bold, Italic, Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, ",
            "Shadow, Alignment, MarginL, MarginR, MarginV, Encoding\n",
            _STYLE.format("Box", size, 0, 0, 7),
            _STYLE.format("Name", size, -1, max(1, size // 12), 1),
            "\n[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n",
        )
    )


def _events(movie: Movie, track: Track, starts: Sequence[str], colour: str) -> Iterator[str]:
    """Yield the events of one trajectory; `starts` has the time of each frame."""
    line, name = max(2, movie.height // 180), _plain(track.name)
    for begin, end in _still(track.boxes):
        x1, y1, x2, y2 = track.boxes[begin]
        when = f"{starts[track.begin + begin]},{starts[track.begin + end]}"
        w, h = x2 - x1, y2 - y1
        outer, inner = f"m 0 0 l {w} 0 {w} {h} 0 {h}", f"m {line} {line} l {line} {h - line} "
        inner += f"{w - line} {h - line} {w - line} {line}"  # in the opposite direction: a hole
        yield (
            f"Dialogue: 0,{when},Box,{name},0,0,0,,"
            f"{{\\pos({x1},{y1})\\1c&H{colour}&\\p1}}{outer} {inner}{{\\p0}}\n"
        )
        above = y1 > movie.height // 15
        where = f"\\an1\\pos({x1},{y1})" if above else f"\\an7\\pos({x1 + 2 * line},{y1 + line})"
        yield f"Dialogue: 1,{when},Name,{name},0,0,0,,{{{where}\\1c&H{colour}&}}{name}\n"


def _still(boxes: Sequence[Sequence[int]]) -> Iterator[tuple[int, int]]:
    """Yield runs [begin, end) of boxes that are nearly equal."""
    begin = 0
    for end in range(1, len(boxes) + 1):
        first = boxes[begin]
        limit = max(1, _TOLERANCE * (first[3] - first[1]))
        if end == len(boxes) or any(abs(a - b) > limit for a, b in zip(first, boxes[end], strict=True)):
            yield begin, end
            begin = end


def _hundredths(ms: int) -> str:
    """Return milliseconds as `h:mm:ss.cc`, rounded down."""
    hours, rest = timecode(ms)[:-1].split(":", 1)
    return f"{int(hours)}:{rest}"


def _colour(rank: int) -> str:
    """Return a bright colour as ASS writes it, blue first."""
    red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb(rank * _GOLDEN % 1, 0.55, 1))
    return f"{blue:02X}{green:02X}{red:02X}"


def _plain(text: str) -> str:
    """Replace the characters that have a meaning in a line of ASS."""
    return text.translate(_PLAIN)
