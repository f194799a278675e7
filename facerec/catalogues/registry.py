"""The formats of cast lists, and how a file is recognised."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from facerec.catalogues import delimited, ebucore, imdb, sparql, tmdb, wikidata
from facerec.catalogues.base import CastList, Format, Source, Wanted
from facerec.errors import InputError

# in the order in which a file is tried: a table is any text that is nothing else
FORMATS = (imdb.FORMAT, tmdb.FORMAT, wikidata.FORMAT, sparql.FORMAT, ebucore.FORMAT, delimited.FORMAT)
_NOT_READ = {
    b"PK\x03\x04": "a spreadsheet or a zip archive; save the table as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel or Word file; save the table as CSV",
    b"%PDF": "a PDF; copy the table into a spreadsheet and save it as CSV",
}

Progress = Callable[[str, int, str], AbstractContextManager[Callable[[int], None]]]


def read_cast_list(paths: Sequence[Path], wanted: Wanted, progress: Progress | None = None) -> CastList:
    """Read the cast of a film.

    Args:
        paths: a file, or the files that belong together of IMDb or Wikidata, or the folder that holds them.
        progress: as `support.cli.progress`; used for files that are streamed.

    Raises:
        InputError: a file is missing or of no known format, or the film is not found in it or several times.
        ContractError: a file is damaged or breaks the rules of its format.
    """
    sources = [Source(path) for path in _files(paths)]
    formats = {source.path: recognise(source) for source in sources}
    found = list(dict.fromkeys(formats.values()))
    if len(found) > 1:
        kinds = ", ".join(f"{path.name} is {format.name}" for path, format in formats.items())
        raise InputError(f"the cast list must be of one format, but {kinds}")
    (format,) = found
    if len(sources) > 1 and not format.several:
        raise InputError(
            f"{sources[0].path} and {sources[1].path} are two cast lists ({format.name}); give one of them"
        )
    streamed = imdb.size_of(sources)
    if not streamed or progress is None:
        return format.read(sources, wanted)
    with progress("cast list", streamed, "bytes") as advance:
        return format.read(sources, replace(wanted, advance=advance))


def recognise(source: Source) -> Format:
    """Return the format of a file.

    Raises:
        InputError: it has no known format.
        ContractError: it begins as JSON but is damaged.
    """
    for magic, remedy in _NOT_READ.items():
        if source.start.startswith(magic):
            raise InputError(f"{source.path}: is {remedy}")
    for format in FORMATS:
        if (format is not delimited.FORMAT or source.document is None) and format.recognises(source):
            return format
    known = ", ".join(format.name for format in FORMATS)
    what = "is empty" if not source.start else "is of no known format"
    raise InputError(f"{source.path}: {what}; a cast list is one of: {known} (docs/cast-lists.md)")


def _files(paths: Sequence[Path]) -> list[Path]:
    """Return the files to read; a folder stands for the cast lists in it."""
    files: list[Path] = []
    for path in paths:
        if not path.is_dir():
            files.append(path)
            continue
        inside = sorted(p for p in path.iterdir() if p.is_file() and not p.name.startswith("."))
        suffixes = (".tsv", ".gz", ".json", ".csv", ".xml", ".txt")
        inside = [p for p in inside if p.suffix.lower() in suffixes]
        if not inside:
            raise InputError(f"{path}: no file in this folder can be a cast list")
        files += inside
    return files
