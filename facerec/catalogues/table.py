"""Turn rows of people with a header into a cast list."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote

from facerec.catalogues.base import CastEntry, CastList, Wanted
from facerec.catalogues.columns import FIELDS, find_columns
from facerec.catalogues.dates import birthday_of
from facerec.catalogues.identifiers import entity_of, imdb_id, namespace_of, person_of
from facerec.errors import ContractError, InputError
from facerec.support.text import counted, fold

_EMPTY = frozenset(("", "\\n", "n/a", "null", "none", "-", "–", "?"))
_FAMILY_SUFFIX = re.compile(r".*,\s*(jr|sr|ii|iii|iv|phd|md)\.?", re.IGNORECASE)
_MAX_NOTES = 5  # of one kind


def cast_of_table(
    path: Path,
    format_name: str,
    header: Sequence[str],
    rows: Iterable[tuple[int, Sequence[str]]],
    wanted: Wanted,
    doubts: Sequence[str] = (),
) -> CastList:
    """Read a cast from the rows of a table.

    Args:
        rows: (1-based line, cells), as many cells as the header has.
        doubts: notes of the caller, which come first.

    Raises:
        InputError: columns are missing or may mean several things, or the table has several films.
        ContractError: a row has no name or an id that cannot be used.
    """
    rows = list(rows)
    header, entity_columns = _without_entities(header, [cells for _, cells in rows])
    columns, unclear = find_columns(header, wanted.columns)
    if entity_columns:
        columns.setdefault("wikidata", entity_columns[0])
    if unclear:
        raise InputError(f"{path}: {'; '.join(unclear)}")
    if "name" not in columns and not {"given", "family"} <= columns.keys():
        raise InputError(
            f"{path}: no column is known to hold the names of people; it has the columns "
            f"{', '.join(map(repr, header[:20]))}. Say which one: --column name=HEADER (docs/cast-lists.md "
            "says which names are known; other lines may stand above the header)"
        )
    found = [(line, _cells(columns, row)) for line, row in rows]
    found, title, year = _of_film(path, found, wanted)
    if not found:
        raise InputError(f"{path}: has a header but no person")
    notes = list(doubts)
    by_entity = columns.get("wikidata") in entity_columns
    entries = [_entry(path, line, cells, wanted, notes, by_entity) for line, cells in found]
    inverted = [e.name for e in entries if "," in e.name and not _FAMILY_SUFFIX.fullmatch(e.name)]
    if inverted:
        names = counted(len(inverted), "name has", "names have")
        kept = "is kept as it is" if len(inverted) == 1 else "are kept as they are"
        notes.append(
            f"{names} a comma, such as {inverted[0]!r}, and {kept}; if the surname comes first, add "
            "--surname-first"
        )
    ignored = [cell for i, cell in enumerate(header) if cell.strip() and i not in columns.values()]
    if ignored:
        notes.append(f"columns that are not used: {', '.join(ignored[:20])}")
    return CastList(format_name, tuple(entries), title, year, _shortened(notes))


def _without_entities(header: Sequence[str], rows: Sequence[Sequence[str]]) -> tuple[list[str], list[int]]:
    """Blank the headers of columns that hold entities of Wikidata and no text.

    In results of its queries, a column `actor` of addresses has a column `actorLabel` or `name` beside it.

    Returns:
        The other headers in their places, and the columns that hold people.
    """
    names = {cell.strip().lstrip("?") for cell in header}
    kept, people = [], []
    for i, cell in enumerate(header):
        name = cell.strip().lstrip("?")
        values = [row[i] for row in rows if row[i].strip()]
        is_entity = f"{name}Label" in names or (bool(values) and all(map(entity_of, values)))
        is_entity = is_entity and fold(name) not in (*FIELDS["wikidata"], *FIELDS["id"], *FIELDS["uri"])
        if is_entity and (fold(name) in FIELDS["name"] or fold(f"{name}Label") in FIELDS["name"]):
            people.append(i)
        kept.append("" if is_entity else name)
    return kept, people


def _cells(columns: Mapping[str, int], row: Sequence[str]) -> dict[str, str]:
    """Return the cells of a row by field, without those that say nothing."""
    cells = {field: " ".join(row[i].split()) for field, i in columns.items()}
    return {field: "" if cell.casefold() in _EMPTY else cell for field, cell in cells.items()}


def _of_film(
    path: Path, rows: Sequence[tuple[int, dict[str, str]]], wanted: Wanted
) -> tuple[list[tuple[int, dict[str, str]]], str, str]:
    """Return the rows of the film that is wanted, and its title and year if the table has them.

    Rows without any cell are left out.
    """
    filled = [(line, cells) for line, cells in rows if any(cells.values())]
    if len({cells.get("movie_id", "") for _, cells in filled} - {""}) > 1:
        own = [(line, cells) for line, cells in filled if cells["movie_id"] == str(wanted.movie_id)]
        if not own:
            raise InputError(f"{path}: has several movies by their ids, but not {wanted.movie_id}")
        filled = own
    titles = {fold(cells.get("movie_name", "")): cells.get("movie_name", "") for _, cells in filled}
    titles.pop("", None)
    if len(titles) > 1:
        if fold(wanted.name) not in titles:
            few = ", ".join(repr(title) for title in list(titles.values())[:_MAX_NOTES])
            what = f"none of them is {wanted.name!r}" if wanted.name else "say which one: --name TITLE"
            raise InputError(f"{path}: has {len(titles)} films ({few}, …); {what}")
        filled = [(line, cells) for line, cells in filled if fold(cells["movie_name"]) == fold(wanted.name)]
        titles = {fold(wanted.name): titles[fold(wanted.name)]}
    years = {cells.get("movie_year", "") for _, cells in filled} - {""}
    year = next(iter(years)) if len(years) == 1 else ""
    return filled, next(iter(titles.values()), ""), year if re.fullmatch("[0-9]{4}", year) else ""


def _entry(
    path: Path, line: int, cells: Mapping[str, str], wanted: Wanted, notes: list[str], by_entity: bool
) -> CastEntry:
    """Return the person of a row.

    Args:
        by_entity: the person's Wikidata id becomes the actor id, also where there are others.
    """
    where = f"{path.name}:{line}"
    name = cells.get("name") or " ".join(filter(None, (cells.get("given"), cells.get("family"))))
    if not fold(name):
        rule = f"the name {name!r} has no letter" if name else "the row has no name"
        raise ContractError(path, rule, line)
    if wanted.surname_first and "," in name and not _FAMILY_SUFFIX.fullmatch(name):
        family, given = name.split(",", 1)
        name = f"{given.strip()} {family.strip()}"
    birthday, doubt = birthday_of(cells.get("birthday", ""))
    if doubt:
        notes.append(f"{where}: {doubt}")
    actor_id, uris = _identifiers(path, line, cells, by_entity)
    pictures = [p for part in re.split(r"[;|]", cells.get("picture", "")) if (p := part.strip())]
    addresses = [picture for picture in pictures if "://" in picture]
    return CastEntry(
        name,
        where,
        role=cells.get("role", ""),
        birthday=birthday,
        birthplace=cells.get("birthplace", ""),
        id=actor_id,
        uris=tuple(dict.fromkeys(uris)),
        pictures=tuple(picture for picture in pictures if picture not in addresses),
        portraits=tuple(unquote(address.strip("<>").rpartition("/")[2]) for address in addresses),
    )


def _identifiers(path: Path, line: int, cells: Mapping[str, str], by_entity: bool) -> tuple[str, list[str]]:
    """Return the actor id of a row, empty if it has none, and its URIs.

    A column `id` is taken as it is, unless it holds the address of a known catalogue; else the actor id is
    the first of IMDb's, Wikidata's and TMDB's; with `by_entity` Wikidata's comes first.
    """
    uris, ids = [], []
    for field in ("id", "imdb", "wikidata", "tmdb"):
        cell = cells.get(field, "")
        if not cell:
            continue
        is_number = cell.isascii() and cell.isdigit()
        if field == "imdb" and is_number:
            cell = imdb_id(cell)
        elif field == "tmdb" and is_number:
            cell = f"tmdb{cell}"
        found = person_of(cell)
        if found is None and field != "id":
            raise ContractError(path, f"{cell[:60]!r} does not identify a person in {field}", line)
        ids.append(found[0] if found else cell)
        uris += [found[1]] if found else []
    for word in re.split(r"[\s|]+", cells.get("uri", "")):
        if found := person_of(word):
            uris.append(found[1])
        elif re.match(r"(?!(javascript|data|vbscript):)[a-z][a-z0-9+.-]*:\S", word, re.IGNORECASE):
            uris.append(word)
    known = [found[0] for uri in uris if (found := person_of(uri))]
    order = ("Q", "nm", "tmdb") if by_entity else ("nm", "Q", "tmdb")
    by_catalogue = sorted(known, key=lambda one: order.index(namespace_of(one)))
    return next(iter(ids[:1] if cells.get("id") else by_catalogue), ""), uris


def _shortened(notes: Sequence[str]) -> tuple[str, ...]:
    """Return the notes, of many about single rows only the first ones and the number of the others."""
    about_rows = [note for note in notes if re.match(r"[^ ]+:\d+: ", note)]
    if len(about_rows) <= _MAX_NOTES:
        return tuple(notes)
    others = [note for note in notes if note not in about_rows]
    return (*about_rows[:_MAX_NOTES], f"and {len(about_rows) - _MAX_NOTES} more rows like these", *others)
