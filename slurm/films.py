"""Find movie ids and films in the folder of films, where a film is named `<movie_id>-<title>`."""

from __future__ import annotations

from pathlib import Path

from facerec.errors import InputError
from facerec.folder.names import MAX_MOVIE_ID, film_movie_id


def movie_ids(text: str, films: Path) -> list[int]:
    """Parse a list of movie ids, separated by blanks or commas, or `all` for every film in `films`.

    Raises:
        InputError: an entry is not a movie id, the list is empty, or `all` finds no film.
    """
    if text.strip() == "all":
        found = sorted({film_movie_id(film) for film in _files(films) if _has_movie_id(film)})
        if not found:
            raise InputError(f"{films}: no film here is named <movie id>-<title>, as in 12345-Title.mp4")
        return found
    ids: list[int] = []
    for word in text.replace(",", " ").split():
        canonical = word.isascii() and word.isdigit() and (word == "0" or word[0] != "0")
        if not canonical or int(word) > MAX_MOVIE_ID:
            raise InputError(f"{word!r} is not a movie id: give a number as in MOVIE=12345, or MOVIES=all")
        if int(word) not in ids:
            ids.append(int(word))
    if not ids:
        raise InputError('which movie? Give MOVIE=12345, MOVIES="1 2 3" or MOVIES=all')
    return ids


def find_film(films: Path, movie_id: int) -> Path:
    """Return the absolute path of the only file in `films` that is named `<movie_id>-...`.

    Raises:
        InputError: there is no such file, or more than one.
    """
    found = [film for film in _files(films) if _has_movie_id(film) and film_movie_id(film) == movie_id]
    if not found:
        raise InputError(f"no film of movie {movie_id}: no file matches {films}/{movie_id}-*")
    if len(found) > 1:
        names = ", ".join(repr(film.name) for film in found)
        raise InputError(
            f"{len(found)} films of movie {movie_id} in {films}: {names}; keep only one of them there"
        )
    return found[0].absolute()


def _files(films: Path) -> list[Path]:
    try:
        return sorted(path for path in films.iterdir() if path.is_file())
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{films}: no such folder; give the folder of the films with FILMS=DIR") from None


def _has_movie_id(film: Path) -> bool:
    head, dash, _ = film.name.partition("-")
    number = head if dash and head.isascii() and head.isdigit() else ""
    return 0 < len(number) < 20 and int(number) <= MAX_MOVIE_ID  # a clip named by its date has no movie id
