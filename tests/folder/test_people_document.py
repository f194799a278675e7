"""people.json is read back as it was written, and refused with its rule when it is broken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from facerec.errors import ContractError
from facerec.folder.people_document import PeopleDocument, PersonRecord, people_bytes, read_people
from facerec.support.jsonl import RuleViolation

DOCUMENT = PeopleDocument(
    7,
    {"trajectories.jsonl": "ab" * 32, "clusters.json": "cd" * 32},
    (PersonRecord("nm1", "Ada", "nm1", (0, 2)), PersonRecord("trajectory:3", "", None, (3,))),
    (1,),
)


def test_document_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "people.json"
    path.write_bytes(people_bytes(DOCUMENT))
    assert read_people(path, 7, 4) == DOCUMENT


def person(**changes: Any) -> dict[str, Any]:
    valid = {"person": "nm1", "name": "Ada", "actor_id": "nm1", "source": "annotator", "trajectories": [0]}
    return valid | changes


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"movie_id": 8}, "movie_id 8 in the folder of movie 7"),
        ({"people": [person(), person(trajectories=[1])]}, "the person 'nm1' is in it twice"),
        ({"people": [person()], "no_face": [0]}, "the trajectory 0 is in it twice"),
        ({"people": [person(trajectories=[4])]}, "trajectory 4 does not exist; there are 4"),
        ({"people": [person(trajectories=[True])]}, "list of indices"),
        ({"people": [person(source="none")]}, "source 'none' is not one of annotator, prediction"),
        ({"people": [person(person="")]}, "1 to"),
        ({"people": [person(name=None)]}, "name must be a string"),
        ({"people": [person(actor_id=5)]}, "actor_id must be a string or null"),
        ({"made_from": []}, "made_from must be an object"),
        ({"people": {}}, "people must be a list"),
        ({"more": 1}, "unknown key more"),
    ],
)
def test_broken_document_is_refused_with_its_rule(changes: dict[str, Any], rule: str, tmp_path: Path) -> None:
    path = tmp_path / "people.json"
    whole = {"movie_id": 7, "made_from": {}, "people": [], "no_face": [], **changes}
    path.write_text(json.dumps(whole))
    with pytest.raises(ContractError, match=rule):
        read_people(path, 7, 4)


def test_nothing_is_written_that_cannot_be_read() -> None:
    with pytest.raises(RuleViolation, match="twice"):
        people_bytes(PeopleDocument(7, {}, (PersonRecord("a", "A", None, (0,)),), (0,)))
