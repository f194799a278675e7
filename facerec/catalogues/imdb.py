"""IMDb's dataset files: `title.basics`, `title.principals` and `name.basics`, .tsv.gz or .tsv.

They have tens of millions of rows, so they are read as streams: memory does not grow with them. A film is
found by its IMDb id, or by title and year in `title.basics`. The format is described at
https://developer.imdb.com/non-commercial-datasets/.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Collection, Iterator, Sequence
from typing import IO

from facerec.catalogues.base import CastEntry, CastList, Format, Source, Wanted, damaged
from facerec.catalogues.identifiers import person_of
from facerec.errors import ContractError, InputError
from facerec.support.text import counted, fold

_BLOCK = 1 << 20  # bytes read at once
_FEW = 8  # keys up to which a block is searched for each of them and not split into lines
_MAX_LISTED = 6
_EMPTY = "\\N"
_HEADERS = {
    "title.basics": b"tconst\ttitleType\tprimaryTitle\toriginalTitle\tisAdult\tstartYear\t",
    "title.principals": b"tconst\tordering\tnconst\tcategory\tjob\tcharacters",
    "name.basics": b"nconst\tprimaryName\tbirthYear\t",
}
_CAST = ("actor", "actress", "self", "archive_footage")
_FILMS = (
    "movie",
    "tvMovie",
    "short",
    "video",
    "tvSpecial",
    "tvShort",
    "tvMiniSeries",
    "tvEpisode",
)


def kind_of(source: Source) -> str | None:
    """Return which of the three files it is; None if it is another file."""
    return next((kind for kind, header in _HEADERS.items() if source.start.startswith(header)), None)


def read(sources: Sequence[Source], wanted: Wanted) -> CastList:
    """Read the cast of a film; `title.basics` may be missing if the film's IMDb id is given."""
    files: dict[str, Source] = {}
    for source in sources:
        kind = str(kind_of(source))
        if kind in files:
            raise InputError(f"{files[kind].path} and {source.path} are both {kind}; give one of them")
        files[kind] = source
    needed = {"title.principals", "name.basics"} | (set() if wanted.film_id else {"title.basics"})
    if missing := sorted(needed - files.keys()):
        names = " and ".join(f"{kind}.tsv.gz" for kind in missing)
        without = ", or give the film's IMDb id: --title-id tt0111161" if missing == ["title.basics"] else ""
        raise InputError(f"of IMDb's files {names} is missing; give it with the others{without}")
    film, title, year = wanted.film_id, "", ""
    if "title.basics" in files:
        film, title, year = _find_film(files["title.basics"], wanted)
    people: dict[str, tuple[str, list[str]]] = {}
    for row in _rows(files["title.principals"], [film], wanted):
        if len(row) >= 6 and row[3] in _CAST:
            _, roles = people.setdefault(row[2], (f"{film}, {row[3]}", []))
            roles += [role for role in _roles(row) if role not in roles]
    if not people:
        raise InputError(f"{files['title.principals'].path}: has no actor of {film}")
    known = {row[0]: row for row in _rows(files["name.basics"], people, wanted) if len(row) >= 3}
    if unknown := sorted(people.keys() - known.keys()):
        few = ", ".join(unknown[:_MAX_LISTED])
        size = counted(len(unknown), "person", "people")
        raise InputError(
            f"{files['name.basics'].path}: has no row for {size} of {film} "
            f"({few}); download all files on the same day"
        )
    entries = [_entry(actor, known[actor], where, roles) for actor, (where, roles) in people.items()]
    size = counted(len(entries), "person", "people")
    note = f"IMDb's title.principals has the main cast only: {size} of {film}"
    return CastList("IMDb dataset files", tuple(entries), title, year, (note,))


FORMAT = Format("IMDb's dataset files", lambda source: kind_of(source) is not None, read, several=True)


def _entry(actor: str, row: Sequence[str], where: str, roles: Sequence[str]) -> CastEntry:
    found = person_of(actor)
    if found is None:
        raise InputError(f"{actor[:40]!r} in title.principals is not the id of a person, as nm0592225")
    year = row[2] if row[2].isascii() and row[2].isdigit() and len(row[2]) == 4 else ""
    return CastEntry(row[1], where, " / ".join(roles), year, id=actor, uris=(found[1],))


def _roles(row: Sequence[str]) -> list[str]:
    """Return the characters in a row of title.principals, a JSON list."""
    own = ["Self"] if row[3] == "self" else ["archive footage"] if row[3] == "archive_footage" else []
    if row[5] == _EMPTY:
        return own
    try:
        characters = json.loads(row[5])
    except ValueError:
        return own
    return [" ".join(str(one).split()) for one in characters] if isinstance(characters, list) else own


def _find_film(source: Source, wanted: Wanted) -> tuple[str, str, str]:
    """Return id, title and year of the film.

    Raises:
        InputError: no row fits, or several do.
    """
    if wanted.film_id:
        row = next(_rows(source, [wanted.film_id], wanted), None)
        if row is None or len(row) < 6:
            raise InputError(f"{source.path}: has no title {wanted.film_id!r}; an id is as in tt0111161")
        return row[0], row[2], "" if row[5] == _EMPTY else row[5]
    if not (wanted.name and wanted.year):
        raise InputError(
            "which film of IMDb's? Give --name and --year, or its IMDb id: --title-id tt0111161 "
            "(the number in its address, www.imdb.com/title/tt0111161/)"
        )
    year, title = f"\t{wanted.year}\t".encode(), fold(wanted.name)
    found = []
    for line in _lines(source, wanted):
        if year in line:
            row = line.decode("utf-8", "replace").split("\t")
            named = len(row) >= 6 and row[5] == wanted.year and title in (fold(row[2]), fold(row[3]))
            if named and row[1] in _FILMS:
                found.append(row)
    movies = [row for row in found if row[1] == "movie"]
    if len(found) == 1:
        return found[0][0], found[0][2], found[0][5]
    if not found:
        raise InputError(
            f"{source.path}: no title {wanted.name!r} of {wanted.year}; IMDb may spell it differently or "
            "give another year: look it up and give --title-id tt…"
        )
    few = ", ".join(f"{row[0]} ({row[1]} {row[2]!r})" for row in (movies + found)[:_MAX_LISTED])
    raise InputError(
        f"{source.path}: {len(found)} titles are {wanted.name!r} of {wanted.year}: {few}; give one of them "
        "with --title-id"
    )


def _rows(source: Source, keys: Collection[str], wanted: Wanted) -> Iterator[list[str]]:
    """Yield the cells of the rows that begin with one of `keys`, in the order of the file."""
    wanted_keys = {key.encode() for key in keys}
    for block in _blocks(source, wanted):
        if len(wanted_keys) <= _FEW:
            lines = _lines_with_keys(block, wanted_keys)
        else:
            lines = [line for line in block.split(b"\n") if line[: line.find(b"\t")] in wanted_keys]
        for line in lines:
            yield line.decode("utf-8", "replace").rstrip("\r").split("\t")


def _lines_with_keys(block: bytes, keys: Collection[bytes]) -> list[bytes]:
    """Return the lines of a block that begin with one of a few keys and a tab."""
    found: list[tuple[int, int]] = []
    for key in keys:
        at = -1
        while (at := block.find(key + b"\t", at + 1)) >= 0:
            if at == 0 or block[at - 1] == 10:  # the start of a line
                end = block.find(b"\n", at)
                found.append((at, len(block) if end < 0 else end))
    return [block[begin:end] for begin, end in sorted(found)]


def _lines(source: Source, wanted: Wanted) -> Iterator[bytes]:
    for block in _blocks(source, wanted):
        yield from block.split(b"\n")


def _blocks(source: Source, wanted: Wanted) -> Iterator[bytes]:
    """Yield the file as blocks of whole lines; reports the bytes read from the disk.

    Raises:
        ContractError: the file is damaged, or a line has more bytes than a block.
    """
    with source.path.open("rb") as disk:
        file: IO[bytes] = gzip.GzipFile(fileobj=disk) if source.is_gzip else disk  # type: ignore[assignment]
        rest, position = b"", 0
        while True:
            try:
                read = file.read(_BLOCK)
            except (EOFError, OSError, zlib.error) as error:
                raise damaged(source.path, error) from None
            position, before = disk.tell(), position
            wanted.advance(position - before)
            if not read:
                break
            whole, newline, rest = (rest + read).rpartition(b"\n")
            if len(rest) > _BLOCK:
                raise ContractError(source.path, "a line has more than a million bytes; is it IMDb's file?")
            if newline:
                yield whole
        if rest:
            yield rest


def size_of(sources: Sequence[Source]) -> int:
    """Return the number of bytes on disk of the files that are streamed, for a progress bar."""
    return sum(source.path.stat().st_size for source in sources if kind_of(source))
