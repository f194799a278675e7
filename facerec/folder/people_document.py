"""The file `people.json`: who people said is seen in which trajectories, beside the results of the stages.

It holds only what annotators said. A trajectory that it does not mention keeps the prediction of its cluster.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import orjson

from facerec.folder.names import MAX_FRAME
from facerec.support.jsonl import is_int, read_json, require, require_keys

ANNOTATOR, PREDICTION = SOURCES = "annotator", "prediction"  # who named a person
MAX_NAME = 400  # characters of a name
MAX_PERSON_ID = MAX_NAME + 5  # `name:` and a name

_DOCUMENT = {"movie_id", "made_from", "people", "no_face"}
_PERSON = {"person", "name", "actor_id", "source", "trajectories"}


@dataclass(frozen=True)
class PersonRecord:
    """One person.

    Attributes:
        person: id, unique in the document: the actor id; for a name that is no actor's `name:` and its plain
            spelling; for an unnamed person `trajectory:` and the index of its first trajectory.
        name: as people read it; empty if nobody knows who it is, or it is not who the prediction says.
        actor_id: as in actors.csv; None if the person is no actor of the cast.
        trajectories: indices in trajectories.jsonl, ascending.
    """

    person: str
    name: str
    actor_id: str | None
    trajectories: tuple[int, ...]
    source: str = ANNOTATOR


@dataclass(frozen=True)
class PeopleDocument:
    """What annotators said about the trajectories of a movie.

    Attributes:
        made_from: SHA-256 of trajectories.jsonl and clusters.json, by name, to which the indices refer.
        people: at most one of them has a given trajectory.
        no_face: indices of the trajectories that show no face.
    """

    movie_id: int
    made_from: Mapping[str, str]
    people: tuple[PersonRecord, ...] = ()
    no_face: tuple[int, ...] = ()


def people_bytes(document: PeopleDocument) -> bytes:
    """Return the contents of `people.json`.

    Raises:
        RuleViolation: the document cannot be read back.
    """
    record = {
        "movie_id": document.movie_id,
        "made_from": dict(document.made_from),
        "people": [
            {
                "person": one.person,
                "name": one.name,
                "actor_id": one.actor_id,
                "source": one.source,
                "trajectories": list(one.trajectories),
            }
            for one in document.people
        ],
        "no_face": list(document.no_face),
    }
    _parse(record, document.movie_id)
    return orjson.dumps(record, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def read_people(path: Path, movie_id: int, trajectories: int | None = None) -> PeopleDocument:
    """Read a `people.json`.

    Args:
        trajectories: how many the movie has; None to accept any index.

    Raises:
        ContractError: the file does not exist or breaks a rule.
    """
    return read_json(path, lambda value: _parse(value, movie_id, trajectories))


def _parse(value: object, movie_id: int, trajectories: int | None = None) -> PeopleDocument:
    record = require_keys(value, _DOCUMENT)
    found, made_from, people = record["movie_id"], record["made_from"], record["people"]
    require(is_int(found) and found == movie_id, f"movie_id {found!r} in the folder of movie {movie_id}")
    require(
        isinstance(made_from, dict) and all(isinstance(digest, str) for digest in made_from.values()),
        "made_from must be an object of SHA-256 by file name",
    )
    require(isinstance(people, list), "people must be a list")
    parsed = tuple(_parse_person(person) for person in people)
    _require_unique((one.person for one in parsed), "the person")
    no_face = _indices(record["no_face"], "no_face")
    indices = [*no_face, *chain.from_iterable(one.trajectories for one in parsed)]
    _require_unique(indices, "the trajectory")
    if trajectories is not None:
        largest = max(indices, default=-1)
        require(largest < trajectories, f"trajectory {largest} does not exist; there are {trajectories}")
    return PeopleDocument(movie_id, made_from, parsed, no_face)


def _parse_person(value: object) -> PersonRecord:
    record = require_keys(value, _PERSON)
    person, name, actor_id = record["person"], record["name"], record["actor_id"]
    require(
        isinstance(person, str) and 0 < len(person) <= MAX_PERSON_ID,
        f"person {person!r} is not a string of 1 to {MAX_PERSON_ID} characters",
    )
    require(
        isinstance(name, str) and len(name) <= MAX_NAME,
        f"person {person!r}: name must be a string of at most {MAX_NAME} characters",
    )
    require(
        actor_id is None or isinstance(actor_id, str), f"person {person!r}: actor_id must be a string or null"
    )
    require(
        record["source"] in SOURCES,
        f"person {person!r}: source {record['source']!r} is not one of {', '.join(SOURCES)}",
    )
    trajectories = _indices(record["trajectories"], f"person {person!r}: trajectories")
    return PersonRecord(person, name, actor_id, trajectories, record["source"])


def _indices(value: Any, what: str) -> tuple[int, ...]:
    require(
        isinstance(value, list) and all(is_int(index) and 0 <= index <= MAX_FRAME for index in value),
        f"{what} must be a list of indices of trajectories",
    )
    return tuple(value)


def _require_unique(values: Iterable[object], what: str) -> None:
    seen: set[object] = set()
    for value in values:
        require(value not in seen, f"{what} {value!r} is in it twice")
        seen.add(value)
