"""Annotators' answers are put beside the predictions in people.json; no other file changes."""

from __future__ import annotations

import json
import logging
from hashlib import sha256
from pathlib import Path

import pytest

from facerec import apply_labels
from facerec.annotations.apply import apply_labels as apply_to_folder
from facerec.checks.inspect import inspect_folder
from facerec.folder.documents import clusters_bytes
from facerec.folder.layout import MovieFolder
from facerec.folder.manifest import read_manifest, write_manifest
from facerec.folder.people import read_people
from facerec.folder.readers import read_trajectories
from facerec.support.cli import run_main
from tests.edits import violations_of
from tests.folders import MOVIE, make_cast, make_folder
from tests.schemas import records, validator

HEADER = "movie_id,cluster_id,cluster_status,label,tag,image_status,trajectory"


@pytest.fixture
def folder(tmp_path: Path) -> MovieFolder:
    """Trajectories 0 and 2 in cluster 0, predicted as nm1 (Name 0); 1 in cluster 1, without a name."""
    made = make_folder(tmp_path)
    make_cast(tmp_path / "actor_db")
    return made


def tags_of(folder: MovieFolder) -> list[list[str]]:
    """The tags of each trajectory's thumbnails."""
    found = []
    for one in read_trajectories(folder.trajectories, MOVIE):
        boxes = [
            (frame, "_".join(map(str, one.boxes[frame - one.start].tolist())))
            for frame in range(one.start, one.end)
        ]
        tags = [f"{MOVIE}:{frame}:{box}" for frame, box in boxes]
        found.append([tag for tag in tags if folder.thumbnail(tag).exists()])
    return found


def write(folder: MovieFolder, *rows: tuple[int, int, str, str, str]) -> Path:
    """Write labels: trajectory, thumbnail, status of the cluster, label, status of the thumbnail."""
    tags = tags_of(folder)
    lines = [f"{MOVIE},0,{status},{label},{tags[t][k]},{image},{t}" for t, k, status, label, image in rows]
    path = folder.path.parent / "labels.csv"
    path.write_text("\n".join([HEADER, *lines]) + "\n")
    return path


def apply(folder: MovieFolder, labels: Path, *more: str) -> int:
    argv = ["--path", str(folder.path), "--labels", str(labels)]
    return run_main(apply_labels.main, [*argv, "--actor-db", str(folder.path.parent / "actor_db"), *more])


def said(folder: MovieFolder) -> dict[tuple[str, str, str], list[int]]:
    """The trajectories by person, name and source."""
    people = read_people(folder.people, MOVIE, 3)
    return {(one.person, one.name, one.source): list(one.trajectories) for one in people.people}


def files_of(folder: MovieFolder) -> dict[str, bytes]:
    paths = [path for path in folder.path.rglob("*") if path.is_file()]
    return {str(path): path.read_bytes() for path in paths if path not in (folder.people, folder.lock)}


def test_answers_come_before_predictions_and_nothing_else_changes(
    folder: MovieFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files_of(folder)
    labels = write(folder, (0, 0, "labeled", "nm2", "same"), (1, 0, "labeled", "The  Waiter", "same"))
    assert apply(folder, labels) == 0
    assert said(folder) == {
        ("nm2", "Name 1", "annotator"): [0],
        ("nm1", "Name 0", "prediction"): [2],
        ("typed:the_waiter", "The Waiter", "annotator"): [1],
    }
    assert "3 trajectories, 2 with an annotator's answer, 1 with a predicted name" in capsys.readouterr().out
    assert files_of(folder) == before
    (record,) = records(folder.people)
    validator("people").validate(record)
    assert record["inputs"]["labels"] == sha256(labels.read_bytes()).hexdigest()
    assert inspect_folder(folder.path).violations.count == 0 and not inspect_folder(folder.path).warnings
    assert apply(folder, labels) == 0 and "nothing changed" in capsys.readouterr().out


def test_a_name_of_the_cast_is_its_actor_in_any_spelling(folder: MovieFolder) -> None:
    labels = write(
        folder, (0, 0, "labeled", "nm1", "same"), (1, 0, "labeled", "name-0", "same"),
        (2, 0, "labeled", "Unknown 17", "same"),
    )  # fmt: skip
    assert apply(folder, labels) == 0
    assert said(folder) == {
        ("nm1", "Name 0", "annotator"): [0, 1],
        ("unknown:17", "Unknown 17", "annotator"): [2],
    }


def test_a_misspelt_name_of_the_cast_is_said_to_be_near(
    folder: MovieFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    """It stays a person of its own: two people may have such names."""
    labels = write(folder, (0, 0, "labeled", "Naame 0", "same"), (1, 0, "labeled", "The Waiter", "same"))
    assert apply(folder, labels) == 0
    (warning,) = [line for line in capsys.readouterr().err.splitlines() if " WARNING " in line]
    assert "labels.csv: 'Naame 0' is no name of the cast" in warning
    assert warning.endswith("did you mean 'Name 0'?")
    assert {"typed:naame_0", "typed:the_waiter"} <= {person for person, _, _ in said(folder)}


def test_a_name_that_two_of_the_cast_have_is_not_called_misspelt(
    folder: MovieFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    people = folder.path.parent / "actor_db" / "actors.csv"
    people.write_text(people.read_text().replace("Name 1", "Name 0"))
    assert apply(folder, write(folder, (0, 0, "labeled", "Name 0", "same"))) == 0
    (warning,) = [line for line in capsys.readouterr().err.splitlines() if " WARNING " in line]
    assert "2 actors of the cast have the name 'Name 0'" in warning and "did you mean" not in warning


def test_rejected_faceless_and_mixed_trajectories_have_no_name(folder: MovieFolder) -> None:
    labels = write(
        folder, (0, 0, "labeled", "nm1", "same"), (0, 1, "labeled", "nm1", "different"),
        (1, 0, "discarded", "", "invalid"), (2, 0, "labeled", "nm1", "different"),
    )  # fmt: skip
    assert apply(folder, labels) == 0
    people = read_people(folder.people, MOVIE, 3)
    assert (list(people.mixed), list(people.no_face)) == ([0], [1])
    assert said(folder) == {("trajectory:2", "unknown, trajectory 2", "annotator"): [2]}


def test_rows_without_an_answer_leave_the_prediction(folder: MovieFolder) -> None:
    labels = write(
        folder, (0, 0, "labeled", "nm2", ""), (1, 0, "postponed", "", "same"),
        (2, 0, "labeled", "nm2", "invalid"), (2, 1, "labeled", "nm2", "same"),
    )  # fmt: skip
    assert apply(folder, labels) == 0
    assert said(folder) == {
        ("nm1", "Name 0", "prediction"): [0],
        ("unknown:1", "unknown 1", "none"): [1],
        ("nm2", "Name 1", "annotator"): [2],
    }
    assert apply(folder, labels, "--least", "0.95") == 0
    assert ("unknown:0", "unknown 0", "none") in said(folder)


def test_contradictory_answers_are_ignored_with_a_warning(
    folder: MovieFolder, caplog: pytest.LogCaptureFixture
) -> None:
    labels = write(folder, (1, 0, "labeled", "nm1", "same"), (1, 0, "labeled", "nm2", "same"))
    with caplog.at_level(logging.WARNING):
        assert apply_to_folder(folder, labels, make_cast(folder.path.parent / "other"))
    assert "1 thumbnail has contradictory answers" in caplog.text
    assert ("unknown:1", "unknown 1", "none") in said(folder)


def cluster_again(folder: MovieFolder, labels: list[int]) -> None:
    """Give the trajectories other clusters, as `cluster.py --overwrite` does."""
    data = clusters_bytes(MOVIE, labels)
    folder.clusters.write_bytes(data)
    manifest = read_manifest(folder)
    digest = sha256(data).hexdigest()
    manifest["stages"]["cluster"]["outputs"][folder.clusters.name] = digest
    manifest["stages"]["classify_knn"]["inputs"][folder.clusters.name] = digest
    write_manifest(folder, manifest)


def test_answers_stay_with_their_faces_when_the_film_is_clustered_again(folder: MovieFolder) -> None:
    labels = write(folder, (0, 0, "labeled", "nm2", "same"), (1, 0, "labeled", "nm2", "same"))
    assert apply(folder, labels) == 0
    cluster_again(folder, [0, 0, 1])
    assert any("another version of clusters.json" in one for one in inspect_folder(folder.path).warnings)
    assert inspect_folder(folder.path).violations.count == 0
    assert apply(folder, labels) == 0
    assert said(folder) == {
        ("nm2", "Name 1", "annotator"): [0, 1],
        ("unknown:1", "unknown 1", "none"): [2],
    }
    assert not any("people.json" in one for one in inspect_folder(folder.path).warnings)


def test_a_tag_and_a_trajectory_that_contradict_each_other_are_reported(
    folder: MovieFolder, caplog: pytest.LogCaptureFixture
) -> None:
    """By hand, one of the two is a mistake; a name would go to the wrong person without a word."""
    labels = write(folder, *((t, 0, "labeled", "nm2", "same") for t in (0, 1, 2)))
    database = make_cast(folder.path.parent / "other")
    with caplog.at_level(logging.WARNING):
        assert apply_to_folder(folder, labels, database)
        assert not caplog.messages, "tags and trajectories agree"
        header, first, *others = labels.read_text().splitlines()
        others = [row.removesuffix(f",{t}") + ",0" for t, row in enumerate(others, 1)]
        labels.write_text("\n".join([header, first, *others]) + "\n")
        assert apply_to_folder(folder, labels, database)
    (message,) = caplog.messages
    where = f"labels.csv:3: the face {tags_of(folder)[1][0]} is in trajectory 1, but its row has 0"
    assert f"{where} (2 rows are like this); the tag counts" in message
    assert message.endswith("in labels written by hand, correct one of the two")
    assert said(folder) == {("nm2", "Name 1", "annotator"): [0, 1, 2]}


def test_faces_that_are_gone_are_counted_and_indices_follow_the_tag(
    folder: MovieFolder, caplog: pytest.LogCaptureFixture
) -> None:
    labels = write(folder, (0, 0, "labeled", "nm2", "same"), (1, 0, "labeled", "nm2", "same"))
    text = labels.read_text().splitlines()
    text[1] = text[1].removesuffix(",0") + ",77"  # of another version, in which it was trajectory 77
    gone = text[2].replace(tags_of(folder)[1][0], f"{MOVIE}:5:1_2_3_4")
    labels.write_text("\n".join([*text, gone]) + "\n")
    with caplog.at_level(logging.WARNING):
        assert apply_to_folder(folder, labels, make_cast(folder.path.parent / "other"))
    assert "1 of 3 rows are ignored" in caplog.text
    assert said(folder)["nm2", "Name 1", "annotator"] == [0, 1]


@pytest.mark.parametrize(
    ("rows", "rule"),
    [
        ([f"{MOVIE},0,named,x,{MOVIE}:5:1_2_3_4,same,0"], "labels.csv:2: cluster_status 'named'"),
        ([f"{MOVIE},0,labeled,x,{MOVIE}:5:1_2_3_4,same,zero"], "labels.csv:2: tag or trajectory"),
        ([f"{MOVIE},0,labeled,x,8:5:1_2_3_4,same,0"], "labels.csv:2: the tag 8:5:1_2_3_4 is not of movie 7"),
        (
            [f"{MOVIE},0,labeled,x,{MOVIE}:5:1_2_3_4,same,0"],
            "none of 1 face of movie 7 is in its folder",
        ),
        (["8,0,labeled,x,8:5:1_2_3_4,same,0"], "no row has the movie_id 7"),
        (["7,0"], "labels.csv:2: the row has 2 cells"),
    ],
)
def test_bad_labels_are_refused_in_one_line(
    folder: MovieFolder, capsys: pytest.CaptureFixture[str], rows: list[str], rule: str
) -> None:
    labels = folder.path.parent / "labels.csv"
    labels.write_text("\n".join([HEADER, *rows]) + "\n")
    assert apply(folder, labels) == 1
    error = capsys.readouterr().err
    assert rule in error and error.count("\n") == 1
    assert not folder.people.exists()


def test_films_that_nobody_annotated_are_skipped_among_several(
    folder: MovieFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = write(folder, (0, 0, "labeled", "nm1", "same"))
    other = folder.path.with_name("8-data")
    other.mkdir()
    assert apply(folder, labels, "--path", str(other), str(folder.path)) == 0
    assert capsys.readouterr().out.startswith("movie 8: nobody annotated it (")
    assert folder.people.exists()


def test_a_long_label_and_a_bad_option_are_refused(
    folder: MovieFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = write(folder, (0, 0, "labeled", "a" * 201, "same"))
    assert apply(folder, labels) == 1
    assert "labels.csv:2: the label has more than 200 characters" in capsys.readouterr().err
    assert apply(folder, labels, "--least", "1.5") == 1
    assert "--least 1.5: must be between 0 and 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("edit", "rule"),
    [
        (lambda record: record["people"].pop(), "each of the 3 trajectories must be in one list"),
        (lambda record: record["no_face"].append(0), "each of the 3 trajectories must be in one list"),
        (lambda record: record["people"][0].update(source="guess"), "source must be one of"),
        (lambda record: record["people"][0].update(name=""), "name must be a string that is not empty"),
        (lambda record: record["people"].append(record["people"][0]), "twice with names of one source"),
        (lambda record: record.update(movie_id=8), "movie_id 8 in the folder of movie 7"),
        (lambda record: record["inputs"].update(labels="none"), "inputs must be SHA-256"),
        (lambda record: record.pop("mixed"), "missing key mixed"),
    ],
)
def test_a_broken_file_is_a_violation_that_the_backend_does_not_mind(
    folder: MovieFolder, edit: object, rule: str
) -> None:
    assert apply(folder, write(folder, (0, 0, "labeled", "nm2", "same"))) == 0
    record = json.loads(folder.people.read_bytes())
    edit(record)  # type: ignore[operator]
    folder.people.write_text(json.dumps(record))
    (found,) = violations_of(folder.path)
    assert found.path == folder.people and rule in found.rule
    assert inspect_folder(folder.path).backend_accepts


def test_answers_that_another_file_does_not_have_are_counted_and_kept(
    folder: MovieFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    first = write(folder, (0, 0, "labeled", "nm2", "same"), (1, 0, "labeled", "The Waiter", "same"))
    assert apply(folder, first) == 0
    more = ((0, 0, "labeled", "nm2", "same"), (1, 0, "labeled", "The Waiter", "same"))
    assert apply(folder, write(folder, *more, (2, 0, "labeled", "nm1", "same"))) == 0
    assert not folder.previous.exists() and "WARNING" not in capsys.readouterr().err, "nothing was lost"
    assert apply(folder, write(folder, (0, 0, "labeled", "nm1", "same"))) == 0
    (kept,) = folder.previous.glob("*/people.json")
    assert {one.person for one in read_people(kept, MOVIE).people} == {"nm1", "nm2", "typed:the_waiter"}
    (warning,) = capsys.readouterr().err.splitlines()
    assert "3 trajectories have another answer than before, or none any more" in warning
    assert warning.endswith(f"the earlier answers are kept in {kept}")
    folder.people.write_text("[]")
    assert apply(folder, first) == 0 and "people.json" in capsys.readouterr().err
