"""people.json: read as it was written."""

from __future__ import annotations

from pathlib import Path

import pytest

from facerec.errors import ContractError
from facerec.folder.people import INPUTS, People, Person, people_bytes, read_people


def test_people_are_read_as_they_were_written(tmp_path: Path) -> None:
    inputs = {name: f"{number}" * 64 for number, name in enumerate((*INPUTS, "labels"))}
    persons = [Person("p", "Name", "nm1", "annotator", [0, 4]), Person("q", "Other", None, "none", [2])]
    people = People(7, inputs, persons, [1, 5], [3])
    (tmp_path / "people.json").write_bytes(people_bytes(people, 6))
    assert read_people(tmp_path / "people.json", 7, 6) == people
    assert read_people(tmp_path / "people.json", 7) == people
    with pytest.raises(ContractError, match="each of the 7 trajectories"):
        read_people(tmp_path / "people.json", 7, 7)
