"""COCO files: pycocotools and datumaro read the boxes and keypoints of the saved faces."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import datumaro
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

import facerec
from facerec.annotations.export import EXPORT_COLUMNS
from tests.exporting.movies import HOSTILE, URI, WRITTEN, exported, open_with_name
from tests.merged_folder import FRONTAL
from tests.movie_folder import Shown


def read(movies: list[facerec.Movie], folder: Path) -> COCO:
    path = folder / "faces.json"
    path.write_bytes(exported(movies, "coco", "json"))
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


def test_pycocotools_reads_every_saved_face(movie: facerec.Movie, tmp_path: Path) -> None:
    coco = read([movie], tmp_path)
    assert coco.loadCats(coco.getCatIds())[0]["name"] == "face"
    faces = movie.faces
    annotations = coco.loadAnns(coco.getAnnIds())
    assert [one["attributes"]["tag"] for one in annotations] == faces["tag"].tolist()
    for one, face in zip(annotations, faces.itertuples(), strict=True):
        image = coco.loadImgs(one["image_id"])[0]
        assert (image["frame"], image["time_s"]) == (face.frame, pytest.approx(face.time_s))
        assert (image["width"], image["height"], image["movie_id"]) == (640, 360, 7)
        assert image["file_name"] == f"7-{face.frame:07}.png"
        assert one["bbox"] == [face.x1, face.y1, face.x2 - face.x1, face.y2 - face.y1]
        assert one["area"] == one["bbox"][2] * one["bbox"][3] and one["num_keypoints"] == 5
    assert len(coco.getImgIds()) == faces["frame"].nunique()
    first = annotations[0]
    assert first["keypoints"][:6] == [*FRONTAL[0].tolist(), 2, *FRONTAL[1].tolist(), 2]
    attributes = first["attributes"]
    assert (attributes["person"], attributes["name"], attributes["uri"]) == ("nm1", "Ada Lovelace", URI)
    assert "each frame's presentation time" in coco.dataset["info"]["description"]


def test_a_face_in_no_trajectory_is_nobodys(tmp_path: Path) -> None:
    """A face that was seen for a moment is saved, but not followed."""
    movie = open_with_name(tmp_path, "Ada", strays=[Shown(1, 90, 91, x=200)])
    *others, stray = json.loads(exported([movie], "coco", "json"))["annotations"]
    assert {type(one["attributes"]["trajectory"]) for one in others} == {int}
    assert (stray["attributes"]["trajectory"], stray["attributes"]["person"]) == (None, "")


@pytest.mark.parametrize("kind", ["bbox", "keypoints"])
def test_a_detector_without_a_mistake_is_scored_as_such(
    movie: facerec.Movie, tmp_path: Path, kind: str
) -> None:
    coco = read([movie], tmp_path)
    with contextlib.redirect_stdout(io.StringIO()):
        results = [{**one, "score": 1.0} for one in coco.dataset["annotations"]]
        scores = COCOeval(coco, coco.loadRes(results), kind)
        scores.params.kpt_oks_sigmas = scores.params.kpt_oks_sigmas[:5] if kind == "keypoints" else None
        scores.evaluate()
        scores.accumulate()
        scores.summarize()
    assert scores.stats[0] == pytest.approx(1)


def test_datumaro_reads_the_boxes(movie: facerec.Movie, tmp_path: Path) -> None:
    (tmp_path / "annotations").mkdir()
    (tmp_path / "images" / "faces").mkdir(parents=True)
    (tmp_path / "annotations" / "instances_faces.json").write_bytes(exported([movie], "coco", "json"))
    dataset = datumaro.Dataset.import_from(str(tmp_path), "coco_instances")
    found = [box for item in dataset for box in item.annotations]
    assert len(found) == len(movie.faces)
    assert {box.attributes["name"] for box in found} == {"Ada Lovelace", "unknown 1"}


def test_movies_share_a_file_and_hostile_names_are_whole(tmp_path: Path) -> None:
    movies = [open_with_name(tmp_path, HOSTILE, movie_id) for movie_id in (7, 8)]
    coco = read(movies, tmp_path)
    ids = [one["id"] for one in coco.dataset["images"]]
    assert ids == list(range(1, len(ids) + 1))
    assert {one["movie_id"] for one in coco.dataset["images"]} == {7, 8}
    assert coco.dataset["annotations"][0]["attributes"]["name"] == WRITTEN


def test_what_annotators_call_no_face_is_left_out(movie: facerec.Movie, tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    row = "7,0,labeled,x,7:0:0_10_50_100,invalid,0"
    labels.write_text("\n".join([",".join(EXPORT_COLUMNS), row]) + "\n")
    dataset = json.loads(exported([facerec.open_movie(movie.path, labels=labels)], "coco", "json"))
    shown = [one["attributes"]["trajectory"] for one in dataset["annotations"]]
    assert set(shown) == {1, 2, 3} and len(shown) == 2 + 2 + 2
