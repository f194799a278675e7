"""The tables of a movie hold what a film's viewer would write down, in frames and in seconds."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import facerec
from facerec.actors.database import ACTOR_COLUMNS
from facerec.annotations.export import EXPORT_COLUMNS
from facerec.errors import ContractError, FacerecError, InputError, StaleError
from facerec.folder.images import thumbnail_tags
from facerec.folder.layout import MovieFolder
from facerec.folder.people import People, Person, people_bytes
from facerec.folder.plan import read_plan
from facerec.folder.readers import read_trajectories
from facerec.movies.reading import _stored_size
from facerec.movies.times import frame_times
from facerec.support.atomic import sha256_of
from tests.conftest import ROOT
from tests.films import make_film, number_in
from tests.merged_folder import HEIGHT
from tests.movie_folder import Shown, movie_folder, variable_times

SHOWN = (  # clusters 0 and 2 are Ada, 1 is unknown; cuts at 20 and 50
    Shown(0, 0, 20),
    Shown(1, 10, 20, x=100, height=180),
    Shown(0, 20, 30),
    Shown(2, 25, 40, x=200, height=36),
    Shown(1, 60, 70, x=100),
)
CUTS = (20, 50)
NAMES = {0: {"nm1": 0.9, "nm2": 0.05}, 2: {"nm1": 0.5}, 1: {"nm2": 0.4}}
CAST = {"nm1": "Ada Lovelace", "nm2": "Bob"}


@pytest.fixture
def folder(tmp_path: Path) -> MovieFolder:
    return movie_folder(tmp_path, SHOWN, NAMES, cuts=CUTS, cast=CAST)


def row(table: pd.DataFrame, **where: object) -> dict[str, object]:
    """The only row with the given values."""
    for column, value in where.items():
        table = table[table[column] == value]
    (found,) = table.to_dict("records")
    return {str(key): value for key, value in found.items()}


def test_two_clusters_with_one_name_are_one_person_seen_once_at_a_time(folder: MovieFolder) -> None:
    movie = facerec.open_movie(folder.path)
    assert list(movie.people["person"]) == ["nm1", "unknown:1"]
    ada, unknown = (row(movie.people, person=person) for person in ("nm1", "unknown:1"))
    assert (ada["name"], ada["source"], ada["probability"]) == ("Ada Lovelace", "prediction", 0.9)
    assert (ada["clusters"], ada["n_trajectories"], ada["n_shots"]) == ((0, 2), 3, 2)
    assert ada["seconds"] == pytest.approx(40 / 25) and ada["share"] == pytest.approx(0.4)
    assert (ada["first"], ada["last"], ada["first_s"], ada["last_s"]) == (0, 39, 0, 1.6)
    height = (90 * 30 + 36 * 15) / 45
    assert ada["mean_height"] == pytest.approx(height)
    assert ada["face_height"] == pytest.approx(height / HEIGHT)
    assert (unknown["name"], unknown["source"], unknown["n_shots"]) == ("unknown 1", "none", 2)
    assert pd.isna(unknown["probability"]) and pd.isna(unknown["actor_id"])
    assert unknown["seconds"] == pytest.approx(20 / 25)


def test_presence_is_the_longest_intervals_inside_shots(folder: MovieFolder) -> None:
    presence = facerec.open_movie(folder.path).presence
    found = presence[["person", "shot", "begin", "end"]].to_numpy().tolist()
    assert found == [
        ["nm1", 0, 0, 20],
        ["unknown:1", 0, 10, 20],
        ["nm1", 1, 20, 40],
        ["unknown:1", 2, 60, 70],
    ]
    assert presence["begin_s"].tolist() == [0, 0.4, 0.8, 2.4]
    assert presence["end_s"].tolist() == [0.8, 0.8, 1.6, 2.8]
    assert presence["name"].tolist() == ["Ada Lovelace", "unknown 1", "Ada Lovelace", "unknown 1"]


def test_co_presence_counts_shots_and_the_time_both_are_on_screen(folder: MovieFolder) -> None:
    (pair,) = facerec.open_movie(folder.path).co_presence.to_dict("records")
    assert (pair["person_a"], pair["person_b"], pair["name_b"]) == ("nm1", "unknown:1", "unknown 1")
    assert (pair["shots"], pair["frames"], pair["seconds"]) == (1, 10, pytest.approx(0.4))


def test_shots_cover_the_film_and_trajectories_know_theirs(folder: MovieFolder) -> None:
    movie = facerec.open_movie(folder.path)
    assert movie.shots[["begin", "end"]].to_numpy().tolist() == [[0, 20], [20, 50], [50, 100]]
    assert movie.shots["end_s"].tolist() == [0.8, 2, 4]
    table = movie.trajectories
    assert table["shot"].tolist() == [0, 0, 1, 1, 2]
    assert table["cluster"].tolist() == [0, 1, 0, 2, 1]
    assert table["n_faces"].tolist() == [4, 2, 2, 3, 2]
    assert table["mean_height"].tolist() == [90, 180, 90, 36, 90]
    assert row(table, trajectory=3)["probability"] == 0.5


def test_times_are_the_frames_own_where_the_rate_varies(tmp_path: Path) -> None:
    """Frames of 40 ms up to frame 25, of 1 s after it; the film's clock begins at 2 s."""
    pts = [2000 + t for t in variable_times(100, 40, 1000, 25)]
    folder = movie_folder(tmp_path, SHOWN, NAMES, cuts=CUTS, pts=pts, time_base="1/1000", frame_rate="2")
    movie = facerec.open_movie(folder.path)
    assert movie.duration_s == pytest.approx(25 * 0.04 + 74 + 0.5)  # the last frame lasts 1 / frame_rate
    assert not movie.times.constant
    ada = row(movie.people, person="nm1")
    assert ada["seconds"] == pytest.approx(25 * 0.04 + 15)
    assert (ada["first_s"], ada["last_s"]) == (2, pytest.approx(2 + 1 + 15))
    assert row(movie.boxes, trajectory=3, frame=26)["time_s"] == pytest.approx(4)
    assert [movie.frame_at(t) for t in (2, 2.0399, 2.04, 3, 3.99, 4)] == [0, 0, 1, 25, 25, 26]
    with pytest.raises(InputError, match=r"lasts from 2.000 to 77.500 seconds"):
        movie.frame_at(1.9)


@pytest.mark.parametrize(
    "video",
    [
        {"times": [[1, 10**15]]},  # more than memory can hold
        {"times": [[1, 99], [0, 1]]},
        {"times": [[1, 50], [-3, 50]]},
        {"times": "0"},
        {"time_base": "0"},
        {"time_base": "1/0"},
        {"frame_rate": None},
        {"frame_rate": "-25"},
    ],
)
def test_times_that_cannot_be_are_refused(folder: MovieFolder, video: dict[str, object]) -> None:
    plan = read_plan(folder)
    assert plan is not None
    with pytest.raises(ContractError, match=r"plan.json: video must have times"):
        frame_times(folder, replace(plan, video={**plan.video, **video}))


@pytest.mark.parametrize(("rotation", "size"), [(0, (480, 720)), (90, (720, 480)), (None, (480, 720))])
def test_the_stored_size_is_upright(folder: MovieFolder, rotation: int | None, size: tuple[int, int]) -> None:
    plan = read_plan(folder)
    assert plan is not None
    video = {**plan.video, "stored_size": [480, 720], "rotation": rotation}
    assert _stored_size(replace(plan, video=video), (1, 1)) == size
    assert _stored_size(replace(plan, video={}), (1, 1)) == (1, 1)


def test_a_film_without_usable_times_is_timed_by_its_frame_rate(tmp_path: Path) -> None:
    """The plan then has frame numbers, with the time base of the stream, which means nothing."""
    folder = movie_folder(tmp_path, SHOWN, NAMES, cuts=CUTS, time_base="1/1200000", seekable=False)
    movie = facerec.open_movie(folder.path)
    assert movie.duration_s == pytest.approx(4) and movie.presence["end_s"].max() == pytest.approx(2.8)


def test_boxes_are_those_of_the_trajectories_in_chunks_or_at_once(folder: MovieFolder) -> None:
    movie = facerec.open_movie(folder.path)
    records = read_trajectories(folder.trajectories, 7)
    boxes = movie.boxes
    assert len(boxes) == sum(len(one.boxes) for one in records)
    for one in records:
        mine = boxes[boxes["trajectory"] == one.index]
        assert mine[["x1", "y1", "x2", "y2"]].to_numpy().tolist() == one.boxes.tolist()
        assert mine["frame"].tolist() == list(range(one.start, one.end))
    chunks = list(movie.box_chunks(rows=15))
    assert len(chunks) == 4 and all(chunk["trajectory"].is_monotonic_increasing for chunk in chunks)
    assert pd.concat(chunks, ignore_index=True).equals(boxes)


def test_faces_have_their_embedding_quality_and_trajectory(folder: MovieFolder) -> None:
    movie = facerec.open_movie(folder.path)
    faces = movie.faces
    assert movie.embeddings.shape == (len(faces), 16) and not movie.embeddings.flags.writeable
    assert all((faces["embedding"][i] == movie.embeddings[i]).all() for i in range(len(faces)))
    assert faces["quality"].between(0, 1).all() and faces["quality"].gt(0.1).all()
    tags = thumbnail_tags(folder, read_trajectories(folder.trajectories, 7))
    for index, mine in faces.groupby("trajectory")["tag"]:
        assert tuple(mine) == tags[index]
    with pytest.raises(ValueError, match="read-only"):
        faces["embedding"][0][0] = 1


def test_changing_a_table_changes_neither_the_movie_nor_another_table(folder: MovieFolder) -> None:
    movie = facerec.open_movie(folder.path)
    people = movie.people
    people.loc[0, "name"] = "somebody else"
    del people["share"]
    assert movie.people.loc[0, "name"] == "Ada Lovelace" and "share" in movie.people
    assert movie.presence.loc[0, "name"] == "Ada Lovelace"


def test_least_decides_which_predictions_are_names(folder: MovieFolder) -> None:
    names = {
        least: facerec.open_movie(folder.path, least=least).people["name"].tolist() for least in (0.3, 0.6)
    }
    assert names[0.3] == ["Ada Lovelace", "Bob"]
    assert names[0.6] == ["Ada Lovelace", "unknown 1", "unknown 2"]
    with pytest.raises(InputError, match=r"in 0..1, not 40"):
        facerec.open_movie(folder.path, least=40)


def test_a_shared_page_is_no_person_and_in_no_pair(tmp_path: Path) -> None:
    folder = movie_folder(
        tmp_path, [Shown(0, 0, 10), Shown(1, 0, 50, x=99)], {1: {"nm1": 0.9}}, poor_pages=[1]
    )
    movie = facerec.open_movie(folder.path)
    assert movie.people[["name", "shared"]].to_numpy().tolist() == [["unknown 0", False], ["unknown 1", True]]
    assert len(movie.co_presence) == 0 and len(movie.presence) == 2


def test_annotators_labels_win_and_the_rest_stays_predicted(folder: MovieFolder, tmp_path: Path) -> None:
    tags = thumbnail_tags(folder, read_trajectories(folder.trajectories, 7))
    rows = [
        (1, "labeled", "nm2", "same"),
        (3, "labeled", "A passer-by", "same"),
        (4, "labeled", "x", "invalid"),
    ]
    lines = [f"7,0,{status},{label},{tags[i][0]},{image},{i}" for i, status, label, image in rows]
    labels = tmp_path / "labels.csv"
    labels.write_text("\n".join([",".join(EXPORT_COLUMNS), *lines]) + "\n")
    movie = facerec.open_movie(folder.path, labels=labels)
    assert movie.trajectories["person"].fillna("").tolist() == ["nm1", "nm2", "nm1", "typed:a_passer_by", ""]
    assert movie.trajectories["source"].fillna("").tolist() == [
        "prediction", "annotator", "prediction", "annotator", "",
    ]  # fmt: skip
    people = movie.people.set_index("person")
    assert people.loc["typed:a_passer_by", "name"] == "A passer-by"
    assert people["source"].to_dict() == {
        "nm1": "prediction", "nm2": "annotator", "typed:a_passer_by": "annotator",
    }  # fmt: skip
    assert pd.isna(people.loc["nm2", "probability"])
    assert 4 not in set(movie.presence["shot"]) and len(movie.presence) == 4


def test_people_json_is_preferred_until_the_trajectories_change(folder: MovieFolder) -> None:
    inputs = {
        path.name: sha256_of(path) for path in (folder.trajectories, folder.clusters, folder.predictions)
    }
    people = (
        Person("nm2", "Bob", "nm2", "annotator", (0,)),
        Person("nm2", "Bob", "nm2", "prediction", (1,)),  # by an earlier clustering: 1 is unknown now
        Person("trajectory:2", "unknown, trajectory 2", None, "annotator", (2,)),
    )
    said = People(7, inputs | {"labels": "0" * 64}, people, no_face=(3,), mixed=(4,))
    folder.people.write_bytes(people_bytes(said, 5))
    movie = facerec.open_movie(folder.path)
    assert movie.trajectories["name"].fillna("").tolist() == [
        "Bob", "unknown 1", "unknown, trajectory 2", "", "unknown, trajectory 4",
    ]  # fmt: skip
    shared = movie.people.set_index("person")["shared"]
    assert shared.to_dict() == {
        "nm2": False, "trajectory:2": False, "unknown:1": False, "trajectory:4": True,
    }  # fmt: skip
    folder.people.write_bytes(
        people_bytes(replace(said, inputs=said.inputs | {"clusters.json": "0" * 64}), 5)
    )
    assert facerec.open_movie(folder.path).people["name"].tolist() == movie.people["name"].tolist()
    stale = replace(said, inputs=said.inputs | {"trajectories.jsonl": "0" * 64})
    folder.people.write_bytes(people_bytes(stale, 5))
    with pytest.raises(StaleError, match=r"people.json: was made for another version of trajectories.jsonl"):
        facerec.open_movie(folder.path)
    folder.people.write_bytes(people_bytes(said, 5).replace(b"[4]", b"[]"))
    with pytest.raises(ContractError, match="each of the 5 trajectories must be in one list"):
        facerec.open_movie(folder.path)


def test_names_roles_and_identifiers_come_from_the_actor_database(
    folder: MovieFolder, tmp_path: Path
) -> None:
    database = tmp_path / "actors"
    database.mkdir()
    wikidata, viaf = "http://www.wikidata.org/entity/Q7259", "http://viaf.org/viaf/9875"
    table = [
        ",".join((*ACTOR_COLUMNS, "uri")),
        f'7,"The Engine",1843,nm1,Augusta Ada,Herself,1815,London,{wikidata} {viaf}',
        "8,Another,1850,nm2,Robert,Extra,1800,Paris,",
        "7,The Engine,1843,nm3,Charles,Inventor,1791,London,",
    ]
    (database / "actors.csv").write_text("\n".join(table) + "\n")
    movie = facerec.open_movie(folder.path, actor_db=database)
    assert (movie.title, movie.year) == ("The Engine", "1843")
    assert movie.people.loc[0, ["name", "uri"]].tolist() == ["Augusta Ada", f"{wikidata} {viaf}"]
    assert movie.cast["name"].tolist() == ["Augusta Ada", "Bob", "Charles"]
    assert movie.cast["role"].tolist() == ["Herself", "", "Inventor"]
    (database / "actors.csv").write_text("\n".join([table[0], f"{table[1]} Q42"]) + "\n")
    with pytest.raises(ContractError, match=r"actors.csv:2: uri 'Q42' is not a URI such as http"):
        facerec.open_movie(folder.path, actor_db=database)
    with pytest.raises(InputError, match=r"nowhere/actors.csv: no such file"):
        facerec.open_movie(folder.path, actor_db=tmp_path / "nowhere")


def test_control_characters_in_names_become_spaces(tmp_path: Path) -> None:
    folder = movie_folder(tmp_path, [Shown(0, 0, 9)], {0: {"nm1": 0.9}}, cast={"nm1": "Ada\nLove\x00lace "})
    assert facerec.open_movie(folder.path).people["name"].tolist() == ["Ada Love lace"]


def test_pictures_come_from_the_folder_and_frames_from_the_film(tmp_path: Path) -> None:
    film = make_film(tmp_path / "7-Film.mp4", frames=100)
    pts = [512 * i for i in range(100)]
    folder = movie_folder(tmp_path, SHOWN, NAMES, cuts=CUTS, film=film, pts=pts, time_base="1/12800")
    movie = facerec.open_movie(folder.path)
    assert movie.picture(movie.faces["tag"][0]).size == (40, 50)
    with pytest.raises(InputError, match="no saved face '7:1:2_3_4_5'"):
        movie.picture("7:1:2_3_4_5")
    frame = movie.frame(42)
    assert frame.size == (movie.width, movie.height) and number_in(np.asarray(frame)) == 42
    with pytest.raises(InputError, match="frames 0 to 99"):
        movie.frame(100)
    moved = film.rename(tmp_path / "elsewhere.mp4")
    with pytest.raises(InputError, match=r"7-Film.mp4: no such film; give its path with"):
        facerec.open_movie(folder.path).frame(0)
    assert number_in(np.asarray(facerec.open_movie(folder.path, film=moved).frame(7))) == 7
    other = make_film(tmp_path / "7-Other.mp4", frames=99)
    with pytest.raises(InputError, match="is not the film that"):
        facerec.open_movie(folder.path, film=other).frame(0)


def test_a_film_without_faces_has_empty_tables(tmp_path: Path) -> None:
    movie = facerec.open_movie(movie_folder(tmp_path, []).path)
    for table in (
        movie.people,
        movie.presence,
        movie.co_presence,
        movie.trajectories,
        movie.boxes,
        movie.faces,
    ):
        assert len(table) == 0 and len(table.columns) > 5
    assert len(movie.shots) == 1 and "100 frames, 4.0 s, 0 trajectories, 0 people" in repr(movie)


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("trajectories.jsonl", b'"start":10', b'"start":11', "not the file that merge_shards.py wrote"),
        ("predictions.json", b"0.9", b"0.8", "not the file that classify_knn.py wrote"),
        ("plan.json", b'"1/25"', b'"1/24"', "was edited after it was written"),
    ],
)
def test_a_folder_that_was_edited_is_refused(
    folder: MovieFolder, file: str, old: bytes, new: bytes, message: str
) -> None:
    path = folder.path / file
    path.write_bytes(path.read_bytes().replace(old, new))
    with pytest.raises(FacerecError, match=message) as caught:
        facerec.open_movie(folder.path)
    assert file in str(caught.value) and "\n" not in str(caught.value)


def test_an_unfinished_folder_is_refused_with_the_command_to_run(folder: MovieFolder) -> None:
    folder.predictions.unlink()
    with pytest.raises(StaleError, match=r"predictions.json: this file must exist; run: .*classify_knn"):
        facerec.open_movie(folder.path)
    with pytest.raises(InputError, match="does not exist"):
        facerec.open_movie(folder.path.parent / "8-data")


def test_importing_facerec_loads_no_pandas() -> None:
    program = "import facerec, sys; sys.exit('pandas' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT).returncode == 0
