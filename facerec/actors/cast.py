"""The cast of a movie as people read it: names, roles, identifiers, and who must not be named.

`actors.csv` may have a column `uri` with the identifiers of an actor in authority files (Wikidata, VIAF, GND,
IMDb), separated by spaces, such as `http://www.wikidata.org/entity/Q7259`.

People who must not be named (`do_not_name`) are shown without name and actor id. They keep competing for
clusters in `classify_knn.py`, so that their clusters do not get somebody else's name.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Container, Mapping
from dataclasses import dataclass, field, replace

from facerec.actors.database import ActorDatabase
from facerec.errors import ContractError
from facerec.folder.layout import MovieFolder
from facerec.folder.manifest import read_manifest
from facerec.folder.people import Person
from facerec.support.text import fold

_URI = re.compile(r"""[A-Za-z][A-Za-z0-9+.-]*:[^\s<>"{}|\\^`\x00-\x20\x7f]+""")
_SCRIPTS = ("javascript", "data", "vbscript")  # schemes that a browser would run


@dataclass(frozen=True)
class CastMember:
    """An actor of a movie.

    Attributes:
        name: the actor id where no name is known.
        uris: identifiers in authority files.
    """

    actor_id: str
    name: str
    role: str = ""
    uris: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cast:
    """Title, year and actors of a movie; what is not known is empty.

    Attributes:
        members: by actor id, in the order of actors.csv.
        unnamed: spellings of names, by id, of those whom the actor database says not to name; they are no
            members.
    """

    title: str = ""
    year: str = ""
    members: Mapping[str, CastMember] = field(default_factory=dict)
    unnamed: Mapping[str, Collection[str]] = field(default_factory=dict)

    def name(self, actor_id: str) -> str:
        """Return the name of an actor; the id itself where none is known."""
        member = self.members.get(actor_id)
        return member.name if member else actor_id


def cast_names(folder: MovieFolder, database: ActorDatabase) -> dict[str, str]:
    """Read the names of actors by id.

    Returns:
        The cast that the manifest records, updated by the movie's cast in the database if that exists,
        without those whom the database says not to name.
    """
    report = read_manifest(folder)["stages"].get("classify_knn", {}).get("report", {})
    cast = report.get("cast", {})
    names = {actor: str(name) for actor, name in cast.items()} if isinstance(cast, dict) else {}
    names |= database.cast(folder.movie_id) if database.actors.exists() else {}
    unnamed = database.unnamed()
    return {actor: name for actor, name in names.items() if actor not in unnamed}


def read_cast(folder: MovieFolder, database: ActorDatabase) -> Cast:
    """Read the cast that a folder's manifest records, completed from the actor database if that exists.

    Raises:
        ContractError: a row of actors.csv cannot be used, or a `uri` is not one.
    """
    names = cast_names(folder, database)
    title = year = ""
    roles: dict[str, list[str]] = {}
    uris: dict[str, list[str]] = {}
    for line, movie_id, row in database.read_actors() if database.actors.exists() else ():
        found = _uris(row.get("uri", ""), database, line) if row["id"] in names else []
        uris.setdefault(row["id"], []).extend(found)
        if movie_id == folder.movie_id:
            title, year = title or row["movie_name"].strip(), year or row["movie_year"].strip()
            roles.setdefault(row["id"], []).append(row["role"].strip())
    members = {
        actor: CastMember(
            actor,
            name.strip() or actor,
            ", ".join(dict.fromkeys(filter(None, roles.get(actor, [])))),
            tuple(dict.fromkeys(uris.get(actor, []))),
        )
        for actor, name in names.items()
    }
    return Cast(title, year, members, database.unnamed())


def allowed_names(probabilities: Mapping[str, float], unnamed: Container[str]) -> dict[str, float]:
    """Return the probabilities, by actor id, of those who may be named.

    There are none if somebody in `unnamed` is the most likely: the cluster must not get the second's name.
    """
    highest = max(probabilities.values(), default=0.0)
    if any(p == highest and actor in unnamed for actor, p in probabilities.items()):
        return {}
    return {actor: p for actor, p in probabilities.items() if actor not in unnamed}


def without_name(person: Person, unnamed: Mapping[str, Collection[str]]) -> Person:
    """Return `person`, or one without name and actor id if it is somebody in `unnamed`.

    Args:
        person: found by its actor id, or by a typed name that is one of `unnamed`.
        unnamed: spellings of names by id, see `ActorDatabase.unnamed`.
    """
    typed = fold(person.name)
    for number, actor in enumerate(sorted(unnamed), start=1):
        is_typed = person.actor_id is None and typed in map(fold, unnamed[actor])
        if person.actor_id == actor or is_typed:
            return replace(person, person=f"unnamed:{number}", name=f"unnamed {number}", actor_id=None)
    return person


def _uris(cell: str, database: ActorDatabase, line: int) -> list[str]:
    """Return the identifiers in a cell of the column `uri`."""
    found = cell.split()
    for uri in found:
        if not _URI.fullmatch(uri) or uri.partition(":")[0].lower() in _SCRIPTS:
            rule = f"uri {uri[:100]!r} is not a URI such as http://www.wikidata.org/entity/Q7259"
            raise ContractError(database.actors, rule, line)
    return found
