"""Give a film the name that the program and the labeling backend need: `<movie id>-Title.ext`.

A link beside the film, or a new name. Obstacles are reported: another film of the movie, a film
that is another movie already, files beside it that the labeling backend would take for a film.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facerec.errors import InputError
from facerec.folder.films import check_film_exists, films_among
from facerec.folder.layout import MovieFolder
from facerec.folder.names import is_film_of, same_name
from facerec.folder.plan import read_plan

_MAX_LISTED = 8


@dataclass(frozen=True)
class FilmLink:
    """How a film gets its name.

    Attributes:
        film: its present path.
        path: the one that it gets; equal to `film` if its name is right already.
        renames: move the film, instead of making a link to it.
        notes: sentences about other files.
    """

    film: Path
    path: Path
    renames: bool
    notes: tuple[str, ...]

    @property
    def is_done(self) -> bool:
        """Whether the film has that name already."""
        return self.film == self.path or (self.path.exists() and not self.renames)

    def describe(self) -> str:
        """Return the planned action, in one line."""
        verb = "rename" if self.renames else "link"
        return f"{verb} {self.film} -> {self.path}"


def film_title(name: str) -> str:
    """Return a title as part of a file name: `Cool Movie Film` becomes `CoolMovieFilm`.

    Accents and punctuation are dropped; letters of other scripts stay.
    """
    letters = (c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    plain = unicodedata.normalize("NFC", "".join(letters)).replace("'", "").replace("’", "")
    words = [word[0].upper() + word[1:] for word in re.findall(r"[^\W_]+", plain)]
    return "".join(words)[:150] or "Film"


def plan_film(film: Path, movie_id: int, name: str, films: Path | None, *, rename: bool) -> FilmLink:
    """Decide which name a film gets, and check that nothing stands in the way.

    Args:
        films: folder of the films, made if it does not exist; None for the folder that the film is in.

    Raises:
        InputError: there is no such film, or its id or name is in use.
    """
    folder = films or film.parent
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is not a folder")
    named = folder / f"{movie_id}-{film_title(name)}{film.suffix}"
    if rename and not film.exists() and named.is_file():
        film = named  # an earlier run renamed it
    check_film_exists(film, movie_id, film_title(name) if name else "")
    if number := _id_in_name(film):
        if number != movie_id:
            raise InputError(
                f"{film}: is named as movie {number}, not {movie_id}; give --movie {number} or rename it"
            )
        path = folder / film.name
    else:
        path = named
    if rename and _another_file_system(film, folder):
        raise InputError(
            f"{film}: is on another file system than {folder}; move it there, or leave out --rename"
        )
    renames = rename and path != film
    notes = [*_check_folder(film, path, movie_id), *_files_beside(film, path, renames)]
    return FilmLink(film, path, renames, tuple(notes))


def check_results(out: Path, movie_id: int, film: Path) -> None:
    """Check that a folder of results of the movie, if there is one, is of this film.

    Raises:
        InputError: it is of a film with another name.
    """
    folder = MovieFolder(out / f"{movie_id}-data")
    plan = read_plan(folder) if folder.path.is_dir() else None
    name = str(plan.film.get("name")) if plan else film.name
    if not same_name(name, film.name):
        raise InputError(
            f"{folder.path}: is of the film {name!r}, so movie {movie_id} is in use; choose another id, or "
            "give another --out"
        )


def display_size(film: Path) -> tuple[int, int]:
    """Return width and height in pixels at which a film is shown, by its first frame.

    Raises:
        InputError: the file is not a film, or no frame of it can be decoded.
    """
    from facerec.video.film import describe_film

    found = describe_film(film, np.zeros(1, np.int64), seekable=False)
    return found.display_width, found.display_height


@contextmanager
def film_named(link: FilmLink | None) -> Iterator[None]:
    """Give the film its name; take it back if the block raises."""
    if link is None or link.is_done:
        yield
        return
    folder = link.path.parent
    is_new = not folder.is_dir()
    folder.mkdir(parents=True, exist_ok=True)
    if link.renames:
        link.film.rename(link.path)
    else:
        try:
            link.path.symlink_to(_target(link))
        except OSError as error:
            if is_new:
                folder.rmdir()
            raise InputError(
                f"{link.path}: no link can be made here ({error.strerror}); use --rename, or --films for "
                "another folder"
            ) from None
    try:
        yield
    except BaseException:
        with suppress(OSError):
            if link.renames:
                link.path.rename(link.film)
            else:
                link.path.unlink()
            if is_new:
                folder.rmdir()
        raise


def _target(link: FilmLink) -> Path:
    """Return what the link holds: relative in one folder, so that the folder can be moved."""
    if link.film.parent.resolve() == link.path.parent.resolve():
        return Path(link.film.name)
    return link.film.resolve()


def _id_in_name(path: Path) -> int | None:
    """Return the movie id in the name of a film, `12345-Title.mkv`; None if it has none.

    A title may begin with a number and a dash (`300 - Rise of an Empire`): an id has no blank behind it.
    """
    match = re.match(r"([0-9]{1,10})-\S", path.name)
    return int(match[1]) if match else None


def _another_file_system(film: Path, folder: Path) -> bool:
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    return film.stat().st_dev != nearest.stat().st_dev


def _check_folder(film: Path, path: Path, movie_id: int) -> Iterator[str]:
    """Yield sentences about other files of the movie; raise if one of them is a film."""
    if path.exists() and not _same_file(path, film):
        raise InputError(
            f"{path}: is another film than {film}; movie {movie_id} is in use, choose another id"
        )
    if path.is_symlink() and not path.exists():
        raise InputError(f"{path}: is a link to a file that is gone; remove it")
    present = sorted(path.parent.iterdir()) if path.parent.is_dir() else []
    others = [other for other in present if other not in (path, film) and other.is_file()]
    films = films_among([path, *(other for other in others if is_film_of(movie_id, other.name))])
    for other in others:
        if is_film_of(movie_id, other.name):
            if _same_file(other, film):
                raise InputError(
                    f"{other}: is the same film as {film} with another name; keep one of the two"
                )
            if other in films:
                raise InputError(
                    f"{other}: is a film of movie {movie_id} already; choose another id, or move it elsewhere"
                )
            yield (
                f"{other.name} is named as movie {movie_id} too: the labeling backend takes the last of them "
                "by name as the film; keep it in another folder"
            )
        elif (number := _id_in_name(other)) is not None and _same_file(other, film):
            raise InputError(f"{film}: is movie {number} already, as {other.name}; give --movie {number}")


def _files_beside(film: Path, path: Path, renames: bool) -> Iterator[str]:
    """Yield sentences about files that belong to the film by their names."""
    follows = re.compile(re.escape(film.stem) + r"($|\W|_)")
    beside = [
        p.name for p in sorted(film.parent.iterdir()) if p != film and follows.match(p.name) and p != path
    ]
    if beside:
        more = f" and {len(beside) - _MAX_LISTED} more" if len(beside) > _MAX_LISTED else ""
        yield f"beside the film, left as they are: {', '.join(beside[:_MAX_LISTED])}{more}"
    number = re.match(r"\s*([0-9]+)\s*-", film.name)
    if number and film.parent == path.parent and film != path and not renames:
        yield (
            f"the labeling backend reads {film.name!r} as movie {int(number[1])}; rename it (--rename), or "
            "keep films with numbers of their own in another folder (--films)"
        )


def _same_file(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False
