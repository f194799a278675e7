"""The rows of a cast in `actors.csv`: new ones are added, empty cells of others are filled.

A cell that is filled stays as it is: it may be somebody's correction. Where the list says something else,
that is reported, and the cell changes only if the user names its column.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from facerec.actors.database import ACTOR_COLUMNS, ActorDatabase
from facerec.actors.people import Member, name_key
from facerec.catalogues.dates import agree
from facerec.catalogues.identifiers import person_of, same_people
from facerec.errors import InputError
from facerec.support.csv_edits import edit_table
from facerec.support.shell import typed_arguments
from facerec.support.text import counted

NO_ROLE = "unknown"  # the labeling backend does not take an empty role
_NO_TEXT = frozenset(("", "na", "n/a", "nan", "-nan", "null", "none"))  # empty cells for the labeling backend
_MAX_LISTED = 20


@dataclass
class Edits:
    """Changes of a table.

    Attributes:
        changes: cells by column, by the 0-based number of the row.
        added: cells of new rows; columns: new columns.
        notes: sentences about cells that differ from the list.
    """

    changes: dict[int, dict[str, str]] = field(default_factory=dict)
    added: list[dict[str, str]] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def apply(self, table: str) -> str:
        """Return the table with the changes."""
        return edit_table(table, self.changes, self.added, self.columns)


def edit_cast(
    database: ActorDatabase,
    members: Sequence[Member],
    movie_id: int,
    title: str,
    year: str,
    replaced: Collection[str],
) -> Edits:
    """Find the changes of `actors.csv` that bring it up to the list.

    Args:
        title, year: of the film; empty to take those of the movie's rows.
        replaced: columns in which filled cells are replaced.

    Raises:
        InputError: the movie is another film in the table, or its title or year is not known.
    """
    exists = database.actors.exists()
    rows = [(movie, row) for _, movie, row in database.read_actors()] if exists else []
    own = {number: row for number, (movie, row) in enumerate(rows) if movie == movie_id}
    title, year = _film(database, own, movie_id, title, year, replaced)
    edits = Edits()
    has_uris = "uri" in rows[0][1] if rows else not exists and "uri" in columns_of_new_table(members)
    if not has_uris and any(_needs_uri(member) for member in members):
        has_uris = True
        edits.columns.append("uri")
    film = {"movie_name": title, "movie_year": year}
    by_actor: dict[str, list[int]] = {}
    for number, row in own.items():
        by_actor.setdefault(row["id"], []).append(number)
        _fill(edits, database, number, row, film, replaced)
    for member in members:
        cells = _cells(member, has_uris)
        if cells["name"].casefold() in _NO_TEXT:
            edits.notes.append(
                f"the name {cells['name']!r} is an empty cell for the labeling backend; add a word"
            )
        numbers = by_actor.pop(member.actor_id, [])
        if not numbers:
            edits.added.append({"movie_id": str(movie_id), **film, "id": member.actor_id, **cells})
            continue
        if len(numbers) > 1:  # somebody wrote one row for each role
            cells.pop("role", None)
        for number in numbers:
            _fill(edits, database, number, own[number], cells, replaced)
    if by_actor and members:
        few = "; ".join(own[numbers[0]]["name"] for numbers in list(by_actor.values())[:_MAX_LISTED])
        people = counted(len(by_actor), "person", "people")
        verbs = "is not in the list and stays" if len(by_actor) == 1 else "are not in the list and stay"
        edits.notes.append(f"{people} of movie {movie_id} {verbs}: {few}")
    return edits


def new_table(columns: Sequence[str]) -> str:
    """Return an empty table."""
    return ",".join(columns) + "\n"


def columns_of_new_table(members: Sequence[Member]) -> tuple[str, ...]:
    """Return the columns of a new `actors.csv`."""
    return (*ACTOR_COLUMNS, "uri") if any(member.entry.uris for member in members) else ACTOR_COLUMNS


def _film(
    database: ActorDatabase,
    own: Mapping[int, Mapping[str, str]],
    movie_id: int,
    title: str,
    year: str,
    replaced: Collection[str],
) -> tuple[str, str]:
    """Return title and year as they are to be written."""
    titles = list(dict.fromkeys(cell for row in own.values() if (cell := row["movie_name"].strip())))
    years = list(dict.fromkeys(cell for row in own.values() if (cell := row["movie_year"].strip())))
    is_other = title and titles and name_key(title) not in map(name_key, titles)
    if (is_other and "movie_name" not in replaced) or (
        year and years and year not in years and "movie_year" not in replaced
    ):
        columns = typed_arguments("--replace", *(["movie_name"] if is_other else []), "movie_year")
        raise InputError(
            f"{database.actors}: movie {movie_id} is {' / '.join(titles)!r} ({' / '.join(years)}) there, not "
            f"{title or titles[0]!r} ({year or 'no year'}); if it is another film, choose another --movie; "
            f"if not, give --name and --year as they are there, or add {columns} if the table is wrong"
        )
    if "movie_name" not in replaced or not title:
        title = titles[0] if titles else title
    if "movie_year" not in replaced or not year:
        year = years[0] if years else year
    if not (title and year):
        lacks = " and ".join(option for option, known in (("--name", title), ("--year", year)) if not known)
        raise InputError(f"movie {movie_id} is not in {database.actors}: give its {lacks}")
    return title, year


def _cells(member: Member, has_uris: bool) -> dict[str, str]:
    """Return the cells that the list and the person's rows of other movies give."""
    entry, known = member.entry, member.known
    cells = {
        "name": entry.name,
        "role": entry.role if entry.role.strip("#<>").casefold() not in _NO_TEXT else NO_ROLE,
        "birthday": entry.birthday or (known.birthday() if known else ""),
        "birthplace": entry.birthplace or (known.birthplace if known else ""),
    }
    if has_uris:
        cells["uri"] = " ".join(dict.fromkeys((*(known.uris if known else ()), *entry.uris)))
    return cells


def _needs_uri(member: Member) -> bool:
    """Return whether a person has identifiers that the actor id does not contain, or one of Wikidata."""
    own = {member.actor_id} if not member.actor_id.startswith("Q") else set()
    return bool({found[0] if (found := person_of(uri)) else uri for uri in member.entry.uris} - own)


def _fill(
    edits: Edits,
    database: ActorDatabase,
    number: int,
    row: Mapping[str, str],
    cells: Mapping[str, str],
    replaced: Collection[str],
) -> None:
    """Add the changes of one row: fill its empty cells, and replace the others where that is wanted."""
    changes = edits.changes.setdefault(number, {})
    for column, text in cells.items():
        before = row.get(column, "").strip()
        if column == "uri":
            missing = [u for u in text.split() if not same_people((u,)) <= same_people(tuple(before.split()))]
            if missing:
                changes[column] = " ".join((*before.split(), *missing))
        elif not text or before == text or (column == "role" and text == NO_ROLE and before):
            continue
        elif not before or column in replaced or (column == "role" and before == NO_ROLE):
            changes[column] = text
        elif not _agrees(column, before, text):
            edits.notes.append(
                f"{database.actors.name}: {row['name']}, {column}: {before!r} stays; the list says {text!r}"
            )
    if not changes:
        del edits.changes[number]


def _agrees(column: str, before: str, text: str) -> bool:
    """Return whether a cell agrees with the list."""
    if column == "movie_year":
        return before == text
    if column == "birthday":
        return agree(before, text) and len(before) >= len(text)
    return name_key(before) == name_key(text)
