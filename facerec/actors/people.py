"""People: those of `actors.csv`, by id, and the members of a movie's cast."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice

from facerec.actors.database import ActorDatabase
from facerec.catalogues.base import CastEntry
from facerec.catalogues.dates import agree
from facerec.support.text import fold

_LETTERS = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i"})


def name_key(name: str) -> str:
    """Return what two spellings of a name have in common: no accents, case, punctuation, or forms of Unicode.

    Letters with strokes equal those without, as in `Mikkelsen, Søren`.
    """
    return fold(fold(name).translate(_LETTERS))


@dataclass
class KnownPerson:
    """A person of `actors.csv`, of all movies."""

    actor_id: str
    names: list[str] = field(default_factory=list)
    birthdays: set[str] = field(default_factory=set)
    birthplace: str = ""
    movies: set[int] = field(default_factory=set)
    uris: tuple[str, ...] = ()

    def birthday(self) -> str:
        """Return the most precise birthday; empty if several disagree."""
        best = max(self.birthdays, key=len, default="")
        return best if all(agree(best, other) for other in self.birthdays) else ""


def known_people(database: ActorDatabase) -> dict[str, KnownPerson]:
    """Read the people of all movies by actor id; none if `actors.csv` does not exist."""
    people: dict[str, KnownPerson] = {}
    for _, movie, row in database.read_actors() if database.actors.exists() else ():
        person = people.setdefault(row["id"], KnownPerson(row["id"]))
        person.movies.add(movie)
        person.names += [row["name"]] if row["name"] not in person.names else []
        person.birthdays |= {row["birthday"].strip()} - {""}
        person.birthplace = person.birthplace or row["birthplace"].strip()
        person.uris = tuple(dict.fromkeys((*person.uris, *row.get("uri", "").split())))
    return people


@dataclass(frozen=True)
class Member:
    """A person of the cast.

    Attributes:
        actor_id: in `actors.csv`.
        entry: what the list says, of several rows of the person together.
        known: the person in `actors.csv`; None for a new one.
    """

    actor_id: str
    entry: CastEntry
    known: KnownPerson | None


def members_of(
    database: ActorDatabase, movie_id: int, known: Mapping[str, KnownPerson]
) -> tuple[Member, ...]:
    """Return the people that `actors.csv` has of a movie, in its order."""
    names = database.cast(movie_id) if database.actors.exists() else {}
    return tuple(
        Member(actor, CastEntry(name.strip() or actor, database.actors.name, id=actor), known[actor])
        for actor, name in names.items()
    )


def title_and_year(database: ActorDatabase, movie_id: int) -> tuple[str, str]:
    """Return title and year that `actors.csv` has of a movie; empty where it has none."""
    title = year = ""
    for _, movie, row in database.read_actors() if database.actors.exists() else ():
        if movie == movie_id:
            title, year = title or row["movie_name"].strip(), year or row["movie_year"].strip()
    return title, year


def year_cell(database: ActorDatabase, movie_id: int) -> dict[str, str]:
    """Return the cell `year` of pictures from a movie; none if `actor_images.csv` has no such column."""
    has_years = any("year" in row for _, row in islice(database.read_images(), 1))
    year = title_and_year(database, movie_id)[1] if has_years else ""
    return {"year": year} if year else {}
