"""Find movie ids and films in the folder of films, where a film is named `<movie_id>-<title>`.

Media libraries keep subtitles, posters, descriptions and trailers beside a film, under its name. They are
ignored.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from facerec.errors import InputError
from facerec.folder.film_commands import id_in_name, needs_film_of
from facerec.folder.names import MAX_MOVIE_ID, film_movie_id

log = logging.getLogger(__name__)

_SUBTITLES = "srt sub idx sup ass ssa vtt ttml dfxp smi sami usf mks sbv stl scc mcc lrc rt"
_PICTURES = "jpg jpeg jpe png webp avif gif bmp tbn tif tiff heic heif ico svg bif psd jxl xmp"
_TEXTS = (
    "nfo txt md rtf pdf doc docx odt html htm xml json jsonl yaml yml toml csv tsv log url webloc desktop "
    "ini db edl m3u m3u8 pls cue strm bup ifo lnk meta"
)
_SOUND = "mp2 mp3 m4a m4b aac ac3 eac3 dts dtshd thd truehd mka flac wav w64 aif aiff ogg oga opus wma ape"
_SUMS_AND_ARCHIVES = "md5 sha1 sha256 sha512 sfv crc par2 torrent nzb zip rar 7z gz bz2 xz zst tar tgz iso"
_INCOMPLETE = "part partial crdownload download tmp temp aria2 !ut !qb bak orig swp"
_NO_FILMS = frozenset(
    " ".join((_SUBTITLES, _PICTURES, _TEXTS, _SOUND, _SUMS_AND_ARCHIVES, _INCOMPLETE)).split()
)
_FILM_SUFFIXES = (
    "mp4 m4v mov qt mkv webm avi divx xvid mpg mpeg mpe m1v m2v mpv ts m2t m2ts mts tp trp vob dat evo wmv "
    "asf flv f4v ogv ogm ogx rm rmvb 3gp 3g2 mxf gxf lxf dv dif nut wtv mjpeg mjpg mj2 y4m h264 264 avc h265 "
    "265 hevc h266 vvc av1 obu ivf vc1 swf nsv bik smk"
)
_FILMS = frozenset(_FILM_SUFFIXES.split())
# what media servers append to a film's name for clips that belong to it
_EXTRAS = (
    "trailer|teaser|sample|featurette|behindthescenes|deleted|interview|scene|short|clip|extra|other|theme"
)
_EXTRA = re.compile(f"[-. _]({_EXTRAS})[0-9]*", re.IGNORECASE)


def movie_ids(text: str, films: Path) -> list[int]:
    """Parse a list of movie ids, separated by blanks or commas, or `all` for every film in `films`.

    Raises:
        InputError: an entry is not a movie id, the list is empty, or `all` finds no film.
    """
    if text.strip() == "all":
        found = sorted({film_movie_id(file) for file in _files(films) if not _is_no_film(file)})
        folders = [folder for folder in folders_of_films(films) if film_movie_id(folder) not in found]
        if not found:
            if folders:
                raise InputError(needs_film_of(folders[0]))
            raise InputError(f"{films}: no film here is named <movie id>-<title>, as in 12345-Title.mp4")
        for folder in folders:
            log.warning("%s", needs_film_of(folder))
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
    named = [file for file in _files(films) if film_movie_id(file) == movie_id]
    found = films_among(named)
    if not found:
        folders = [folder for folder in folders_of_films(films) if film_movie_id(folder) == movie_id]
        if folders:
            raise InputError(needs_film_of(folders[0]))
        passed = f", and {', '.join(repr(file.name) for file in named[:5])} is no film" if named else ""
        raise InputError(f"no film of movie {movie_id}: no file matches {films}/{movie_id}-*{passed}")
    if len(found) > 1:
        names = ", ".join(repr(film.name) for film in found)
        raise InputError(
            f"{len(found)} films of movie {movie_id} in {films}: {names}; keep only one of them there"
        )
    return found[0].absolute()


def films_of_all(films: Path) -> dict[int, Path]:
    """Return the films in `films` by movie id, without movies of several films; the folder is listed once."""
    return {movie: found[0].absolute() for movie, found in _films_by_movie(films).items() if len(found) == 1}


def movies_of_several_films(films: Path) -> list[int]:
    """Return the ids of which `films` has several films; none of these movies can be run."""
    return sorted(movie for movie, found in _films_by_movie(films).items() if len(found) > 1)


def _films_by_movie(films: Path) -> dict[int, list[Path]]:
    named: dict[int, list[Path]] = {}
    for file in _files(films):
        named.setdefault(film_movie_id(file), []).append(file)
    return {movie: films_among(files) for movie, files in named.items()}


def folders_of_films(films: Path) -> list[Path]:
    """Return the folders in `films` that are named `<movie_id>-<title>`: frames, packages, films in parts.

    Without `<movie_id>-data`, the results of a movie.
    """

    def wanted(name: str) -> bool:
        return _has_movie_id(name) and not name.endswith("-data")

    with os.scandir(films) as entries:
        return sorted(films / one.name for one in entries if wanted(one.name) and one.is_dir())


def check_film_exists(path: Path, movie_id: int | None = None, title: str = "") -> None:
    """Raise InputError if a path is not a file; the message for a folder says how to make a film of it.

    Args:
        movie_id: that the film is to have in its name, with `title`; None for the folder's.
    """
    if path.is_dir():
        raise InputError(needs_film_of(path, movie_id, title))
    if not path.is_file():
        raise InputError(f"{path}: no such film")


def has_film_suffix(file: Path) -> bool:
    """Return whether a file is a film by its suffix."""
    return _suffix(file) in _FILMS


def films_among(files: Sequence[Path]) -> list[Path]:
    """Return the films among the files of one movie.

    A file without a known suffix counts as a film only if no other file is one.
    """
    possible = [file for file in files if not _is_no_film(file)]
    films = [file for file in possible if _suffix(file) in _FILMS] or possible
    return [film for film in films if not any(_is_extra(film, of) for of in films)]


def _is_no_film(file: Path) -> bool:
    return _suffix(file) in _NO_FILMS or file.name.endswith("~")


def _is_extra(clip: Path, film: Path) -> bool:
    """Return whether `clip` is named as a trailer or another extra of `film`."""
    return clip.stem.startswith(film.stem) and bool(_EXTRA.fullmatch(clip.stem[len(film.stem) :]))


def _suffix(file: Path) -> str:
    return file.suffix[1:].lower()


def _files(films: Path) -> list[Path]:
    """Return the files that are named as a movie's."""
    return _all_files(films, _has_movie_id)


def files_without_movie_id(films: Path) -> list[Path]:
    """Return the films in `films`, by their suffixes, that are not named `<movie_id>-<title>`."""
    return _all_files(films, lambda name: _suffix(Path(name)) in _FILMS and not _has_movie_id(name))


def _all_files(films: Path, wanted: Callable[[str], bool]) -> list[Path]:
    try:
        with os.scandir(films) as entries:  # most file systems say there what is a file
            return sorted(films / one.name for one in entries if wanted(one.name) and one.is_file())
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(
            f"{films}: no such folder; give the folder of the films with FILMS=DIR (make) or --films DIR"
        ) from None


def _has_movie_id(name: str) -> bool:
    return id_in_name(name) is not None
