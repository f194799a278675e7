"""The whole program on real film: cuts, people, names, sizes, and a folder that keeps the contract.

The films and their ground truth are beside the checkout; the README there gives the expected results.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from facerec import classify_knn, cluster, extract, merge_shards, prepare_actors
from facerec.annotations.truth import read_truth, thumbnail_frames
from facerec.folder.documents import DISPLAY_THRESHOLD, read_clusters, read_predictions, read_scene_changes
from facerec.folder.layout import MovieFolder
from facerec.folder.readers import read_features, read_trajectories
from tests.cast import SEVERAL_PEOPLE, make_database
from tests.edits import violations_of

CLIPS = {
    10001: ("10001-HamiltonAtTheWhiteHouse.mp4", [20, 82, 211]),
    10002: ("10002-Chaplin.mp4", []),
    10003: ("10003-StreetCrowd.mp4", []),
    10004: ("10004-BasketballRobot.mp4", [42, 142, 251, 441, 478, 620, 659, 757, 859]),
    10005: ("10005-Anamorphic.mp4", [70, 170, 301, 421, 484]),
    10006: ("10006-VariableFrameRate.mp4", [60, 140]),
}
MIRANDA = "nm0592135"


def models(shared: Path, kind: str) -> list[str]:
    """The options that choose the models in a package, or those beside the checkout."""
    weights = shared / "data" / "weights"
    if kind == "packaged":
        return ["--detector", "mtcnn", "--embedder", "dlib"]
    yunet, mobilefacenet = weights / "face_detection_yunet_2026may.onnx", weights / "MobileFaceNet.onnx"
    return ["--detector", f"yunet:{yunet}", "--embedder", f"arcface:{mobilefacenet}"]


Finished = Callable[[int, str], tuple[MovieFolder, Path]]


@pytest.fixture(scope="module")
def finished(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Makes, once each, the folder of a clip after all stages, and its actor database."""

    @cache
    def make(movie_id: int, kind: str) -> tuple[MovieFolder, Path]:
        out = tmp_path_factory.mktemp(f"clip {movie_id} {kind}")
        database = make_database(out / "actor_db", shared / "data" / "people", movie_id).folder
        options = models(shared, kind)
        film = str(shared / "data" / "clips" / CLIPS[movie_id][0])
        assert prepare_actors.main(["--actor-db", str(database), *options]) == 0
        part = ["--shard", "0-4", "--n", "5", "--out", str(out), "--actor-db", str(database)]
        assert extract.main([*part, *options, film]) == 0
        folder = MovieFolder.of_film(out, Path(film))
        for stage, more in ((merge_shards, []), (cluster, []), (classify_knn, ["--actor-db", str(database)])):
            assert stage.main(["--path", str(folder.path), *more]) == 0
        return folder, database

    return make


@pytest.mark.parametrize("movie_id", CLIPS)
def test_cuts_are_the_annotated_ones(finished: Finished, movie_id: int) -> None:
    folder, _ = finished(movie_id, "beside")
    assert read_scene_changes(folder.scene_changes, movie_id) == CLIPS[movie_id][1]


@pytest.mark.parametrize("movie_id", CLIPS)
def test_every_folder_keeps_the_contract(finished: Finished, movie_id: int) -> None:
    folder, _ = finished(movie_id, "beside")
    assert violations_of(folder.path) == []


@pytest.mark.parametrize("kind", ["packaged", "beside"])
def test_miranda_is_named_and_nobody_is_named_wrongly(finished: Finished, shared: Path, kind: str) -> None:
    folder, _ = finished(10001, kind)
    trajectories = read_trajectories(folder.trajectories, 10001)
    clusters = read_clusters(folder.clusters, 10001, len(trajectories))
    predictions = read_predictions(folder.predictions, 10001)
    truth = shared / "data" / "truth" / "10001.tracks.csv"
    matched = read_truth(truth, folder, trajectories, thumbnail_frames(folder, trajectories), {})
    shown = [{a for a, p in predictions[c].items() if p > DISPLAY_THRESHOLD} for c in clusters]
    close_shot = [t.index for t in trajectories if 82 <= t.start < 211 and matched.identity(t.index)]
    assert close_shot
    for index in close_shot:
        assert matched.identity(index) == "lin_manuel_miranda"
        assert shown[index] == {MIRANDA}
    named = {index: names for index, names in enumerate(shown) if names}
    assert all(names == {MIRANDA} for names in named.values())
    assert all(matched.identity(index) == "lin_manuel_miranda" for index in named)


def test_boxes_of_an_anamorphic_film_are_in_display_pixels(finished: Finished, shared: Path) -> None:
    """Stored 704x576, shown 1024x576; the truth's boxes of this film are in stored pixels."""
    folder, _ = finished(10005, "beside")
    trajectories = read_trajectories(folder.trajectories, 10005)
    assert {(t.w, t.h) for t in trajectories} == {(1024, 576)}
    centres = {
        (frame, *((box[:2] + box[2:]) / 2).tolist())
        for t in trajectories
        for frame, box in enumerate(t.boxes, t.start)
    }
    _, *rows = (shared / "data" / "truth" / "10005.tracks.csv").read_text().splitlines()
    women = [row.split(",") for row in rows if "woman" in row]
    found = 0
    for frame, _, x, y, w, h, *_ in women:
        x, y = (float(x) + float(w) / 2) * 1024 / 704, float(y) + float(h) / 2
        found += any(f == int(frame) and abs(cx - x) < 12 and abs(cy - y) < 12 for f, cx, cy in centres)
    assert found / len(women) > 0.95


def test_pictures_of_several_people_are_counted_and_not_used(shared: Path, tmp_path: Path) -> None:
    database = make_database(tmp_path / "actor_db", shared / "data" / "people", 1)
    for name in SEVERAL_PEOPLE:
        (database.pictures / name).write_bytes((shared / "data" / "people" / name).read_bytes())
        with database.images.open("a") as file:
            file.write(f"{MIRANDA},1,{name},\n")
    assert prepare_actors.main(["--actor-db", str(database.folder), *models(shared, "packaged")]) == 0
    counted = {row["filename"]: int(row["n_detections"]) for _, row in database.read_images()}
    assert all(counted[name] >= 2 for name in SEVERAL_PEOPLE)
    assert sum(count == 1 for count in counted.values()) == len(counted) - len(SEVERAL_PEOPLE)
    vectors = {record["image"]: record for record in map(json.loads, database.embeddings.open())}
    assert all(vectors[name]["n"] >= 2 for name in SEVERAL_PEOPLE)


def test_features_are_unit_vectors_of_the_embedder_that_the_manifest_names(finished: Finished) -> None:
    folder, _ = finished(10001, "packaged")
    faces = list(read_features(folder.features, 10001))
    embedder = json.loads(folder.manifest.read_bytes())["models"]["embedder"]
    assert embedder["kind"] == "dlib" and {len(face.embedding) for face in faces} == {embedder["dimension"]}
    assert np.allclose([np.linalg.norm(face.embedding) for face in faces], 1, atol=1e-5)
    assert all(face.frame % 5 == 0 for face in faces)
