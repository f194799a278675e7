"""The extractor `person`: tracks inside a shot, hostile clips, one result for every batch, the Python API."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from facerec.errors import ModelError, NonFiniteError
from facerec.features import EXTRACTORS, cards_of, check_weights, load_extractor
from facerec.features.base import Clip
from facerec.features.person import PersonRun
from facerec.features.person_models import load_person_detector, load_person_embedder
from facerec.features.person_tracks import DROPPED, PersonLinker, PersonSettings
from facerec.models.device import Placement
from facerec.models.weights import find_weights
from facerec.video.film import open_film, read_frames
from tests.conftest import ROOT
from tests.features.person_files import write_osnet, write_yolox, yolox_output
from tests.features.test_person_detectors import frame_of

SIZE = (120, 200)  # height, width of the frames below


def clip(length: int) -> Clip:
    return Clip(np.arange(length) / 25, length / 25, SIZE[1], SIZE[0])


class FakeDetector:
    """Finds the boxes that a function gives for the frame, whose number is its grey level."""

    def __init__(self, boxes: Callable[[int], list[tuple[float, ...]]], batch_size: int = 3) -> None:
        self.boxes, self.batch_size, self.calls = boxes, batch_size, 0

    def detect(self, frames):
        self.calls += 1
        found = [np.array(self.boxes(int(frame[0, 0, 0])), np.float32).reshape(-1, 5) for frame in frames]
        if any(not np.isfinite(boxes).all() for boxes in found):
            raise NonFiniteError("the detector returned boxes that are NaN")
        return found


class FakeEmbedder:
    """Embeds a picture as a point of a circle: its grey level in degrees."""

    dimension = 2

    def __init__(self, max_distance: float | None = None) -> None:
        self.max_distance = max_distance

    def embed(self, pictures):
        angles = np.deg2rad([float(picture[-1, -1, 0]) for picture in pictures])
        return 3 * np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def extract(boxes, length: int, batch_size: int = 3, max_distance: float | None = None, **settings):
    run = PersonRun(
        FakeDetector(boxes, batch_size), FakeEmbedder(max_distance), PersonSettings(**settings), length
    )
    for frame in run.frames():
        run.push(frame, np.full((*SIZE, 3), frame, np.uint8))
    blocks = list(run.finish())
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def walking(frame: int) -> list[tuple[float, ...]]:
    """Two persons, one who walks to the right and one who stands at the border; the first comes and goes."""
    boxes = [(0.0, 20.0, 30.0, 120.0, 0.7)]
    if not 40 <= frame < 52:
        boxes.insert(0, (40.0 + frame, 10.0, 80.0 + frame, 110.0, 0.9))
    return boxes


def test_two_persons_give_two_tracks():
    found = extract(walking, 80, step=4)
    assert found["frames"].tolist() == sorted(found["frames"].tolist())
    assert set(found["frames"]) == set(range(0, 80, 4))
    by_place = {(box[0] > 0, track) for box, track in zip(found["boxes"], found["tracks"], strict=True)}
    assert by_place == {(False, 0), (True, 1)}
    assert found["boxes"].shape == (37, 5) and found["boxes"].dtype == np.float32
    assert found["tracks"].dtype == found["frames"].dtype == np.int64
    np.testing.assert_allclose(np.linalg.norm(found["embeddings"], axis=1), 3, rtol=1e-6)  # as they are


def test_pictures_are_jpegs_of_the_boxes():
    found = extract(lambda frame: [(5, 5, 65, 105, 0.9)], 9, step=4)
    for frame, jpeg in zip(found["frames"], found["pictures"], strict=True):
        picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        assert picture.shape == (100, 60, 3) and abs(int(picture[50, 30, 0]) - frame) <= 1
    large = PersonRun(FakeDetector(lambda _: [(0, 0, 300, 900, 0.9)]), FakeEmbedder(), PersonSettings(), 1)
    large.push(0, np.zeros((900, 300, 3), np.uint8))
    jpeg = next(large.finish())["pictures"][0]
    assert cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR).shape == (256, 85, 3)


@pytest.mark.parametrize("batch_size", [1, 2, 7, 100])
def test_the_batch_changes_nothing(batch_size):
    one, other = extract(walking, 80, step=4), extract(walking, 80, batch_size=batch_size, step=4)
    for name, values in one.items():
        np.testing.assert_array_equal(values, other[name])


def test_a_clip_without_persons_has_arrays_without_rows():
    found = extract(lambda frame: [], 20)
    assert {name: values.shape for name, values in found.items()} == {
        "frames": (0,),
        "boxes": (0, 5),
        "tracks": (0,),
        "embeddings": (0, 2),
        "pictures": (0,),
    }


def test_a_shot_of_one_frame_has_its_persons():
    found = extract(walking, 1)
    assert found["tracks"].tolist() == [1, 0] and found["frames"].tolist() == [0, 0]


def test_a_person_seen_once_in_a_longer_shot_is_dropped():
    found = extract(lambda frame: [(20, 20, 40, 90, 0.9)] if frame == 8 else [], 20, step=4)
    assert len(found["tracks"]) == 0


def test_weak_detections_continue_a_track_but_make_none():
    def boxes(frame):
        return [(20, 20, 50, 90, 0.9 if frame == 8 else 0.35), (120, 20, 150, 90, 0.55)]

    found = extract(boxes, 20, step=4, threshold=0.6)
    assert found["tracks"].tolist() == [0] * 5 and set(found["boxes"][:, 0]) == {20}
    found = extract(boxes, 20, step=4, threshold=0.55)
    assert found["tracks"].tolist() == [0, 1] * 5


def test_a_missed_sample_is_bridged_and_a_long_absence_is_not():
    def boxes(missing):
        return lambda frame: [] if frame in missing else [(20, 20, 50, 90, 0.9)]

    found = extract(boxes({12}), 40, step=4, max_gap=4)
    assert set(found["tracks"]) == {0} and len(found["tracks"]) == 9
    found = extract(boxes({12, 16}), 40, step=4, max_gap=4)
    assert set(found["tracks"]) == {0, 1}
    found = extract(boxes({50}), 100, step=50, max_gap=4)  # of two samples each track has one: dropped
    assert len(found["tracks"]) == 0


def test_two_people_in_one_place_are_two_tracks_by_their_looks():
    """One person hides another: the box stays, the picture changes. Grey levels are frame numbers here."""
    linker = PersonLinker(PersonSettings(step=1), max_distance=0.7)
    box = np.float32([[20, 20, 50, 90, 0.9]])
    for angle in (0, 5, 10, 90, 95, 5, 8):  # the second passes in front of the first
        linker.add(box, 3 * np.float32([[np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))]]))
    assert linker.finish().tolist() == [0, 0, 0, 1, 1, 0, 0]
    boxes_alone = PersonLinker(PersonSettings(step=1), max_distance=None)
    for _ in range(7):
        boxes_alone.add(box, np.ones((1, 2), np.float32))
    assert boxes_alone.finish().tolist() == [0] * 7


def test_a_linker_of_nothing_has_no_tracks():
    assert PersonLinker(PersonSettings(), 0.7).finish().tolist() == []
    linker = PersonLinker(PersonSettings(), 0.7)
    linker.add(np.empty((0, 5), np.float32), np.empty((0, 2), np.float32))
    linker.add(np.float32([[1, 1, 9, 9, 0.5]]), np.ones((1, 2), np.float32))
    assert linker.finish().tolist() == [DROPPED]


def test_an_error_names_the_frame():
    def boxes(frame):
        return [(np.nan if frame == 28 else 0, 0, 20, 90, 0.9)]

    for batch_size in (1, 3, 100):
        with pytest.raises(NonFiniteError, match=r"^frame 28: the detector returned boxes that are NaN"):
            extract(boxes, 60, batch_size=batch_size)


def test_shots_are_joined_into_a_film(person):
    def part(frames, tracks):
        return {"frames": np.array(frames), "tracks": np.array(tracks), "boxes": np.zeros((len(frames), 5))}

    parts = [
        (0, [part([0, 0, 4], [1, 0, 1])]),
        (20, [part([], [])]),
        (30, [part([0, 4], [0, 0]), part([8, 8], [0, 1])]),
    ]
    joined = list(person.join(parts))
    assert np.concatenate([block["frames"] for block in joined]).tolist() == [0, 0, 4, 30, 34, 38, 38]
    assert np.concatenate([block["tracks"] for block in joined]).tolist() == [1, 0, 1, 2, 2, 2, 3]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("person")
    output = yolox_output((0, 0.5, 0.5, 0.0, 0.0, 0.9), (20, 0.5, 0.5, -1.0, -1.0, 0.4))
    return write_yolox(folder / "detector.onnx", output), write_osnet(folder / "embedder.onnx")


@pytest.fixture(scope="module")
def person(files):
    return load_extractor(f"person:yolox:{files[0]}+osnet:{files[1]}", device="cpu")


def test_a_picture_is_detected_cropped_and_embedded(person):
    picture = np.full((64, 64, 3), 200, np.uint8)
    boxes = person.detect(picture)
    np.testing.assert_allclose(boxes, [[0, 0, 16, 16, 0.9]], atol=1e-4)
    assert len(person.detect(picture, threshold=0.35)) == 2
    crops = person.crop(picture, boxes)
    assert [crop.shape for crop in crops] == [(16, 16, 3)]
    assert person.extract(*crops).shape == (1, 3)
    assert person.extract().shape == (0, 3)


def test_the_settings_and_models_are_stated(person, files):
    json.dumps(person.settings)
    assert person.settings["step"] == 4 and person.settings["threshold"] == 0.6
    assert [card.kind for card in person.cards] == ["yolox", "osnet"]
    assert [card.weights for card in person.cards] == ["detector.onnx", "embedder.onnx"]
    other = load_extractor(f"person:{files[0]}+{files[1]}", device="cpu", step=8, threshold=0.8)
    assert other.settings["step"] == 8 and other.settings["threshold"] == 0.8
    assert list(other.open(clip(20)).frames()) == [0, 8, 16]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("person:{0}", r"1 weights files given, 2 needed, for yolox|faster_rcnn \+ osnet|reid_resnet50"),
        ("person:yolox:{0}+osnet:missing.onnx", r"missing\.onnx: no such file"),
        ("person:yolox:{0}+reid_resnet50", "reid_resnet50 has no published weights; give a file"),
        ("person:faster_rcnn:{0}+osnet:{1}", "not a PyTorch weights file"),
    ],
)
def test_wrong_models_are_refused(files, spec, message):
    with pytest.raises(ModelError, match=message):
        load_extractor(spec.format(*files), device="cpu")


@pytest.mark.parametrize("options", [{"step": 0}, {"threshold": 0.0}, {"threshold": 1.0}, {"layers": (1,)}])
def test_wrong_options_are_refused(files, options):
    with pytest.raises(ModelError, match="person"):
        load_extractor(f"person:{files[0]}+{files[1]}", device="cpu", **options)


def test_the_registry_and_the_cards_agree(files):
    assert EXTRACTORS["person"].kind == "frames"
    cards = cards_of(f"person:yolox:{files[0]}+osnet:{files[1]}")
    assert [card.kind for card in cards] == ["yolox", "osnet"]


@pytest.mark.parametrize(("cuts", "expected"), [((0, 20, 82, 211, 275), (3, 3, 2, 5))])
def test_persons_of_a_real_film(shared, cuts, expected):
    """The tracks that were seen on the contact sheet: on the stage, the pianist, the singer, the audience."""
    weights = shared / "data/weights"
    person = load_extractor(
        f"person:{weights / 'yolox_nano.onnx'}+{weights / 'osnet_x0_25_msmt17.onnx'}", device="cpu"
    )
    film = open_film(shared / "data/clips/10001-HamiltonAtTheWhiteHouse.mp4")
    tracks = []
    for beg, end in pairwise(cuts):
        run = person.open(clip(end - beg))
        needed = set(run.frames())
        for number, image in read_frames(film, beg, end):
            if number - beg in needed:
                run.push(number - beg, image)
        blocks = list(run.finish())
        tracks.append(int(max(block["tracks"].max(initial=-1) for block in blocks)) + 1)
        if beg == 82:  # the singer is there all the time, in one track
            found = np.concatenate([block["tracks"] for block in blocks])
            assert np.bincount(found).max() == len(range(0, end - beg, 4))
    assert tuple(tracks) == expected
    assert person.detect(frame_of(film.path, 140)).shape == (1, 5)


def test_downloaded_weights_are_loaded_once_as_their_model(files):
    check_weights("yolox", files[0])
    check_weights("osnet", files[1])
    with pytest.raises(ModelError, match=r"detector\.onnx: returns an array of shape"):
        check_weights("osnet", files[0])


def test_the_example_of_the_documentation_runs(shared, tmp_path, monkeypatch):
    (example,) = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs/persons.md").read_text(), re.M | re.S)
    for name in ("weights/yolox_nano.onnx", "weights/osnet_x0_25_msmt17.onnx", "people/two_people.jpg"):
        (tmp_path / Path(name).name).symlink_to(shared / "data" / name)
    monkeypatch.chdir(tmp_path)
    found: dict[str, Any] = {}
    exec(example, found)
    assert found["boxes"].shape == (2, 5) and found["embeddings"].shape == (2, 512)
    assert [picture.ndim for picture in found["pictures"]] == [3, 3]


def test_models_without_gpu_version_say_so(files, caplog):
    on_gpu = Placement("cuda:0", "float16")
    detector = load_person_detector(find_weights("yolox", str(files[0])), on_gpu, 0.5)
    embedder = load_person_embedder(find_weights("osnet", str(files[1])), on_gpu)
    assert [record.getMessage() for record in caplog.records] == [
        f"{name} has no GPU version: it runs on the CPU, not on device cuda:0" for name in ("yolox", "osnet")
    ]
    picture = np.zeros((32, 32, 3), np.uint8)
    assert len(detector.detect([picture])[0]) == 1 and embedder.embed([picture]).shape == (1, 3)
