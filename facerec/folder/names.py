"""Names of movies and faces: movie ids in the names of films and folders, and the tags of saved faces."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from facerec.errors import InputError

if TYPE_CHECKING:  # it loads numpy, which --help does not need
    from facerec.geometry import Box

MAX_MOVIE_ID = 2**31 - 1  # the labeling backend's database column is a signed 32-bit integer
MAX_FRAME = 2**31 - 1

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


def same_name(one: str, other: str) -> bool:
    """Return whether two file names are equal but for the Unicode form: Macs write é as e and an accent."""
    return _normalised(one) == _normalised(other)


def existing_path(path: Path) -> Path:
    """Return `path`, or the existing path that differs from it in the Unicode form only."""
    if path.exists() or path.parent == path:
        return path
    folder = existing_path(path.parent)
    try:
        names = _names_in(folder, folder.stat().st_mtime_ns)
    except OSError:
        return path
    return folder / names.get(_normalised(path.name), path.name)


def other_unicode_form(name: str, path: Path) -> str:
    """Return a message about a file with another Unicode form of its name in a table than on disk."""
    return (
        f"{name!r} is written with other Unicode characters than the file {path.name!a} that looks the "
        f"same, so the labeling backend does not find it; rename the file to {Path(name).name!a}"
    )


@lru_cache(maxsize=64)
def _names_in(folder: Path, _mtime_ns: int) -> dict[str, str]:
    """Return the names of the files in a folder by their normalised form; of equal ones the first."""
    names = sorted((path.name for path in folder.iterdir()), reverse=True)
    return {_normalised(name): name for name in names}


def _normalised(name: str) -> str:
    return unicodedata.normalize("NFC", name)


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


def tag_of(movie_id: int, frame: int, box: Sequence[int]) -> str:
    """Return the tag of the face with `box` (x1, y1, x2, y2) in `frame`: the name of its thumbnail."""
    return f"{movie_id}:{frame}:{box[0]}_{box[1]}_{box[2]}_{box[3]}"


def thumbnail_name(tag: str) -> str:
    """Return the file name of the thumbnail of the face `tag`."""
    return f"{tag}.jpeg"


def parse_tag(tag: str) -> tuple[int, int, Box]:
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
