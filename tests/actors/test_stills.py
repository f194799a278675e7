"""Faces of stills are proposed by the prepared pictures, and added only when the user has confirmed them."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from facerec import add_movie, prepare_actors
from facerec.actors.database import ActorDatabase
from facerec.actors.embed import faces_of, prepare
from facerec.actors.people import known_people, members_of
from facerec.actors.pictures import read_picture
from facerec.actors.stills import COLUMNS, StillFace, confirmed, proposal_files, propose, with_earlier_answers
from facerec.errors import ContractError, InputError
from facerec.reporting.stills_sheet import draw_stills
from facerec.settings import GallerySettings
from facerec.support.atomic import write_changed
from facerec.support.cli import run_main
from tests.cast import PORTRAITS, make_database
from tests.commands.test_prepare_actors import BLUE, GREEN, RED, Blocks, Colour, portrait

MOVIE = 1


@pytest.fixture
def database(tmp_path: Path) -> ActorDatabase:
    """Ada (red), Bob (blue) and Zoë, who has no picture."""
    made = ActorDatabase(tmp_path / "db")
    made.pictures.mkdir(parents=True)
    rows = "".join(f"1,Film,1999,{who},{name},Self,,\n" for who, name in NAMES.items())
    made.actors.write_text(f"movie_id,movie_name,movie_year,id,name,role,birthday,birthplace\n{rows}")
    made.images.write_text("actor_id,movie_id,filename\nada,1,ada.png\nbob,1,bob.png\n")
    portrait(made.pictures / "ada.png", RED)
    portrait(made.pictures / "bob.png", BLUE)
    detector, embedder = Blocks(), Colour()
    prepare(made, (detector.card, embedder.card), lambda: (detector, embedder), GallerySettings())
    return made


NAMES = {"ada": "Ada King", "bob": "Bob", "zoe": "Zoë"}


def proposed(database: ActorDatabase, *stills: Path) -> list[StillFace]:
    return propose(database, MOVIE, stills, (Blocks(), Colour()), GallerySettings())


def write(database: ActorDatabase, faces: list[StillFace]) -> Path:
    folder = database.folder / "stills" / str(MOVIE)
    folder.mkdir(parents=True, exist_ok=True)
    table, files = proposal_files(folder, with_earlier_answers(faces, folder / "faces.csv"), NAMES)
    write_changed(files)
    return table


def answer(table: Path, *answers: str) -> None:
    rows = list(csv.DictReader(table.open(newline="")))
    for row, text in zip(rows, answers, strict=True):
        row["confirm"] = text
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def still(tmp_path: Path) -> Path:
    path = tmp_path / "Still 1984.png"
    portrait(path, (20, 40, 250), GREEN, (250, 30, 20))
    return path


def test_each_face_is_proposed_by_the_pictures_and_cut_out_alone(
    database: ActorDatabase, still: Path
) -> None:
    faces = proposed(database, still)
    assert [face.proposed for face in faces] == ["bob", "", "ada"]
    assert [face.number for face in faces] == [1, 2, 3]
    for face, colour in zip(faces, (BLUE, GREEN, RED), strict=True):
        assert face.shows_one_face
        (vector,) = faces_of(face.picture, Blocks(), Colour())
        assert vector @ np.array(colour) > 0.98 * np.linalg.norm(colour)


def test_two_faces_of_a_still_are_never_proposed_as_one_person(
    database: ActorDatabase, tmp_path: Path
) -> None:
    portrait(tmp_path / "twins.png", RED, (250, 30, 20))
    assert sorted(face.proposed for face in proposed(database, tmp_path / "twins.png")) == ["", "ada"]


def test_only_confirmed_faces_become_pictures(database: ActorDatabase, still: Path) -> None:
    table = write(database, proposed(database, still))
    members = members_of(database, MOVIE, known_people(database))
    assert confirmed(table, members) == []
    answer(table, "Yes", "ZOE", "no")
    found = confirmed(table, members)
    assert [(one.actor_id, one.year, one.path.name) for one in found] == [
        ("bob", "1984", "face-001.jpg"),
        ("zoe", "1984", "face-002.jpg"),
    ]
    words = ["--movie", "1", "--actor-db", str(database.folder), "--confirm", str(table)]
    assert run_main(add_movie.main, words) == 0
    rows = [row for _, row in database.read_images()]
    assert [(row["actor_id"], row.get("year")) for row in rows] == [
        ("ada", ""),
        ("bob", ""),
        ("bob", "1984"),
        ("zoe", "1984"),
    ]
    for row in rows[2:]:
        picture = read_picture(database.picture(row["filename"]))
        assert len(Blocks().detect([picture])[0].boxes) == 1
    before = {path: path.read_bytes() for path in database.folder.rglob("*.*")}
    assert run_main(add_movie.main, words) == 0
    assert {path: path.read_bytes() for path in database.folder.rglob("*.*")} == before


def test_a_proposal_that_a_german_spreadsheet_saved_again_is_confirmed(
    database: ActorDatabase, still: Path
) -> None:
    table = write(database, proposed(database, still))
    answer(table, "yes", "zoe", "no")
    rows = list(csv.reader(table.open(newline="")))
    with table.open("w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file, delimiter=";").writerows(rows)
    members = members_of(database, MOVIE, known_people(database))
    assert [one.actor_id for one in confirmed(table, members)] == ["bob", "zoe"]
    write(database, proposed(database, still))
    assert [row["confirm"] for row in csv.DictReader(table.open(newline=""))] == ["yes", "zoe", "no"]


def test_answers_survive_another_proposal(database: ActorDatabase, still: Path, tmp_path: Path) -> None:
    table = write(database, proposed(database, still))
    answer(table, "yes", "", "zoe")
    portrait(tmp_path / "another.png", RED)
    write(database, proposed(database, tmp_path / "another.png", still))
    rows = list(csv.DictReader(table.open(newline="")))
    assert [row["confirm"] for row in rows] == ["", "yes", "", "zoe"]


@pytest.mark.parametrize(
    "answers, line, fault",
    [
        (("", "yes", ""), 3, "but nobody of the cast is proposed; write a name"),
        (("Greta", "", ""), 2, "is neither yes, no, nor a name or id of the cast"),
        (("", "", "bob king"), 4, "is neither yes, no, nor a name or id"),
    ],
)
def test_answers_that_say_nothing_are_errors_with_their_line(
    database: ActorDatabase, still: Path, answers: tuple[str, ...], line: int, fault: str
) -> None:
    table = write(database, proposed(database, still))
    answer(table, *answers)
    with pytest.raises(ContractError, match=fault) as error:
        confirmed(table, members_of(database, MOVIE, known_people(database)))
    assert error.value.line == line


def test_a_cast_without_prepared_pictures_cannot_propose(database: ActorDatabase, still: Path) -> None:
    database.images.write_text("actor_id,movie_id,filename\n")
    with pytest.raises(InputError, match="no actor of movie 1 has a prepared picture"):
        proposed(database, still)


def test_the_sheet_shows_every_still_and_face(database: ActorDatabase, still: Path) -> None:
    faces = proposed(database, still)
    sheet = draw_stills(database, database.gallery(MOVIE), faces, NAMES)
    pixels = np.asarray(sheet).reshape(-1, 3).astype(int)
    for colour in (RED, GREEN, BLUE):
        near = np.abs(pixels - colour).sum(1) < 60
        assert near.sum() > 2000, colour
    assert sheet.width == 1360 and sheet.height > 3 * 112


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_real_stills_are_proposed_confirmed_and_prepared(
    tmp_path: Path, shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    people = shared / "data" / "people"
    database = make_database(tmp_path / "db", people, 7)
    db = ["--actor-db", str(database.folder)]
    models = ["--detector", "mtcnn", "--embedder", "dlib"]
    assert run_main(prepare_actors.main, [*db, *models]) == 0
    stills = [
        "knn_examples_test_obama_and_biden.jpg",
        "knn_examples_test_kit_with_rose.jpg",
        "two_people.jpg",
    ]
    still = [str(people / name) for name in stills]
    assert run_main(add_movie.main, ["--movie", "7", *db, "--still", *still]) == 0
    table = database.folder / "stills" / "7" / "faces.csv"
    assert str(table) in capsys.readouterr().out
    rows = list(csv.DictReader(table.open(newline="")))
    ids = {name: actor for actor, (name, _) in PORTRAITS.items()}
    truth = ["Joe Biden", "Barack Obama", None, "Rose Leslie", "Kit Harington", "Barack Obama", "Joe Biden"]
    assert [row["id"] for row in rows] == [ids[name] if name else "" for name in truth]
    answer(table, *("yes" if name else "no" for name in truth))
    assert PIL.Image.open(table.with_name("sheet.png")).width == 1360
    assert run_main(add_movie.main, ["--movie", "7", *db, "--confirm", str(table)]) == 0
    assert run_main(prepare_actors.main, [*db, *models]) == 0
    counts = [row["n_detections"] for _, row in database.read_images()]
    assert counts[-6:] == ["1"] * 6
