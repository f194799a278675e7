"""people.json: which person is in which trajectory, by the word of annotators before the predictions.

`apply_labels.py` writes it beside the stages' results. Annotators' answers hold for trajectories, so they
stay valid when the same trajectories are clustered again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from facerec.support.jsonl import is_int, read_json, require, require_keys

ANNOTATOR, PREDICTION, NONE = "annotator", "prediction", "none"
SOURCES = (ANNOTATOR, PREDICTION, NONE)  # of a name; `none`: there is no name
INPUTS = ("trajectories.jsonl", "clusters.json", "predictions.json")
FORGOTTEN = "unnamed:forgotten"  # id of the people whose names forget_actor.py removed
_HASH = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class Person:
    """A person and the trajectories in which one source sees them.

    Attributes:
        person: id of the person: the actor's, or a made one with a colon, such as `typed:the_waiter`,
            `unknown:17` (a cluster without a name) and `trajectory:123` (one that annotators took out of its
            cluster without a name).
        name: as people read it.
        actor_id: id in `actors.csv`; None if it is not there.
        source: one of `SOURCES`.
        trajectories: indices, ascending.
    """

    person: str
    name: str
    actor_id: str | None
    source: str
    trajectories: Sequence[int]


@dataclass(frozen=True)
class People:
    """Who is in the trajectories of a movie; each of these is in one list.

    Attributes:
        movie_id: the movie.
        inputs: SHA-256 of each of the files `INPUTS` and of the labels (`labels`).
        people: persons; one with names of two sources is there twice.
        no_face: trajectories in which annotators saw no face.
        mixed: trajectories in which annotators saw several people.
    """

    movie_id: int
    inputs: dict[str, str]
    people: Sequence[Person]
    no_face: Sequence[int]
    mixed: Sequence[int]


def people_bytes(people: People, trajectories: int) -> bytes:
    """Return the contents of people.json.

    Args:
        trajectories: how many the movie has.

    Raises:
        RuleViolation: a trajectory is in no list or in several, or a person is described wrongly.
    """
    data = orjson.dumps(asdict(people))
    _parse_people(orjson.loads(data), people.movie_id, trajectories)
    return data


def read_people(path: Path, movie_id: int, trajectories: int | None = None) -> People:
    """Read people.json.

    Args:
        trajectories: how many there must be; None to accept any number.

    Raises:
        ContractError: the file is missing or breaks a rule.
    """
    return read_json(path, lambda value: _parse_people(value, movie_id, trajectories))


def _parse_people(value: object, movie_id: int, trajectories: int | None) -> People:
    record = require_keys(value, {"movie_id", "inputs", "people", "no_face", "mixed"})
    found = record["movie_id"]
    require(is_int(found) and found == movie_id, f"movie_id {found!r} in the folder of movie {movie_id}")
    inputs = require_keys(record["inputs"], {*INPUTS, "labels"})
    require(
        all(isinstance(one, str) and len(one) == 64 for one in inputs.values()),
        "inputs must be SHA-256 hashes",
    )
    require(isinstance(record["people"], list), "people must be a list")
    people = [_parse_person(one) for one in record["people"]]
    keys = [(one.person, one.source) for one in people]
    require(len(set(keys)) == len(keys), "a person is there twice with names of one source")
    no_face, mixed = (_indices(record[key], key) for key in ("no_face", "mixed"))
    listed = sorted([*no_face, *mixed, *(index for one in people for index in one.trajectories)])
    total = len(set(listed)) if trajectories is None else trajectories
    require(
        listed == list(range(total)),
        f"each of the {total} trajectories must be in one list; people.json has {len(listed)}",
    )
    return People(movie_id, inputs, people, no_face, mixed)


def _parse_person(value: object) -> Person:
    record = require_keys(value, {"person", "name", "actor_id", "source", "trajectories"})
    for key in ("person", "name"):
        one = record[key]
        require(isinstance(one, str) and bool(one), f"{key} must be a string that is not empty")
    actor = record["actor_id"]
    require(
        actor is None or (isinstance(actor, str) and 0 < len(actor) <= 64), "actor_id must be an id or null"
    )
    require(record["source"] in SOURCES, f"source must be one of {', '.join(SOURCES)}")
    indices = _indices(record["trajectories"], "trajectories")
    require(bool(indices), "a person must have a trajectory")
    return Person(record["person"], record["name"], actor, record["source"], indices)


def _indices(value: Any, key: str) -> list[int]:
    require(isinstance(value, list) and all(map(is_int, value)), f"{key} must be a list of indices")
    indices: list[int] = value
    require(indices == sorted(set(indices)), f"{key} must be ascending")
    return indices
