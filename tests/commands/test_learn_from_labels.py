"""Confirmed faces are learnt once and improve the names of the next film; rejected ones are never learnt."""

from __future__ import annotations

import contextlib
import csv
import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas
import pytest

from facerec import classify_knn, cluster, learn_from_labels
from facerec.actors.database import ActorDatabase
from facerec.actors.embed import prepare
from facerec.actors.provenance import SHOWN_LAST, read_origins
from facerec.annotations import learning
from facerec.annotations.confirmed_faces import ConfirmedFace
from facerec.annotations.learning import choose_faces, learn_folder
from facerec.errors import ContractError, InputError
from facerec.folder.documents import DISPLAY_THRESHOLD, clusters_bytes, read_clusters, read_predictions
from facerec.folder.layout import MovieFolder
from facerec.folder.manifest import read_manifest, write_manifest
from facerec.folder.readers import read_features
from facerec.folder.records import SavedFace
from facerec.folder.thumbnails import thumbnail_bytes
from facerec.geometry import Image
from facerec.models.base import Detections, ModelCard
from facerec.settings import GallerySettings, LearnSettings
from facerec.support.atomic import sha256_of
from facerec.support.cli import run_main
from tests.merged_folder import EMBEDDER, FRONTAL, HEIGHT, WIDTH, Seen, merged_folder, person

CAST = {"nm1": "Ada Lovelace", "nm2": "Grace Hopper", "nm3": "Hedy Lamarr"}
STRANGER = 9
EXPORT = ("movie_id", "cluster_id", "cluster_status", "label", "tag", "image_status", "trajectory")
EMBED_CARD = ModelCard("toy", "none", str(EMBEDDER["sha256"]), "none")
DETECT_CARD = ModelCard("blind", "none", "0" * 64, "none")


class Blind:
    """A detector that finds one face in a portrait and none in a small crop."""

    card = DETECT_CARD
    batch_size = 1

    def detect(self, frames: Sequence[Image]) -> list[Detections]:
        n = [int(max(frame.shape) > 160) for frame in frames]
        return [
            Detections(np.tile(np.float32([0, 0, 200, 200]), (k, 1)), np.ones(k, np.float32),
                       np.zeros((k, 5, 2), np.float32))
            for k in n
        ]  # fmt: skip


class Toy:
    """An embedder that returns the same embedding for every face and records boxes and keypoints."""

    card = EMBED_CARD
    dimension = 16
    same_person = 1.1
    verification_threshold = 1.0

    def __init__(self, sha256: str = EMBED_CARD.sha256) -> None:
        self.card = ModelCard("toy", "none", sha256, "none")
        self.given: list[tuple[np.ndarray, np.ndarray]] = []

    def crop(self, frame: Image, box: np.ndarray, keypoints: np.ndarray) -> Image:
        self.given.append((box, keypoints))
        return frame

    def embed(self, crops: Sequence[Image]) -> np.ndarray:
        return np.stack([person(15)] * len(crops)) if crops else np.zeros((0, 16), np.float32)


def prepared(database: ActorDatabase, embedder: Toy | None = None) -> tuple[str, ...]:
    embedder = embedder or Toy()
    cards = DETECT_CARD, embedder.card
    return prepare(database, cards, lambda: (Blind(), embedder), GallerySettings()).written


@pytest.fixture
def database(tmp_path: Path) -> ActorDatabase:
    """A portrait of each actor that is too different from the film's faces to name them."""
    made = ActorDatabase(tmp_path / "actor_db")
    made.pictures.mkdir(parents=True)
    rows = [
        f"{movie},Film {movie},1999,{actor},{name},self,1970,Rome"
        for movie in (7, 8)
        for actor, name in CAST.items()
    ]
    made.actors.write_text(
        "\n".join(["movie_id,movie_name,movie_year,id,name,role,birthday,birthplace", *rows])
    )
    images = [f'nm{i},7,"old, but hers",nm{i}.png' for i in (1, 2, 3)]
    made.images.write_bytes("\r\n".join(["actor_id,movie_id,note,filename", *images]).encode())
    for i in (1, 2, 3):
        cv2.imwrite(str(made.picture(f"nm{i}.png")), np.full((200, 200, 3), 40 * i, np.uint8))
    prepared(made)
    lines = []
    for i in (1, 2, 3):
        vector = person(i) * 0.25 + person(15 - i) * np.sqrt(1 - 0.25**2)
        lines.append(json.dumps({"image": f"nm{i}.png", "n": 1, "faces": [{"vector": vector.tolist()}]}))
    made.embeddings.write_text("\n".join(lines) + "\n")
    meta = json.loads(made.embeddings_meta.read_bytes())
    made.embeddings_meta.write_text(json.dumps({**meta, "embeddings_sha256": sha256_of(made.embeddings)}))
    return made


def film(out: Path, movie_id: int) -> MovieFolder:
    """Three shots of each actor and one of a stranger, with a thumbnail of each face."""
    seen = [Seen(who, 40 * k, 30, x=50 * who) for k, who in enumerate([1, 2, 3, 1, 2, 3, 1, 2, 3, STRANGER])]
    folder = merged_folder(out, seen, cuts=[40 * k for k in range(1, len(seen))], movie_id=movie_id)
    frame = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    for face in read_features(folder.features, movie_id):
        folder.thumbnail(face.tag).write_bytes(thumbnail_bytes(frame, face.box))
    return folder


def faces_of(folder: MovieFolder) -> list[tuple[SavedFace, int, int]]:
    """Face, trajectory, person."""
    return [
        (face, k, [1, 2, 3, 1, 2, 3, 1, 2, 3, STRANGER][k])
        for face in read_features(folder.features, folder.movie_id)
        for k in [face.frame // 40]
    ]


def labels(folder: MovieFolder, **answers: dict[str, str]) -> Path:
    """An export that confirms every actor's face, except for the `answers` to single frames."""
    path = folder.path.parent / "labels.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, EXPORT)
        writer.writeheader()
        for face, trajectory, who in faces_of(folder):
            row = {
                "movie_id": folder.movie_id,
                "cluster_id": who,
                "cluster_status": "labeled" if who != STRANGER else "postponed",
                "label": f"nm{who}" if who != STRANGER else "",
                "tag": face.tag,
                "image_status": "same" if who != STRANGER else "",
                "trajectory": trajectory,
            }
            writer.writerow(row | answers.get(f"at{face.frame}", {}))
    return path


def learn(folder: MovieFolder, database: ActorDatabase, **answers: dict[str, str]) -> str:
    return learn_folder(folder, labels(folder, **answers), database, LearnSettings(2))


def content(database: ActorDatabase) -> dict[str, bytes]:
    found = (path for path in database.folder.rglob("*") if path.is_file() and path != database.lock)
    return {str(path.relative_to(database.folder)): path.read_bytes() for path in found}


def learnt(database: ActorDatabase) -> dict[str, str]:
    """Actor by tag, of what is in all of the database's files."""
    table = {row["filename"]: row for _, row in database.read_images()}
    lines = {faces.image: faces for _, faces in database.read_embeddings()}
    meta = json.loads(database.embeddings_meta.read_bytes())
    found = {}
    for tag, one in read_origins(database).items():
        if one.learnt:
            assert table[one.filename]["actor_id"] == one.actor_id
            assert SHOWN_LAST.items() <= table[one.filename].items()
            assert len(lines[one.filename].vectors) == 1
            assert meta["pictures"][one.filename] == one.sha256 == sha256_of(database.picture(one.filename))
            found[tag] = one.actor_id
    portraits = {f"nm{i}.png" for i in (1, 2, 3)}
    assert len(found) + 3 == len(table) == len(lines) == len(list(database.pictures.iterdir()))
    assert portraits <= table.keys() == lines.keys() == meta["pictures"].keys()
    assert meta["embeddings_sha256"] == sha256_of(database.embeddings)
    return found


def names_in(folder: MovieFolder, database: ActorDatabase) -> tuple[int, int]:
    """Count the trajectories that are named right and wrong."""
    paths = ["--path", str(folder.path)]
    assert run_main(cluster.main, paths) == 0
    assert run_main(classify_knn.main, [*paths, "--actor-db", str(database.folder), "--overwrite"]) == 0
    clusters = read_clusters(folder.clusters, folder.movie_id)
    said = read_predictions(folder.predictions, folder.movie_id)
    shown = [{actor for actor, p in said[c].items() if p > DISPLAY_THRESHOLD} for c in clusters]
    truth = {k: {f"nm{who}"} if who != STRANGER else set() for _, k, who in faces_of(folder)}
    right = sum(bool(shown[k]) and shown[k] == truth[k] for k in truth)
    return right, sum(bool(shown[k] - truth[k]) for k in truth)


def test_faces_learnt_from_one_film_name_the_next(database: ActorDatabase, tmp_path: Path) -> None:
    first, second = film(tmp_path / "one", 7), film(tmp_path / "two", 8)
    assert names_in(second, database) == (0, 0)
    learn(first, database)
    assert names_in(second, database) == (9, 0)  # all trajectories of the cast; the stranger has no name


def test_best_faces_are_learnt_up_to_the_limit_with_their_origin(
    database: ActorDatabase, tmp_path: Path
) -> None:
    folder = film(tmp_path, 7)
    said = learn(folder, database)
    assert "54 faces confirmed, 6 faces of 3 actors learnt" in said
    found = learnt(database)
    assert sorted(found.values()) == ["nm1", "nm1", "nm2", "nm2", "nm3", "nm3"]
    who = {face.tag: (k, f"nm{who}") for face, k, who in faces_of(folder)}
    assert all(who[tag][1] == actor for tag, actor in found.items())
    assert len({who[tag][0] for tag in found}) == 6  # each from another trajectory
    vectors = {face.tag: face.embedding for face, _, _ in faces_of(folder)}
    for _, faces in database.read_embeddings():
        for tag in found:
            if faces.image == learning._filename(tag):
                assert np.allclose(faces.vectors[0], vectors[tag], atol=1e-6)


def test_other_rows_of_the_table_stay_unchanged(database: ActorDatabase, tmp_path: Path) -> None:
    before = database.images.read_bytes()
    learn(film(tmp_path, 7), database)
    after = database.images.read_bytes()
    assert after.startswith(before + b"\r\nnm")  # the last line had no end
    assert after.count(b"\r\n") == after.count(b"\n") == 1 + 3 + 6


def test_learnt_faces_have_the_year_of_their_film_where_pictures_have_years(
    database: ActorDatabase, tmp_path: Path
) -> None:
    header, *rows = database.images.read_text().splitlines()
    database.images.write_text("\n".join([f"{header},year", *(f"{row},1950" for row in rows)]) + "\n")
    learn(film(tmp_path, 7), database)
    years = {row["filename"]: row["year"] for _, row in database.read_images()}
    learnt = {year for name, year in years.items() if name.startswith("learnt-")}
    assert learnt == {"1999"} and set(years.values()) == {"1999", "1950"}


def test_learning_again_changes_nothing(database: ActorDatabase, tmp_path: Path) -> None:
    folder = film(tmp_path, 7)
    learn(folder, database)
    before = content(database)
    stamps = {path: path.stat().st_mtime_ns for path in database.folder.rglob("*")}
    assert "nothing changed" in learn(folder, database)
    assert content(database) == before
    assert {path: path.stat().st_mtime_ns for path in database.folder.rglob("*")} == stamps


def shown(database: ActorDatabase, actor: str, movie_id: int) -> list[str]:
    """The pictures of an actor in the order in which the labeling backend shows them; the page has three."""
    orders = set()
    for seed in range(20):  # rows with equal counts come in any order
        table = pandas.read_csv(database.images).sample(frac=1, random_state=seed)
        table = table[(table["actor_id"].astype(str) == actor) & (table["n_detections"] > 0)]
        table = table.sort_values("n_detections")
        here = table["movie_id"] == movie_id
        names = pandas.concat([table[here], table[~here]])["filename"].tolist()
        portraits = [name for name in names if not name.startswith("learnt")]
        assert names[: len(portraits)] == portraits  # in every order
        orders.add((*sorted(portraits), *sorted(names[len(portraits) :])))
    (order,) = orders
    return list(order)


def add_portrait(database: ActorDatabase, actor: str, movie_id: int, name: str) -> None:
    cv2.imwrite(str(database.picture(name)), np.full((200, 200, 3), 7 * len(name), np.uint8))
    text = database.images.read_text().rstrip()
    cells = [actor, str(movie_id), "", name, *[""] * ("n_detections" in text)]
    database.images.write_text(f"{text}\n{','.join(cells)}\n")


@pytest.mark.parametrize("learnt_from", [7, 8])
def test_portraits_are_shown_before_learnt_faces_in_every_movie_also_after_prepare_actors(
    database: ActorDatabase, tmp_path: Path, learnt_from: int
) -> None:
    add_portrait(database, "nm1", 8, "second.png")
    prepared(database)
    learn(film(tmp_path, learnt_from), database)
    for _ in range(2):
        for movie in (7, 8, 9):
            pictures = shown(database, "nm1", movie)
            assert pictures[:2] == ["nm1.png", "second.png"] and len(pictures) == 4
            assert shown(database, "nm2", movie)[0] == "nm2.png"
        add_portrait(database, "nm2", 9, "third.png")  # so that prepare_actors.py rewrites the table
        prepared(database)
        assert shown(database, "nm2", learnt_from)[:2] == ["nm2.png", "third.png"]


def test_learnt_faces_of_an_actor_without_portraits_are_shown(
    database: ActorDatabase, tmp_path: Path
) -> None:
    rows = database.images.read_text().splitlines()
    database.images.write_text("\n".join(row for row in rows if "nm3.png" not in row) + "\n")
    prepared(database)
    learn(film(tmp_path, 7), database)
    prepared(database)
    for movie in (7, 8):
        assert len(shown(database, "nm3", movie)) == 2
    assert "nm3" in database.gallery(8).actors


@pytest.mark.parametrize("command", ["prepare", "learn"])
def test_rows_of_an_earlier_release_are_moved_behind_the_portraits(
    database: ActorDatabase, tmp_path: Path, command: str
) -> None:
    folder = film(tmp_path, 7)
    learn(folder, database)
    migrated = content(database)
    database.images.write_bytes(
        database.images.read_bytes().replace(b",-1,", b",7,").replace(b",1000", b",1")
    )
    with pytest.raises(AssertionError):
        learnt(database)
    said = prepared(database) if command == "prepare" else learn(folder, database)
    assert "nothing changed" not in said and content(database) == migrated


def test_prepare_actors_keeps_learnt_faces_without_detecting_them(
    database: ActorDatabase, tmp_path: Path
) -> None:
    learn(film(tmp_path, 7), database)
    before, found = content(database), learnt(database)
    assert prepared(database) == ()
    assert content(database) == before
    newer = json.loads(database.embeddings_meta.read_bytes()) | {"results_version": 0}
    database.embeddings_meta.write_text(json.dumps(newer))  # portraits are embedded again
    prepared(database)
    assert learnt(database) == found
    lines = {faces.image: faces.vectors[0] for _, faces in database.read_embeddings()}
    assert np.array_equal(lines["nm1.png"], person(15))
    assert not any(np.array_equal(lines[learning._filename(tag)], person(15)) for tag in found)


def test_another_embedder_embeds_learnt_faces_at_their_recorded_place(
    database: ActorDatabase, tmp_path: Path
) -> None:
    folder = film(tmp_path, 7)
    learn(folder, database)
    found, other = learnt(database), Toy("cd" * 32)
    prepared(database, other)
    assert learnt(database) == found
    crops = [(box, keypoints) for box, keypoints in other.given if box[2] < 200]  # the others are portraits
    assert len(crops) == 6
    for box, keypoints in crops:  # the box lies ten pixels inside its picture
        assert box.tolist() == [10, 10, 110, 110]
        assert np.allclose(keypoints, FRONTAL + 10)


def test_box_and_keypoints_are_in_pixels_of_a_shrunk_thumbnail() -> None:
    """A face at the film's corner, 300 pixels wide: 30 of padding on two sides, 330 shrunk to 160."""
    keypoints = np.float32([[x, x] for x in (0, 75, 150, 225, 300)])
    face = SavedFace(7, 0, (0, 0, 300, 300), keypoints, person(0), WIDTH, HEIGHT)
    frame = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    made = learning._origin_of(ConfirmedFace(face, "nm1", 0, 0.5), thumbnail_bytes(frame, face.box))
    assert made.box is not None and made.keypoints is not None
    assert np.allclose(made.box, np.array([0, 0, 300, 300]) * 160 / 330)
    assert np.allclose(made.keypoints, keypoints * 160 / 330)


def test_rejected_faces_are_never_learnt_whatever_later_labels_say(
    database: ActorDatabase, tmp_path: Path
) -> None:
    folder = film(tmp_path, 7)
    bad = {"at0": {"image_status": "different"}, "at5": {"image_status": "invalid"}}
    learn(folder, database, **bad)
    out = {face.tag for face, _, _ in faces_of(folder) if face.frame in (0, 5)}
    assert out.isdisjoint(learnt(database))
    learn_folder(folder, labels(folder), database, LearnSettings(100))  # now all are confirmed
    assert out.isdisjoint(learnt(database)) and len(learnt(database)) == 54 - 2


def test_learnt_face_that_is_rejected_later_is_removed(database: ActorDatabase, tmp_path: Path) -> None:
    folder = film(tmp_path, 7)
    learn(folder, database)
    wrong = next(tag for tag, actor in learnt(database).items() if actor == "nm1")
    frame = wrong.split(":")[1]
    said = learn(folder, database, **{f"at{frame}": {"image_status": "different"}})
    assert ", 1 removed, " in said
    found = learnt(database)
    assert wrong not in found and sorted(found.values()).count("nm1") == 2  # replaced by the next best


def test_learnt_face_moves_to_the_actor_of_a_later_label(database: ActorDatabase, tmp_path: Path) -> None:
    folder = film(tmp_path, 7)
    learn(folder, database)
    moved = next(tag for tag, actor in learnt(database).items() if actor == "nm1")
    trajectory = int(moved.split(":")[1]) // 40
    relabelled = {f"at{face.frame}": {"label": "nm2"} for face, k, _ in faces_of(folder) if k == trajectory}
    learn_folder(folder, labels(folder, **relabelled), database, LearnSettings(100))
    assert learnt(database)[moved] == "nm2"


@pytest.mark.parametrize("answer", [{"image_status": "different"}, {"label": "nm2"}])
def test_nothing_is_learnt_from_a_trajectory_that_shows_two_people(
    database: ActorDatabase, tmp_path: Path, answer: dict[str, str]
) -> None:
    folder = film(tmp_path, 7)
    learn_folder(folder, labels(folder), database, LearnSettings(100))
    assert len(learnt(database)) == 54
    mixed = {face.tag for face, k, _ in faces_of(folder) if k == 3}
    learn_folder(folder, labels(folder, at120=answer), database, LearnSettings(100))
    assert len(learnt(database)) == 54 - 6 and mixed.isdisjoint(learnt(database))


def test_nothing_is_learnt_from_a_page_that_poor_trajectories_share(
    database: ActorDatabase, tmp_path: Path
) -> None:
    """Its faces are `same` by default, also where somebody labels the page."""
    folder = film(tmp_path, 7)
    folder.clusters.write_bytes(clusters_bytes(7, [0, 1, 2, 0, 1, 2, 3, 3, 2, 4]))
    manifest = read_manifest(folder)
    report = {"report": {"poor_pages": [3]}, "inputs": {}, "outputs": {}, "settings": {}, "made_at": ""}
    manifest["stages"]["cluster"] = report
    write_manifest(folder, manifest)
    learn_folder(folder, labels(folder), database, LearnSettings(100))
    poor = {face.tag for face, k, _ in faces_of(folder) if k in (6, 7)}
    assert len(learnt(database)) == 54 - len(poor) and poor.isdisjoint(learnt(database))


def test_other_faces_of_a_trajectory_with_an_unusable_one_are_learnt(
    database: ActorDatabase, tmp_path: Path
) -> None:
    folder = film(tmp_path, 7)
    invalid = labels(folder, at120={"image_status": "invalid"})
    learn_folder(folder, invalid, database, LearnSettings(100))
    assert len(learnt(database)) == 54 - 1


def test_labels_are_ids_or_names_of_the_movies_cast(
    database: ActorDatabase, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = film(tmp_path, 7)
    every = {
        f"at{face.frame}": {"label": CAST[f"nm{who}"].upper()}
        for face, _, who in faces_of(folder)
        if who != STRANGER
    }
    every |= {key: {"label": "Somebody New"} for key in ("at0", "at5")}
    learn(folder, database, **every)
    assert len(learnt(database)) == 6
    assert "neither an id in actors.csv nor the name of exactly one actor of movie 7" in caplog.text
    assert caplog.text.rstrip().endswith("actor of movie 7: 'Somebody New' (2)")


def test_only_confirmed_faces_of_labeled_clusters_are_learnt(database: ActorDatabase, tmp_path: Path) -> None:
    folder = film(tmp_path, 7)
    every = {f"at{face.frame}": {"cluster_status": "mixed"} for face, _, _ in faces_of(folder)}
    every |= {"at0": {"image_status": ""}}
    assert "0 faces confirmed" in learn(folder, database, **every)
    assert learnt(database) == {}


@pytest.mark.parametrize("cut", range(11))
def test_rerun_completes_a_run_stopped_between_any_two_files(
    database: ActorDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: int
) -> None:
    """Six pictures and five files of the database are replaced one after the other."""
    folder = film(tmp_path, 7)
    path = labels(folder)
    real, count = Path.replace, 0

    def stopped(self: Path, target: Path) -> Path:
        nonlocal count
        count += 1
        if count > cut:
            raise OSError(28, "No space left on device")
        return real(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", stopped)
        with pytest.raises(OSError, match="No space") if cut < 10 else contextlib.nullcontext():
            learn_folder(folder, path, database, LearnSettings(2))
    try:
        learn_folder(folder, path, database, LearnSettings(2))
    except InputError as error:
        assert "run prepare_actors.py first" in str(error)
        prepared(database)
        learn_folder(folder, path, database, LearnSettings(2))
    assert len(learnt(database)) == 6
    assert not list(database.folder.rglob("*.part"))


def test_best_face_of_each_trajectory_comes_before_any_second() -> None:
    keypoints, vector = np.zeros((5, 2), np.float32), person(0)

    def face(frame: int, trajectory: int, quality: float, actor: str = "nm1") -> ConfirmedFace:
        made = SavedFace(7, frame, (0, 0, 9, 9), keypoints, vector, WIDTH, HEIGHT)
        return ConfirmedFace(made, actor, trajectory, quality)

    faces = [face(0, 0, 0.9), face(5, 0, 0.8), face(10, 1, 0.3), face(15, 2, 0.5), face(20, 3, 0.1, "nm2")]
    assert [one.face.frame for one in choose_faces(faces, {}, LearnSettings(3))] == [0, 15, 10, 20]
    assert [one.face.frame for one in choose_faces(faces, {}, LearnSettings(4))] == [0, 15, 10, 20, 5]
    assert [one.face.frame for one in choose_faces(faces, {"nm1": 2, "nm2": 9}, LearnSettings(3))] == [0]
    assert choose_faces(faces, {}, LearnSettings(0)) == []


def test_faces_of_low_quality_are_not_learnt(database: ActorDatabase, tmp_path: Path) -> None:
    blurred = merged_folder(tmp_path, [Seen(1, 0, sharpness=0.1)])
    path = tmp_path / "labels.csv"
    path.write_text(",".join(EXPORT) + "\n7,0,labeled,nm1,7:0:0_10_100_110,same,0\n")
    assert "1 face confirmed, 0 faces of 0 actors learnt" in learn_folder(blurred, path, database)


@pytest.mark.parametrize(
    "hazard", ["embedder", "unknown embedder", "edited", "table", "picture", "picture damaged", "face"]
)
def test_unusable_input_is_a_one_line_error_and_changes_nothing(
    database: ActorDatabase, tmp_path: Path, hazard: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = film(tmp_path, 7)
    answers = {}
    if hazard == "embedder":
        meta = json.loads(database.embeddings_meta.read_bytes())
        meta["embedder"]["sha256"] = "ef" * 32
        database.embeddings_meta.write_text(json.dumps(meta))
    elif hazard == "unknown embedder":
        database.embeddings_meta.unlink()
    elif hazard == "edited":
        database.embeddings.write_text(database.embeddings.read_text() + "\n")
    elif hazard == "table":
        database.images.write_text(database.images.read_text().replace("n_detections", "n"))
    elif hazard == "face":  # a box of the trajectory in a frame of which no face is saved
        answers = {"at0": {"tag": "7:1:50_10_150_110"}}
    else:
        for path in folder.images.iterdir():
            path.unlink() if hazard == "picture" else path.write_bytes(b"no picture")
    path = labels(folder, **answers)
    before = content(database)
    argv = ["--path", str(folder.path), "--labels", str(path), "--actor-db", str(database.folder)]
    assert run_main(learn_from_labels.main, argv) == 1
    said = [line for line in capsys.readouterr().err.splitlines() if "error:" in line]
    assert len(said) == 1
    expected = {
        "embedder": "was made with toy (16-d, weights efefefefefef)",
        "unknown embedder": "does not name the embedder; run prepare_actors.py first",
        "edited": "was changed after facerec",
        "table": "actor_images.csv:1: lacks the column n_detections",
        "picture": "the thumbnail of a confirmed face must exist",
        "picture damaged": "cannot be read",
        "face": "labels.csv:2: 7:1:50_10_150_110 is not a saved face",
    }
    assert expected[hazard] in said[0]
    assert content(database) == before


@pytest.mark.parametrize(
    "row",
    [
        "no tag,rejected,,,,,,",
        "7:0:0_0_9_9,perhaps,,,,,,",
        "7:0:0_0_9_9,learnt,nm1,a.jpeg,ab,0.5,1 2 3,1 2 3 4 5 6 7 8 9 10",
        "7:0:0_0_9_9,learnt,nm1,a.jpeg,ab,0.5,1 2 3 nan,1 2 3 4 5 6 7 8 9 10",
        "7:0:0_0_9_9,learnt,nm1,a.jpeg,ab,good,1 2 3 4,1 2 3 4 5 6 7 8 9 10",
        "7:1:0_0_9_9,rejected,,,,,,",
    ],
)
def test_invalid_row_of_the_origins_is_refused_by_line(database: ActorDatabase, row: str) -> None:
    header = "tag,status,actor_id,filename,sha256,quality,box,keypoints"
    database.origins.write_text(f"{header}\n7:1:0_0_9_9,rejected,,,,,,\n{row}\n")
    with pytest.raises(ContractError) as error:
        read_origins(database)
    assert error.value.line == 3


def test_films_that_nobody_annotated_are_skipped_with_a_line(
    tmp_path: Path, database: ActorDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    annotated = film(tmp_path, 7)
    (tmp_path / "8-data").mkdir()  # nor is it finished
    words = ["--labels", str(labels(annotated)), "--actor-db", str(database.folder)]
    assert learn_from_labels.main([*words, "--path", str(tmp_path / "8-data"), str(annotated.path)]) == 0
    skipped, learnt_line = capsys.readouterr().out.splitlines()
    assert skipped.startswith("movie 8: nobody annotated it (") and skipped.endswith("skipped")
    assert "3 actors learnt" in learnt_line
