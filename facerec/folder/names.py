"""Names of movies and faces: movie ids in the names of films and folders, and the tags of saved faces."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from facerec.errors import InputError

MAX_MOVIE_ID = 2**31 - 1  # the labeling backend's database column is a signed 32-bit integer
MAX_FRAME = 2**31 - 1

Box = Sequence[int]

_TAG = re.compile(r"(?P<movie>\d+):(?P<frame>\d+):(?P<box>\d+_\d+_\d+_\d+)", re.ASCII)


def film_movie_id(film: Path) -> int:
    """Return the movie id in a film's name: the integer before the first `-` (`12345-CoolMovieFilm.mp4`).

    Raises:
        InputError: the name does not begin with an integer and `-`, or the id is above `MAX_MOVIE_ID`.
    """
    head, dash, _ = film.name.partition("-")
    if not dash or not (head.isascii() and head.isdigit()):
        raise InputError(
            f"{film}: the film's name must begin with its movie id and a '-', as in 12345-Title.mp4"
        )
    return parse_movie_id(head, film)


def is_film_of(movie_id: int, name: str) -> bool:
    """Return whether `name` is that of a film of the movie."""
    try:
        return film_movie_id(Path(name)) == movie_id
    except InputError:
        return False


def parse_movie_id(digits: str, path: Path) -> int:
    """Return the movie id written as ASCII `digits` in the name of `path`.

    Raises:
        InputError: the id is above `MAX_MOVIE_ID`.
    """
    digits = digits.lstrip("0") or "0"
    # the length is compared first because int() refuses thousands of digits with a ValueError
    if len(digits) > len(str(MAX_MOVIE_ID)) or int(digits) > MAX_MOVIE_ID:
        raise InputError(
            f"{path}: the movie id {digits[:20]} is above {MAX_MOVIE_ID}, the labeling backend's limit"
        )
    return int(digits)


def tag_of(movie_id: int, frame: int, box: Box) -> str:
    """Return the tag of the face with `box` (x1, y1, x2, y2) in `frame`: the name of its thumbnail."""
    return f"{movie_id}:{frame}:{box[0]}_{box[1]}_{box[2]}_{box[3]}"


def thumbnail_name(tag: str) -> str:
    """Return the file name of the thumbnail of the face `tag`."""
    return f"{tag}.jpeg"


def parse_tag(tag: str) -> tuple[int, int, tuple[int, int, int, int]]:
    """Return movie id, frame and box (x1, y1, x2, y2) of a tag.

    Raises:
        ValueError: `tag_of` would not have written this text.
    """
    match = _TAG.fullmatch(tag)
    if match is None:
        raise ValueError(f"{tag!r} is not a tag <movie_id>:<frame>:<x1>_<y1>_<x2>_<y2>")
    x1, y1, x2, y2 = map(int, match["box"].split("_"))
    movie, frame, box = int(match["movie"]), int(match["frame"]), (x1, y1, x2, y2)
    if tag_of(movie, frame, box) != tag:
        raise ValueError(f"{tag!r} has leading zeros")
    return movie, frame, box
