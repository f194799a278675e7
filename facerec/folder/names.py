"""The names of movies and faces: movie ids in the names of films and folders, and face tags."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from facerec.errors import InputError

MAX_MOVIE_ID = 2**31 - 1  # the labeling backend's database column


MAX_FRAME = 2**31 - 1  # a film of two years


Box = Sequence[int]


_TAG = re.compile(r"(?P<movie>\d+):(?P<frame>\d+):(?P<box>\d+_\d+_\d+_\d+)", re.ASCII)


def film_movie_id(film: Path) -> int:
    """The movie id in a film's name: the integer before the first `-` (`12345-CoolMovieFilm.mp4`)."""
    head, dash, _ = film.name.partition("-")
    if not dash or not (head.isascii() and head.isdigit()):
        raise InputError(
            f"{film}: the film's name must begin with its movie id and a '-', as in 12345-Title.mp4"
        )
    return parse_movie_id(head, film)


def parse_movie_id(digits: str, where: Path) -> int:
    digits = digits.lstrip("0") or "0"
    if len(digits) > len(str(MAX_MOVIE_ID)) or int(digits) > MAX_MOVIE_ID:
        raise InputError(
            f"{where}: the movie id {digits[:20]} is above {MAX_MOVIE_ID}, the labeling backend's limit"
        )
    return int(digits)


def tag_of(movie_id: int, frame: int, box: Box) -> str:
    """The name of a face: its picture's, without extension."""
    return f"{movie_id}:{frame}:{box[0]}_{box[1]}_{box[2]}_{box[3]}"


def thumbnail_name(tag: str) -> str:
    """The file name of the picture of the face `tag`."""
    return f"{tag}.jpeg"


def parse_tag(tag: str) -> tuple[int, int, tuple[int, int, int, int]]:
    """Movie id, frame and box of a tag; ValueError for what `tag_of` would not have written."""
    match = _TAG.fullmatch(tag)
    if match is None:
        raise ValueError(f"{tag!r} is no <movie_id>:<frame>:<x1>_<y1>_<x2>_<y2>")
    x1, y1, x2, y2 = map(int, match["box"].split("_"))
    movie, frame, box = int(match["movie"]), int(match["frame"]), (x1, y1, x2, y2)
    if tag_of(movie, frame, box) != tag:
        raise ValueError(f"{tag!r} has leading zeros")
    return movie, frame, box
