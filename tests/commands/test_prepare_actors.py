"""A database is prepared from pictures with one face, all or nothing, and only new pictures are embedded."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import orjson
import PIL.Image
import pytest
from numpy.typing import NDArray

from facerec import prepare_actors
from facerec.actors.database import ActorDatabase
from facerec.actors.embed import Prepared, faces_of, prepare
from facerec.actors.gallery_checks import find_mistakes
from facerec.demo.film import COLLINS, HOPPER, write_gallery, write_tables
from facerec.errors import ContractError, InputError, NonFiniteError
from facerec.geometry import Image
from facerec.models.base import Detections, ModelCard
from facerec.settings import GallerySettings
from facerec.support.cli import run_main
from tests.conftest import ROOT

RED, GREEN, BLUE = (250, 20, 20), (20, 250, 20), (20, 20, 250)


class Blocks:
    """A detector that finds every coloured block on black as a face."""

    card = ModelCard("blocks", "none", "0" * 64, "none")
    batch_size = 1

    def __init__(self) -> None:
        self.seen = 0

    def detect(self, frames: Sequence[Image]) -> list[Detections]:
        self.seen += len(frames)
        return [self._detect(frame) for frame in frames]

    def _detect(self, frame: Image) -> Detections:
        _, _, stats, _ = cv2.connectedComponentsWithStats((frame.max(axis=2) > 100).astype(np.uint8))
        x, y, w, h = stats[1:, :4].T
        boxes = np.column_stack([x, y, x + w, y + h]).astype(np.float32)
        keypoints = np.zeros((len(boxes), 5, 2), np.float32)
        return Detections(boxes, np.ones(len(boxes), np.float32), keypoints)


class Colour:
    """An embedder that tells people apart by colour."""

    card = ModelCard("colour", "none", "1" * 64, "none")
    dimension = 3
    same_person = 0.6
    verification_threshold = 0.5

    def crop(self, frame: Image, box: NDArray[np.float32], keypoints: NDArray[np.float32]) -> Image:
        x1, y1, x2, y2 = box.astype(int)
        return frame[y1:y2, x1:x2]

    def embed(self, crops: Sequence[Image]) -> NDArray[np.float32]:
        means = np.array([crop.mean(axis=(0, 1)) for crop in crops], np.float32).reshape(-1, 3)
        return means / np.linalg.norm(means, axis=1, keepdims=True)


def portrait(path: Path, *colours: tuple[int, int, int], height: int = 60) -> None:
    """A picture in which each of `colours` is a face of `height` pixels."""
    pixels = np.zeros((100, 20 + 80 * max(1, len(colours)), 3), np.uint8)
    for i, colour in enumerate(colours):
        pixels[20 : 20 + height, 20 + 80 * i : 70 + 80 * i] = colour
    PIL.Image.fromarray(pixels).save(path)


@pytest.fixture
def database(tmp_path: Path) -> ActorDatabase:
    """Two pictures of Ada (red) and one of Bob (blue); one picture without a face, one with both."""
    made = ActorDatabase(tmp_path / "actor db é")
    made.pictures.mkdir(parents=True)
    made.actors.write_text(
        "movie_id,movie_name,movie_year,id,name,role,birthday,birthplace\n"
        "1,Film,1999,ada,Ada,herself,1970,Rome\n1,Film,1999,bob,Bob,himself,1970,Rome\n"
    )
    made.images.write_bytes(
        b'actor_id,movie_id,note,filename\r\nada,1,"first, best",ada.png\r\nada,1,,ada2.png\r\n'
        b"bob,1,,bob.png\r\nbob,1,,empty.png\r\nbob,1,,both.png\r\n"
    )
    portrait(made.pictures / "ada.png", RED)
    portrait(made.pictures / "ada2.png", (250, 40, 20))
    portrait(made.pictures / "bob.png", BLUE)
    portrait(made.pictures / "empty.png")
    portrait(made.pictures / "both.png", RED, BLUE)
    return made


def run(
    database: ActorDatabase, detector: Blocks | None = None, settings: GallerySettings | None = None
) -> Prepared:
    detector = detector or Blocks()
    embedder = Colour()
    return prepare(
        database, (detector.card, embedder.card), lambda: (detector, embedder), settings or GallerySettings()
    )


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def warnings(database: ActorDatabase) -> list[str]:
    return list(find_mistakes(database, run(database)))


def test_only_pictures_with_one_face_are_used_and_counts_are_in_the_table(database: ActorDatabase) -> None:
    done = run(database)
    assert done.faces == {"ada.png": 1, "ada2.png": 1, "bob.png": 1, "empty.png": 0, "both.png": 2}
    assert database.images.read_bytes() == (
        b'actor_id,movie_id,note,filename,n_detections\r\nada,1,"first, best",ada.png,1\r\n'
        b"ada,1,,ada2.png,1\r\nbob,1,,bob.png,1\r\nbob,1,,empty.png,0\r\nbob,1,,both.png,2\r\n"
    )
    gallery = database.gallery(1, Colour.dimension)
    assert gallery.actors == ("ada", "bob") and gallery.images == ("ada.png", "ada2.png", "bob.png")
    assert gallery.vectors[2] @ np.array(BLUE) > 0.99 * np.linalg.norm(BLUE)


def test_a_network_that_returns_nan_names_the_picture_and_writes_nothing(database: ActorDatabase) -> None:
    class Broken(Blocks):
        def _detect(self, frame: Image) -> Detections:
            if frame[..., 2].max() > 200:  # a blue face
                raise NonFiniteError("blocks, computed in float16, returned scores that are NaN")
            return super()._detect(frame)

    before = files(database.folder)
    with pytest.raises(NonFiniteError, match=r"bob\.png: blocks, computed in float16, returned scores"):
        run(database, Broken())
    assert files(database.folder) == before


def test_embeddings_have_the_format_of_the_backend(database: ActorDatabase) -> None:
    run(database)
    lines = [json.loads(line) for line in database.embeddings.read_text().splitlines()]
    assert [line["image"] for line in lines] == ["ada.png", "ada2.png", "bob.png", "empty.png", "both.png"]
    for line in lines:
        assert line.keys() == {"image", "n", "faces"} and len(line["faces"]) == line["n"]
        for face in line["faces"]:
            assert face.keys() == {"vector"} and np.linalg.norm(face["vector"]) == pytest.approx(1, abs=1e-5)


def test_rerun_without_changes_writes_nothing_and_loads_no_model(database: ActorDatabase) -> None:
    run(database)
    before = files(database.folder)
    times = {path: path.stat().st_mtime_ns for path in database.folder.iterdir()}

    def load() -> tuple[Blocks, Colour]:
        raise AssertionError("a model was loaded for nothing")

    done = prepare(database, (Blocks.card, Colour.card), load, GallerySettings())
    assert done.written == () and done.embedded == 0
    assert files(database.folder) == before
    assert {path: path.stat().st_mtime_ns for path in database.folder.iterdir()} == times


def test_only_a_changed_picture_is_embedded(database: ActorDatabase) -> None:
    run(database)
    before = database.embeddings.read_bytes().splitlines()
    portrait(database.pictures / "bob.png", (20, 60, 250))
    detector = Blocks()
    done = run(database, detector)
    after = database.embeddings.read_bytes().splitlines()
    assert detector.seen == done.embedded == 1
    assert [i for i in range(5) if before[i] != after[i]] == [2]


@pytest.mark.parametrize("what", ["model", "threshold", "version", "tampered", "foreign_meta", "no_meta"])
def test_embeddings_made_otherwise_are_not_kept(database: ActorDatabase, what: str) -> None:
    run(database)
    whole = files(database.folder)
    settings, detector = GallerySettings(), Blocks()
    if what == "model":
        detector.card = replace(Blocks.card, sha256="2" * 64)
    elif what == "threshold":
        settings = GallerySettings(face_threshold=0.5)
    elif what == "version":
        text = database.embeddings_meta.read_text()
        database.embeddings_meta.write_text(text.replace('"results_version": ', '"results_version": 9'))
    elif what == "tampered":
        lines = database.embeddings.read_bytes().splitlines(keepends=True)
        database.embeddings.write_bytes(b"".join([lines[0].replace(b"ada", b"bob"), *lines[1:]]))
    elif what == "foreign_meta":
        meta = orjson.loads(database.embeddings_meta.read_bytes())
        database.embeddings_meta.write_bytes(orjson.dumps({**meta, "pictures": [1, 2]}))
    else:
        database.embeddings_meta.unlink()
    assert run(database, detector, settings).embedded == detector.seen == 5
    assert files(database.folder)[database.embeddings.name] == whole[database.embeddings.name]


def test_small_bystander_is_ignored_but_a_second_person_is_not(tmp_path: Path) -> None:
    for height, n in ((12, 1), (18, 2)):
        pixels = np.zeros((100, 200, 3), np.uint8)
        pixels[20:80, 20:70], pixels[20 : 20 + height, 100:110] = RED, BLUE
        assert len(faces_of(pixels, Blocks(), Colour())) == n


@pytest.mark.parametrize("fault", ["missing", "text", "folder", "damaged"])
def test_one_unreadable_picture_is_an_error_and_the_others_are_kept(
    database: ActorDatabase, fault: str
) -> None:
    bad = database.pictures / "bob.png"
    whole = bad.read_bytes()
    bad.unlink()
    if fault == "text":
        bad.write_text("no picture")
    elif fault == "damaged":
        bad.write_bytes(whole[: len(whole) // 2])
    elif fault == "folder":
        bad.mkdir()
    with pytest.raises(InputError, match=r"bob\.png.*the other \d+ pictures are embedded"):
        run(database)
    assert [row["n_detections"] for _, row in database.read_images() if row["filename"] == "bob.png"] == ["0"]
    assert "bob.png" not in {faces.image for _, faces in database.read_embeddings()}
    bad.rmdir() if fault == "folder" else bad.unlink(missing_ok=True)
    bad.write_bytes(whole)
    prepared = run(database)
    assert prepared.embedded == 1 and prepared.faces["bob.png"] == 1


def test_a_picture_named_in_another_unicode_form_is_used_and_reported(database: ActorDatabase) -> None:
    table = database.images.read_bytes()
    database.images.write_bytes(table.replace(b"bob.png", "bob\u00e9.png".encode()))
    (database.pictures / "bob.png").rename(database.pictures / "bobe\u0301.png")
    done = run(database)
    assert done.faces["bob\u00e9.png"] == 1 and database.gallery(1).images[-1] == "bob\u00e9.png"
    said = [text for text in find_mistakes(database, done) if "Unicode" in text]
    assert len(said) == 1 and r"rename the file to 'bob\xe9.png'" in said[0]
    assert run(database).embedded == 0


def test_without_any_readable_picture_nothing_is_written(database: ActorDatabase) -> None:
    run(database)
    for path in database.pictures.iterdir():
        path.write_text("no picture")
    before = files(database.folder)
    with pytest.raises(InputError, match=r"\.png: "):
        run(database)
    assert files(database.folder) == before


def test_all_unreadable_pictures_are_named(database: ActorDatabase) -> None:
    for name in ("ada.png", "both.png"):
        (database.pictures / name).write_text("no picture")
    with pytest.raises(InputError, match=r"ada\.png.*both\.png"):
        run(database)


@pytest.mark.parametrize("name", ["../secret.png", "/etc/passwd", "a/../../b.png", "..\\b.png", ""])
def test_file_name_out_of_the_folder_is_refused_by_line(database: ActorDatabase, name: str) -> None:
    portrait(database.folder / "secret.png", RED)
    with database.images.open("a") as table:
        table.write(f"ada,1,,{name}\r\n")
    with pytest.raises(ContractError, match=r"actor_images\.csv:7: "):
        run(database)


def test_full_disk_leaves_all_files_unchanged(
    database: ActorDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(database)
    portrait(database.pictures / "bob.png", GREEN, RED)
    before = files(database.folder)
    real, calls = os.fsync, []

    def fsync(handle: int) -> None:
        calls.append(handle)
        if len(calls) == 1:
            raise OSError(28, "No space left on device")
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="No space left"):
        run(database)
    assert calls and files(database.folder) == before


def test_evaluation_of_a_correct_and_a_mislabelled_gallery(
    database: ActorDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--actor-db", str(database.folder), "--evaluate"]
    portrait(database.pictures / "empty.png", (20, 30, 250))
    run(database)
    before = files(database.folder)
    assert run_main(prepare_actors.main, arguments) == 0
    said = capsys.readouterr().out
    assert "4 pictures of 2 actors in 1 cast" in said
    assert "top-1 accuracy 1.0000 (4 of 4); named right 4, wrong 0, not at all 0" in said
    assert "false-name rate 0.0000 (0 of 4)" in said
    assert files(database.folder) == before
    portrait(database.pictures / "bob.png", RED)  # and one of Bob's pictures is Ada's
    run(database)
    assert run_main(prepare_actors.main, arguments) == 0
    said = capsys.readouterr().out
    assert "top-1 accuracy 0.2500 (1 of 4)" in said
    assert "false-name rate 0.7500 (3 of 4)" in said


def test_evaluation_without_a_known_embedder_is_refused(
    database: ActorDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    run(database)
    database.embeddings_meta.unlink()
    assert run_main(prepare_actors.main, ["--actor-db", str(database.folder), "--evaluate"]) == 1
    assert "run prepare_actors.py" in capsys.readouterr().err


def test_database_without_pictures_is_valid(database: ActorDatabase) -> None:
    database.images.write_text("actor_id,movie_id,filename\n")
    assert run(database).faces == {}
    assert database.embeddings.read_bytes() == b""
    assert warnings(database) == ["no actor of actors.csv has a usable picture, so no cluster gets a name"]


def test_mistakes_are_reported_and_nothing_else(database: ActorDatabase) -> None:
    assert sorted(warnings(database)) == [
        "both.png: 2 faces found, so the picture is not used",
        "empty.png: no face found, so the picture is not used",
    ]
    copy = (database.pictures / "ada.png").read_bytes()
    (database.pictures / "copy.png").write_bytes(copy)
    portrait(database.pictures / "near.png", (250, 22, 20))
    with database.images.open("a") as table:
        for actor, name in (("bob", "copy"), ("bob", "near"), ("bob", "ada2"), ("eve", "bob")):
            table.write(f"{actor},1,,{name}.png,\r\n")
    said = "\n".join(warnings(database))
    assert "actor 'eve' has pictures but no row in actors.csv" in said
    assert "ada2.png: listed for ada and bob, so the picture is not used" in said
    assert "ada.png and copy.png are copies of one picture, of ada and bob" in said
    assert "ada.png (ada) and near.png (bob) show nearly the same face under two actors" in said


def test_id_that_the_backend_changes_is_reported(database: ActorDatabase) -> None:
    for path in (database.actors, database.images):
        path.write_bytes(path.read_bytes().replace(b"ada,", b"007,").replace(b"bob,", b"12,"))
    said = warnings(database)
    assert "actors.csv:2: id '007' becomes '7' in the labeling backend" in said[0]
    assert "(3 rows are affected)" in said[0]


def test_actor_without_a_usable_picture_is_named_in_one_line(database: ActorDatabase) -> None:
    with database.actors.open("a") as table:
        table.write("1,Film,1999,cy,Cy,himself,1970,Rome\n2,Other,1999,cy,Cy,himself,1970,Rome\n")
    portrait(database.pictures / "bob.png")
    said = [text for text in warnings(database) if "cannot be named" in text]
    assert said == [
        "no usable picture of Bob (bob): cannot be named",
        "no usable picture of Cy (cy): cannot be named",
    ]


def test_mislabelled_picture_is_reported(database: ActorDatabase) -> None:
    portrait(database.pictures / "both.png", (20, 60, 250))
    portrait(database.pictures / "stray.png", (20, 90, 240))
    with database.images.open("a") as table:
        table.write("ada,1,,stray.png\r\n")
    assert "stray.png (ada) may show another person" in "\n".join(warnings(database))


def test_invalid_input_is_a_one_line_error(
    database: ActorDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    models = ["--detector", "mtcnn", "--embedder", "dlib", "--device", "cpu"]
    for path in database.pictures.iterdir():
        path.write_text("no picture")
    before = files(database.folder)
    for arguments in (
        ["--actor-db", str(database.folder), *models],
        ["--actor-db", str(database.folder / "nowhere"), *models],
        ["--actor-db", str(database.folder), "--detector", "dlib", "--embedder", "dlib"],
        ["--actor-db", str(database.folder), *models[:4], "--device", "cuda:99"],
    ):
        assert run_main(prepare_actors.main, arguments) == 1
        said = [line for line in capsys.readouterr().err.splitlines() if "error:" in line]
        assert len(said) == 1 and "Traceback" not in said[0]
    assert files(database.folder) == before


def test_the_demos_portraits_have_the_embeddings_that_they_had_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept, made = ActorDatabase(ROOT / "tests" / "demo" / "actor_db"), ActorDatabase(tmp_path / "made")
    write_tables(made)
    write_gallery(made.pictures)
    arguments = [
        "--actor-db",
        str(made.folder),
        "--detector",
        "mtcnn",
        "--embedder",
        "dlib",
        "--device",
        "cpu",
    ]
    assert run_main(prepare_actors.main, arguments) == 0
    assert "2 pictures, 2 with one face" in capsys.readouterr().out
    ours = made.gallery(1)
    assert ours.actors == (COLLINS, HOPPER)
    # after a change of the models: make demo && cp demo/actor_db/actor_embeddings.* tests/demo/actor_db/
    theirs = np.concatenate([faces.vectors for _, faces in kept.read_embeddings()])
    np.testing.assert_allclose(ours.vectors, theirs, atol=1e-4)
    kept.check_embedder((made.read_meta() or {})["embedder"], tmp_path)


def test_the_shipped_database_is_empty_and_can_be_prepared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever types `make prepare` or `make doctor` first is told what to add, and sees nobody's data."""
    shipped, copied = ActorDatabase(ROOT / "actor_db"), ActorDatabase(tmp_path / "actor_db")
    copied.folder.mkdir()
    write_tables(ActorDatabase(tmp_path / "demo"))
    for table in (shipped.actors, shipped.images, shipped.aspect_ratios):
        (header,) = table.read_text().splitlines()
        assert header == (tmp_path / "demo" / table.name).read_text().splitlines()[0]
        (copied.folder / table.name).write_bytes(table.read_bytes())
    arguments = ["--actor-db", str(copied.folder), "--detector", "mtcnn", "--embedder", "dlib"]
    assert run_main(prepare_actors.main, arguments) == 0
    shown = capsys.readouterr()
    assert "0 pictures" in shown.out and "1 warning;" in shown.out
    assert "actors.csv has no row, so nobody can be named" in shown.err and "make add-movie" in shown.err
    readme = (ROOT / "actor_db" / "README.md").read_text()
    assert not re.search(r"Hopper|Collins|nm[0-9]{7}", readme), "forget_actor.py would find them in it"


ACTOR_BY_NAME_PART = {"miranda": "lmm", "lacamoire": "al", "obama": "bo", "biden": "jb", "leslie": "rl"}


def test_real_portraits_name_each_other_and_pictures_of_two_are_not_used(
    shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = ActorDatabase(tmp_path)
    made.pictures.symlink_to(shared / "data" / "people")
    names = sorted(path.name for path in made.pictures.iterdir())
    actor_of = {
        name: next((a for part, a in ACTOR_BY_NAME_PART.items() if part in name), "kh") for name in names
    }
    made.images.write_text(
        "actor_id,movie_id,filename\n" + "".join(f"{actor_of[n]},10001,{n}\n" for n in names)
    )
    rows = [f"10001,Hamilton,2016,{actor},{actor},self,1970,\n" for actor in sorted(set(actor_of.values()))]
    made.actors.write_text(
        "movie_id,movie_name,movie_year,id,name,role,birthday,birthplace\n" + "".join(rows)
    )
    weights = shared / "data" / "weights"
    detector = f"yunet:{weights / 'face_detection_yunet_2026may.onnx'}"
    embedder = f"arcface:{weights / 'MobileFaceNet.onnx'}"
    arguments = ["--actor-db", str(tmp_path), "--detector", detector, "--embedder", embedder]
    assert run_main(prepare_actors.main, arguments) == 0
    assert "15 pictures, 12 with one face, 0 with none, 3 with several" in capsys.readouterr().out
    several = {faces.image for _, faces in made.read_embeddings() if len(faces.vectors) > 1}
    assert several == {
        "knn_examples_test_kit_with_rose.jpg",
        "knn_examples_test_obama_and_biden.jpg",
        "two_people.jpg",
    }
    assert run_main(prepare_actors.main, [*arguments[:2], "--evaluate"]) == 0
    said = capsys.readouterr().out
    assert "top-1 accuracy 1.0000" in said and "false-name rate 0.0000" in said


def test_a_large_clean_portrait_has_one_face(
    shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = ActorDatabase(tmp_path)
    made.pictures.mkdir()
    with PIL.Image.open(shared / "data" / "people" / "lin-manuel-miranda.png") as picture:
        large = picture.convert("RGB").resize((2000, 2000 * picture.height // picture.width))
    large.save(made.pictures / "portrait.jpg")
    close = large.crop((400, 200, 1600, 1600))  # the face fills it, and the picture keeps its size
    close.save(made.pictures / "close-up.jpg")
    made.actors.write_text(
        "movie_id,movie_name,movie_year,id,name,role,birthday,birthplace\n1,A,2016,lmm,L,self,1980,\n"
    )
    made.images.write_text("actor_id,movie_id,filename\nlmm,1,portrait.jpg\nlmm,1,close-up.jpg\n")
    detector = f"yunet:{shared / 'data' / 'weights' / 'face_detection_yunet_2026may.onnx'}"
    embedder = f"arcface:{shared / 'data' / 'weights' / 'MobileFaceNet.onnx'}"
    arguments = ["--actor-db", str(tmp_path), "--detector", detector, "--embedder", embedder]
    assert run_main(prepare_actors.main, arguments) == 0
    assert "2 pictures, 2 with one face" in capsys.readouterr().out
    one, other = (faces.vectors[0] for _, faces in made.read_embeddings())
    assert float(np.linalg.norm(one - other)) < 0.6
