"""A person of the cast who must not be named is not named anywhere; an anonymous export names nobody."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from facerec import (
    apply_labels,
    check,
    classify_knn,
    cluster,
    contact_sheet,
    evaluate,
    export,
    open_movie,
    report,
)
from facerec.actors.database import ACTOR_COLUMNS, ActorDatabase
from facerec.exporting.registry import FORMATS
from facerec.folder.documents import read_predictions
from facerec.folder.layout import MovieFolder
from facerec.folder.readers import read_trajectories
from facerec.reporting.overview import read_overview
from facerec.support.cli import run_main
from tests.exporting.movies import CUTS, SHOWN
from tests.folders import make_cast
from tests.merged_folder import EMBEDDER, HEIGHT, WIDTH, Seen, merged_folder, person
from tests.movie_folder import movie_folder

MOVIE = 7
FILM = [Seen(0, 0), Seen(1, 0, x=200), Seen(0, 30), Seen(1, 60)]
ACTORS = {"nm0000001": "Ada Quill", "nm0000002": "Zoë Marsh"}  # of person 0 and person 1
HIDDEN = "nm0000002"


def make_database(folder: Path, do_not_name: str) -> ActorDatabase:
    folder.mkdir(exist_ok=True)
    made = ActorDatabase(folder)
    cells = {HIDDEN: do_not_name}
    rows = [
        f"{MOVIE},Film,1999,{actor},{name},role of {name},1970,Rome,{cells.get(actor, '')}"
        for actor, name in ACTORS.items()
    ]
    made.actors.write_text("\n".join([",".join((*ACTOR_COLUMNS, "do_not_name")), *rows]) + "\n")
    images = ["actor_id,movie_id,filename,n_detections", *(f"{one},{MOVIE},{one}.jpg,1" for one in ACTORS)]
    made.images.write_text("\n".join(images) + "\n")
    lines = [
        json.dumps({"image": f"{actor}.jpg", "n": 1, "faces": [{"vector": person(who).tolist()}]})
        for who, actor in enumerate(ACTORS)
    ]
    made.embeddings.write_text("\n".join(lines) + "\n")
    made.embeddings_meta.write_text(json.dumps({"embedder": EMBEDDER}))
    made.pictures.mkdir(exist_ok=True)
    for actor in ACTORS:
        (made.pictures / f"{actor}.jpg").write_bytes(b"a picture")
    made.aspect_ratios.write_text(f"filename,display_width,display_height\n7-Film.mp4,{WIDTH},{HEIGHT}\n")
    return made


@pytest.fixture
def folder(tmp_path: Path) -> MovieFolder:
    made = merged_folder(tmp_path, FILM, cuts=[30, 60])
    assert cluster.main(["--path", str(made.path)]) == 0
    return made


@pytest.fixture
def database(tmp_path: Path) -> ActorDatabase:
    return make_database(tmp_path / "actor_db", "yes")


def classify(folder: MovieFolder, database: ActorDatabase) -> None:
    words = ["--path", str(folder.path), "--actor-db", str(database.folder)]
    assert run_main(classify_knn.main, words) == 0


def test_their_cluster_gets_neither_their_name_nor_another(
    folder: MovieFolder, database: ActorDatabase
) -> None:
    classify(folder, database)
    predictions = read_predictions(folder.predictions, MOVIE, 2)
    assert sorted(map(tuple, predictions.values())) == [(), ("nm0000001",)]
    assert HIDDEN not in folder.manifest.read_text() and ACTORS[HIDDEN] not in folder.manifest.read_text()


@pytest.fixture
def finished(tmp_path: Path) -> MovieFolder:
    """Trajectories 0 and 2 in cluster 0, predicted as nm1 (Name 0); 1 and 3 as nm2 (Name 1)."""
    make_cast(tmp_path / "actor_db")
    return movie_folder(tmp_path, SHOWN, {0: {"nm1": 0.9}, 1: {"nm2": 0.8}}, movie_id=MOVIE, cuts=CUTS)


def decide(folder: MovieFolder, cell: str) -> list[str]:
    """Set do_not_name of nm1; returns the arguments of commands."""
    table = folder.path.parent / "actor_db" / "actors.csv"
    header, first, *others = table.read_text().splitlines()
    rest = [f"{line}," for line in others]
    table.write_text("\n".join([f"{header},do_not_name", f"{first},{cell}", *rest]) + "\n")
    return ["--path", str(folder.path), "--actor-db", str(table.parent)]


def label_all(folder: MovieFolder, labels: dict[int, str]) -> Path:
    """Annotators' labels of trajectories."""
    lines = ["movie_id,cluster_id,cluster_status,label,tag,image_status,trajectory"]
    for one in read_trajectories(folder.trajectories, MOVIE):
        for frame in range(one.start, one.end):
            tag = f"{MOVIE}:{frame}:{'_'.join(map(str, one.boxes[frame - one.start].tolist()))}"
            if folder.thumbnail(tag).exists() and one.index in labels:
                lines.append(f"{MOVIE},0,labeled,{labels[one.index]},{tag},same,{one.index}")
    path = folder.path.parent / "labels.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def texts(folder: Path) -> str:
    return "\n".join(path.read_text(errors="replace") for path in folder.iterdir() if path.is_file())


def test_no_export_report_or_annotation_names_them(finished: MovieFolder) -> None:
    where = decide(finished, "yes")
    labels = label_all(finished, {0: "name 0", 1: "Name 1", 2: "nm1"})
    assert run_main(apply_labels.main, [*where, "--labels", str(labels)]) == 0
    for one in FORMATS:
        assert run_main(export.main, [*where, "--format", one]) == 0
    assert run_main(report.main, where) == 0
    written = "\n".join([texts(finished.exports), finished.people.read_text(), finished.report.read_text()])
    assert "Name 1" in written
    for secret in ("nm1", "Name 0", "name 0", "name_0"):
        assert not re.search(rf"\b{secret}\b", written)
    people = open_movie(finished.path, actor_db=where[-1]).people.set_index("person")
    assert people.loc["unnamed:1", "n_trajectories"] == 2, "still one person, with a screen time"


def test_names_from_before_the_decision_are_not_shown_and_are_reported(
    finished: MovieFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    where = decide(finished, "YES")
    assert "nm1" in finished.predictions.read_text()
    assert not {"Name 0", "nm1"} & set(open_movie(finished.path, actor_db=where[-1]).people["name"])
    assert run_main(contact_sheet.main, where) == 0
    capsys.readouterr()
    assert run_main(check.main, [str(finished.path), *where[2:]]) == 1
    assert "actors.csv has no row with the id 'nm1', or says not to name it" in capsys.readouterr().err


def test_a_warning_about_their_names_does_not_name_them(
    finished: MovieFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    where = decide(finished, "yes")
    labels = label_all(finished, {1: "Name 1"})
    capsys.readouterr()
    assert run_main(evaluate.main, [*where, "--truth", str(labels)]) == 0
    said = capsys.readouterr().err
    assert "1 predicted person must not be named" in said
    assert "nm1" not in said and "Name 0" not in said and "--actor-db" not in said


def test_the_second_name_of_their_cluster_is_not_shown_instead(tmp_path: Path) -> None:
    make_cast(tmp_path / "actor_db")
    predictions = {0: {"nm1": 0.5, "nm2": 0.45}, 1: {"nm2": 0.8}}
    finished = movie_folder(tmp_path, SHOWN, predictions, movie_id=MOVIE, cuts=CUTS)
    where = decide(finished, "yes")
    people = open_movie(finished.path, actor_db=where[-1]).people.set_index("name")
    assert people.loc["Name 1", "n_trajectories"] == people.loc["unknown 0", "n_trajectories"] == 2
    assert read_overview(finished, {"nm1"}).clusters[0].names == ()
    assert run_main(report.main, where) == 0
    page = finished.report.read_text()
    assert '"Name 1",0.8]' in page and '"Name 1",0.45' not in page


def test_a_spelling_in_another_movie_is_their_name_too(finished: MovieFolder) -> None:
    where = decide(finished, "yes")
    table = finished.path.parent / "actor_db" / "actors.csv"
    row = table.read_text().splitlines()[1].replace("Name 0", "Nom Zéro").split(",")
    table.write_text(table.read_text() + ",".join([str(MOVIE + 1), *row[1:]]) + "\n")
    labels = label_all(finished, {0: "nom zero"})
    assert run_main(apply_labels.main, [*where, "--labels", str(labels)]) == 0
    assert "nom zero" not in finished.people.read_text()


def test_a_decision_that_is_neither_yes_nor_no_is_reported(
    finished: MovieFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    where = decide(finished, "perhaps")
    assert run_main(report.main, where) == 1
    assert "actors.csv:2: do_not_name 'perhaps' is neither yes nor no" in capsys.readouterr().err


@pytest.mark.parametrize("one", FORMATS)
def test_an_anonymous_export_names_nobody(one: str, finished: MovieFolder, tmp_path: Path) -> None:
    where = decide(finished, "")
    out = tmp_path / "out"
    out.mkdir()
    assert run_main(export.main, [*where, "--format", one, "--anonymous", "--out", str(out)]) == 0
    (file,) = out.iterdir()
    written = file.read_text(errors="replace")
    assert not re.search(r"\b(nm1|nm2|Name 0|Name 1|Role)\b", written)
    assert one in ("mot", "coco") or "person 1" in written or "person:1" in written
