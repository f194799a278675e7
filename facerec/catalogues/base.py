"""Cast lists as they are read, and the description of the film for which a cast is wanted."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from facerec.errors import ContractError, InputError

MAX_BYTES = 64 << 20  # of a file that is read as a whole; IMDb's files are streamed
_START = 1 << 16
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class CastEntry:
    """A person of a cast list.

    Attributes:
        name: as the list spells it.
        where: place in the list, for messages: `cast.csv:3`.
        role: character, or several joined by ` / `; empty if the list has none.
        birthday: `dd.mm.yyyy`, `yyyy` or empty.
        id: actor id that the catalogue gives, such as `nm0592225` or `Q7259`; empty if it gives none.
        uris: identifiers in authority files.
        pictures: names of picture files that the list gives and that must exist.
        portraits: names of picture files in the catalogue, which may exist here.
    """

    name: str
    where: str
    role: str = ""
    birthday: str = ""
    birthplace: str = ""
    id: str = ""
    uris: tuple[str, ...] = ()
    pictures: tuple[str, ...] = ()
    portraits: tuple[str, ...] = ()


@dataclass(frozen=True)
class CastList:
    """The cast of a film.

    Attributes:
        format: name of the file format.
        title, year: of the film; empty if the list does not say.
        notes: sentences about what was left out or could not be understood.
    """

    format: str
    entries: tuple[CastEntry, ...]
    title: str = ""
    year: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wanted:
    """The film for which a cast is wanted, and how to read its list.

    Attributes:
        movie_id: of the movie here.
        name, year: of the film; empty if unknown.
        film_id: of the film in the catalogue (`tt0111161`, `Q172241`); empty to find it by name and year.
        language: of names in Wikidata, as `en`.
        columns: header of the column by what it holds, see `columns.FIELDS`.
        surname_first: names in tables are written `Hopper, Grace`.
        advance: called with the number of bytes just read of files that are streamed.
    """

    movie_id: int
    name: str = ""
    year: str = ""
    film_id: str = ""
    language: str = "en"
    columns: Mapping[str, str] = field(default_factory=dict)
    surname_first: bool = False
    advance: Callable[[int], None] = lambda n: None


class Source:
    """A file that may be a cast list.

    Raises (constructor):
        InputError: there is no such file.
        ContractError: it is a damaged gzip file.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():  # also refuses pipes, which may never end
            raise InputError(f"{path}: {'is not a file' if path.exists() else 'no such cast list'}")
        self.path = path
        with path.open("rb") as file:
            start = file.read(_START)
        self.is_gzip = start.startswith(_GZIP)
        self.start = self._first_unpacked() if self.is_gzip else start

    @cached_property
    def content(self) -> bytes:
        """All bytes, unpacked.

        Raises:
            ContractError: there are more than `MAX_BYTES`, or the gzip file is damaged.
        """
        with self._open() as file:
            try:
                content: bytes = file.read(MAX_BYTES + 1)
            except (EOFError, OSError, zlib.error) as error:
                raise damaged(self.path, error) from None
        if len(content) > MAX_BYTES:
            rule = f"has more than {MAX_BYTES >> 20} MB, too much for the cast of one film"
            raise ContractError(self.path, rule)
        return content

    @cached_property
    def document(self) -> Any:
        """The JSON value in the file; None if it does not begin as one.

        Raises:
            ContractError: it begins as one but is not valid.
        """
        if not self.start.lstrip(b"\xef\xbb\xbf\xff\xfe\0 \t\r\n").startswith((b"{", b"[")):
            return None
        try:
            return json.loads(self.content)
        except (ValueError, RecursionError) as error:
            raise ContractError(self.path, f"begins as JSON but is not valid ({error})") from None

    def _open(self) -> Any:
        return gzip.open(self.path, "rb") if self.is_gzip else self.path.open("rb")

    def _first_unpacked(self) -> bytes:
        with gzip.open(self.path, "rb") as file:
            try:
                return file.read(_START)
            except (EOFError, OSError, zlib.error) as error:
                raise damaged(self.path, error) from None


@dataclass(frozen=True)
class Format:
    """A format of cast lists.

    Attributes:
        name: for messages.
        recognises: whether a file has it, by its content.
        read: read the cast of a film from the files of this format; raises InputError and ContractError.
        several: whether a cast may be spread over several files.
    """

    name: str
    recognises: Callable[[Source], bool]
    read: Callable[[Sequence[Source], Wanted], CastList]
    several: bool = False


def damaged(path: Path, error: Exception) -> ContractError:
    """Return the error of a gzip file that cannot be unpacked to its end."""
    what = "ends too early" if isinstance(error, EOFError) else f"is damaged ({error})"
    return ContractError(path, f"the gzip file {what}; download it again")


def text_of(value: object) -> str:
    """Return a value of a JSON document as text in one line; empty if it is neither text nor a number."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return " ".join(str(value).split())
