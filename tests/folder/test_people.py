"""people.json: read as it was written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
import pytest

from facerec.errors import ContractError
from facerec.folder.people import INPUTS, People, Person, people_bytes, read_people
from facerec.support.jsonl import RuleViolation


def record(**other: Any) -> dict[str, Any]:
    """People.json of six trajectories, changed by `other`; a person by `person__key`."""
    person = {"person": "p", "name": "Name", "actor_id": "nm1", "source": "annotator", "trajectories": [0, 4]}
    person |= {key[8:]: value for key, value in other.items() if key.startswith("person__")}
    second = {"person": "p", "name": "Name", "actor_id": None, "source": "none", "trajectories": [2]}
    inputs = dict.fromkeys((*INPUTS, "labels"), "a" * 64)
    made = {"movie_id": 7, "inputs": inputs, "people": [person, second], "no_face": [1, 5], "mixed": [3]}
    return made | {key: value for key, value in other.items() if not key.startswith("person__")}


@pytest.mark.parametrize(
    ("read", "refused"),
    [
        ({}, {"movie_id": 8}), ({}, {"movie_id": 7.0}), ({}, {"more": 1}),
        ({}, {"inputs": dict.fromkeys((*INPUTS, "labels"), "a" * 63)}),
        ({}, {"inputs": {name: [""] * 64 for name in (*INPUTS, "labels")}}),
        ({}, {"inputs": dict.fromkeys(INPUTS, "a" * 64)}),
        ({"people": [], "no_face": [0, 1], "mixed": []}, {"people": {}}),
        ({}, {"no_face": [5, 1]}), ({}, {"no_face": [1, 1, 5]}), ({}, {"no_face": {"1": 5}}),
        ({}, {"mixed": [3.0]}), ({}, {"mixed": []}), ({}, {"mixed": [3, 5]}), ({}, {"mixed": [3, 6]}),
        ({"person__actor_id": "a" * 64}, {"person__actor_id": "a" * 65}),
        ({"person__actor_id": "a"}, {"person__actor_id": ""}),
        ({"person__actor_id": None}, {"person__actor_id": 1}),
        ({"person__name": "N"}, {"person__name": ""}), ({}, {"person__name": 1}),
        ({"person__person": "q"}, {"person__person": ""}), ({}, {"person__person": ["q"]}),
        ({"person__source": "prediction"}, {"person__source": "none"}), ({}, {"person__source": "guess"}),
        ({}, {"person__trajectories": [], "mixed": [0, 3, 4]}), ({}, {"person__trajectories": [4, 0]}),
        ({}, {"person__trajectories": [0, True]}),
    ],
)  # fmt: skip
def test_people_at_a_limit_of_the_format_are_read_and_those_beyond_it_are_refused(
    read: dict[str, Any], refused: dict[str, Any], tmp_path: Path
) -> None:
    path, total = tmp_path / "people.json", 2 if "people" in read else 6
    path.write_text(json.dumps(record(**read)))
    assert people_bytes(read_people(path, 7, total), total) == orjson.dumps(record(**read))
    path.write_text(json.dumps(record(**refused)))
    with pytest.raises(ContractError):
        read_people(path, 7, 6)


def test_people_are_read_as_they_were_written(tmp_path: Path) -> None:
    inputs = {name: f"{number}" * 64 for number, name in enumerate((*INPUTS, "labels"))}
    persons = [Person("p", "Name", "nm1", "annotator", [0, 4]), Person("q", "Other", None, "none", [2])]
    people = People(7, inputs, persons, [1, 5], [3])
    (tmp_path / "people.json").write_bytes(people_bytes(people, 6))
    assert read_people(tmp_path / "people.json", 7, 6) == people
    assert read_people(tmp_path / "people.json", 7) == people
    with pytest.raises(ContractError, match="each of the 7 trajectories"):
        read_people(tmp_path / "people.json", 7, 7)
    with pytest.raises(RuleViolation, match="each of the 7 trajectories"):
        people_bytes(people, 7)
