"""The backend's export becomes the people that annotators meant, trajectory by trajectory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from facerec.annotations.export import EXPORT_COLUMNS
from facerec.annotations.labeled_people import people_from_labels
from facerec.errors import ContractError, InputError
from facerec.folder.layout import MovieFolder
from facerec.folder.people_document import PeopleDocument, people_bytes, read_people
from facerec.folder.readers import read_trajectories
from facerec.support.atomic import sha256_of
from tests.finished_folder import MOVIE, finished_folder

CAST = {"nm1": "Ada Lovelace", "nm2": "José Pérez", "nm3": "John Smith", "nm4": "John Smith"}
Row = tuple[int, int, str, str, str]  # trajectory, frame, cluster status, label, image status


@pytest.fixture
def folder(tmp_path: Path) -> MovieFolder:
    return finished_folder(tmp_path, [(0, 20)] * 6, [0, 0, 1, 1, 2, 2], {0: {}, 1: {}, 2: {}})


def people_of(folder: MovieFolder, rows: Sequence[Row]) -> PeopleDocument:
    lines = [",".join(EXPORT_COLUMNS)]
    for index, frame, status, label, image in rows:
        tag = f"{MOVIE}:{frame}:{60 * index}_10_{60 * index + 50}_70"
        lines.append(f'{MOVIE},0,{status},"{label}",{tag},{image},{index}')
    labels = folder.path.parent / "labels.csv"
    labels.write_text("\n".join(lines) + "\n")
    return people_from_labels(labels, folder, read_trajectories(folder.trajectories, MOVIE), CAST)


def members(document: PeopleDocument) -> dict[str, tuple[str, str | None, tuple[int, ...]]]:
    return {one.person: (one.name, one.actor_id, one.trajectories) for one in document.people}


def test_ids_names_and_typed_names_are_people(folder: MovieFolder) -> None:
    rows = [
        (0, 0, "labeled", "nm1", "same"),
        (1, 0, "labeled", " Jose Perez ", "same"),  # spelled otherwise: the same actor
        (2, 0, "labeled", "A passer-by", ""),
        (3, 5, "labeled", "a PASSER by", "same"),
        (4, 0, "labeled", "John Smith", "same"),  # two actors have this name
    ]
    document = people_of(folder, rows)
    assert members(document) == {
        "nm1": ("Ada Lovelace", "nm1", (0,)),
        "nm2": ("José Pérez", "nm2", (1,)),
        "name:a_passer_by": ("A passer-by", None, (2, 3)),
        "name:john_smith": ("John Smith", None, (4,)),
    }
    assert document.made_from == {
        path.name: sha256_of(path) for path in (folder.trajectories, folder.clusters)
    }
    folder.people.write_bytes(people_bytes(document))
    assert read_people(folder.people, MOVIE, 6) == document


def test_a_trajectory_is_what_its_thumbnails_show(folder: MovieFolder) -> None:
    rows = [
        (0, 0, "labeled", "nm1", "same"), (0, 5, "labeled", "nm1", "invalid"),
        (1, 0, "labeled", "nm1", "same"), (1, 5, "labeled", "nm1", "different"),
        (2, 0, "labeled", "nm1", "different"),
        (3, 0, "discarded", "", "invalid"), (3, 5, "labeled", "nm1", "invalid"),
        (4, 0, "labeled", "nm1", "same"), (4, 5, "labeled", "nm2", "same"),
    ]  # fmt: skip
    document = people_of(folder, rows)
    assert members(document) == {
        "nm1": ("Ada Lovelace", "nm1", (0,)),
        "trajectory:1": ("", None, (1,)),
        "trajectory:2": ("", None, (2,)),
        "trajectory:4": ("", None, (4,)),
    }
    assert document.no_face == (3,)


@pytest.mark.parametrize("status", ["mixed", "postponed", "discarded", ""])
def test_a_cluster_without_a_label_says_nothing(folder: MovieFolder, status: str) -> None:
    document = people_of(folder, [(0, 0, status, "nm1", "same")])
    assert (document.people, document.no_face) == ((), ())


def test_contradictory_answers_for_one_thumbnail_are_ignored(
    folder: MovieFolder, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [(0, 0, "labeled", "nm1", "same"), (0, 0, "labeled", "nm2", "same"), (0, 5, "labeled", "nm1", "")]
    assert members(people_of(folder, rows)) == {"nm1": ("Ada Lovelace", "nm1", (0,))}
    assert "1 thumbnails have contradictory answers" in caplog.text


def test_labels_of_another_movie_or_of_endless_length_are_refused(folder: MovieFolder) -> None:
    with pytest.raises(InputError, match="no row has the movie_id 7"):
        people_of(folder, [])
    with pytest.raises(ContractError, match=r"labels.csv:2: the label has more than 400 characters"):
        people_of(folder, [(0, 0, "labeled", "x" * 401, "same")])
