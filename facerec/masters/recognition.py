"""Recognise what kind of master the paths are that a user gave."""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from facerec.errors import InputError
from facerec.folder.films import has_film_suffix
from facerec.masters.dcp import is_package
from facerec.masters.numbered import files_in_order, is_picture

_DVD = re.compile(r"VTS_([0-9]{2})_([0-9])\.VOB", re.IGNORECASE)


class Kind(enum.Enum):
    """Kind of a master."""

    PICTURES = "a folder of pictures"
    PACKAGE = "a digital cinema package"
    FILMS = "film files"


@dataclass(frozen=True)
class Master:
    """What the user gave.

    Attributes:
        folder: of the pictures or the package.
        films: the film files, in order.
    """

    kind: Kind
    folder: Path | None = None
    films: tuple[Path, ...] = ()


def recognise(paths: Sequence[Path]) -> Master:
    """Recognise a folder or films by their contents and names.

    Raises:
        InputError: they are no known kind of master.
    """
    for path in paths:
        if not path.exists():
            raise InputError(f"{path}: no such file or folder")
    if len(paths) == 1 and paths[0].is_dir():
        return _of_folder(paths[0])
    for path in paths:
        if path.is_dir():
            raise InputError(f"{path}: is a folder; give one folder, or films in the order of the parts")
        if is_picture(path.name):
            raise InputError(f"{path}: is one picture; give the folder that the frames are in")
    return Master(Kind.FILMS, films=tuple(paths))


def _of_folder(folder: Path) -> Master:
    if is_package(folder):
        return Master(Kind.PACKAGE, folder)
    files = list(files_in_order(folder))
    if any(is_picture(file.name) for file in files):
        return Master(Kind.PICTURES, folder)
    films = _title_set(folder, [file for file in files if has_film_suffix(file)])
    if films:
        return Master(Kind.FILMS, folder, tuple(films))
    inner = sorted(one.name for one in folder.iterdir() if one.is_dir() and not one.name.startswith("."))
    more = f"; it has the folders {', '.join(inner[:5])}: give the one with the film" if inner else ""
    raise InputError(f"{folder}: has no pictures, no films and no ASSETMAP of a digital cinema package{more}")


def _title_set(folder: Path, films: Sequence[Path]) -> list[Path]:
    """Return the films in their order; of a DVD's files the title, without menus."""
    parsed = [(film, _DVD.fullmatch(film.name)) for film in films]
    titles = {match[1] for _, match in parsed if match and match[2] != "0"}
    if not titles:
        return list(films)
    if len(titles) > 1:
        raise InputError(
            f"{folder}: a DVD with {len(titles)} title sets ({', '.join(sorted(titles))}); give the files of "
            "the film, as in VTS_01_1.VOB VTS_01_2.VOB"
        )
    return [film for film, match in parsed if match and match[2] != "0"]
