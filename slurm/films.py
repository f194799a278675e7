"""Which film is meant: `films/12345-*`, one and no more."""

from __future__ import annotations

from pathlib import Path

from facerec.errors import InputError
from facerec.folder.names import MAX_MOVIE_ID, film_movie_id


def movie_ids(text: str, films: Path) -> list[int]:
    """The movies of a list such as `1 2 3` (blanks or commas), or of `all`: every film in `films`.

    Raises:
        InputError: an entry is no movie id, or `all` finds no film.
    """
    if text.strip() == "all":
        found = sorted({film_movie_id(film) for film in _films(films) if _has_id(film)})
        if not found:
            raise InputError(f"{films}: no film here is named <movie id>-<title>, as in 12345-Title.mp4")
        return found
    ids: list[int] = []
    for word in text.replace(",", " ").split():
        plain = word.isascii() and word.isdigit() and (word == "0" or word[0] != "0")
        if not plain or int(word) > MAX_MOVIE_ID:
            raise InputError(f"{word!r} is no movie id: give a number such as MOVIE=12345, or MOVIES=all")
        if int(word) not in ids:
            ids.append(int(word))
    if not ids:
        raise InputError('which movie? Give MOVIE=12345, MOVIES="1 2 3" or MOVIES=all')
    return ids


def find_film(films: Path, movie_id: int) -> Path:
    """The film of `movie_id`: the one file in `films` whose name begins with the id and a `-`.

    Raises:
        InputError: there is none, or more than one.
    """
    found = [film for film in _films(films) if _has_id(film) and film_movie_id(film) == movie_id]
    if not found:
        raise InputError(f"no film of movie {movie_id}: {films}/{movie_id}-* matches nothing")
    if len(found) > 1:
        names = ", ".join(repr(film.name) for film in found)
        raise InputError(f"{len(found)} films of movie {movie_id} in {films}: {names}; move all but one away")
    return found[0].absolute()


def _films(films: Path) -> list[Path]:
    try:
        return sorted(path for path in films.iterdir() if path.is_file())
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{films}: no such folder; say where the films are with FILMS=DIR") from None


def _has_id(film: Path) -> bool:
    head, dash, _ = film.name.partition("-")
    number = head if dash and head.isascii() and head.isdigit() else ""
    return 0 < len(number) < 20 and int(number) <= MAX_MOVIE_ID  # a clip named after its date has no id
