"""A trajectory begins where its face is first seen, not where it is first large enough to be saved."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from bench.switches import portrait
from facerec import extract, merge_shards
from facerec.folder.layout import MovieFolder
from facerec.folder.readers import read_features, read_trajectories
from facerec.geometry import Image
from facerec.settings import ExtractSettings, smallest_box
from tests import toy
from tests.films import make_film
from tests.toy import MOVIE, run_extract, run_merge

FRAMES = 60
WIDTH, HEIGHT = 240, 160


class SharpToyDetector(toy.ToyDetector):
    """Detects patches of saturated colour from 6 pixels on."""

    least_area = 36


def side(frame: int) -> int:
    """The side of a face that grows from 12 to 60 pixels."""
    return 12 + round(48 * frame / (FRAMES - 1))


def draw(frame: int, width: int, height: int) -> Image:
    """A red face that grows from 12 to 60 pixels, a blue one that stays at 15, a green one that shrinks."""
    image = np.full((height, width, 3), 120, np.uint8)
    for (x, y), size, colour in (
        ((10, 20), side(frame), (230, 30, 30)),
        ((100, 20), 15, (30, 60, 230)),
        ((150, 20), side(FRAMES - 1 - frame), (20, 200, 40)),
    ):
        image[y : y + size, x : x + size] = colour
    return image


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("growing") / f"{MOVIE}-Growing.mp4"
    return make_film(path, FRAMES, width=WIDTH, height=HEIGHT, draw=draw, pix_fmt="yuv444p")


def merged(film: Path, out: Path, n: int, *options: str) -> MovieFolder:
    return run_merge(run_extract(film, out, n, *options))


def spans(folder: MovieFolder) -> list[tuple[int, int]]:
    """First and last frame of each trajectory."""
    return [(t.start, t.end - 1) for t in read_trajectories(folder.trajectories, MOVIE)]


def test_half_the_size_of_a_face_is_followed_but_not_below_eight_pixels() -> None:
    assert [smallest_box(size) for size in (1, 8, 10, 16, 20, 60)] == [1, 8, 8, 8, 10, 30]
    assert smallest_box(ExtractSettings.min_face_size) == ExtractSettings.min_box_size


def test_a_face_belongs_to_its_trajectory_before_and_after_it_is_large_enough(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a face that never is large enough there is no trajectory."""
    monkeypatch.setattr(toy, "ToyDetector", SharpToyDetector)
    assert spans(merged(film, tmp_path / "default", 1)) == [(0, FRAMES - 1)] * 2
    folder = merged(film, tmp_path / "larger", 1, "--min-face-size", "40")
    first = next(frame for frame in range(FRAMES) if side(frame) >= 20)
    (growing, shrinking) = spans(folder)[::-1]
    assert abs(growing[0] - first) <= 1 and growing[1] == FRAMES - 1
    assert shrinking[0] == 0 and abs(shrinking[1] - (FRAMES - 1 - first)) <= 1


def test_faces_below_the_minimum_size_are_not_saved(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toy, "ToyDetector", SharpToyDetector)
    folder = merged(film, tmp_path, 1, "--min-face-size", "30")
    sizes = [
        min(x2 - x1, y2 - y1)
        for x1, y1, x2, y2 in (face.box for face in read_features(folder.features, MOVIE))
    ]
    assert len(sizes) >= 10 and min(sizes) >= 30
    shown = [path.name for path in folder.images.iterdir()]
    assert len(shown) == 4, "two thumbnails for each of the two trajectories"


def test_small_faces_at_the_seams_of_shards_change_no_byte(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toy, "ToyDetector", SharpToyDetector)
    one, seven = (merged(film, tmp_path / str(n), n) for n in (1, 7))
    for path in (one.trajectories, one.features, one.quality):
        assert path.read_bytes() == (seven.path / path.name).read_bytes()


@pytest.mark.parametrize("detector", ["yunet", "mtcnn"])
def test_a_real_face_is_followed_from_half_the_minimum_size_on(
    shared: Path, tmp_path: Path, detector: str
) -> None:
    """MTCNN's and YuNet's scales are unchanged; both find much smaller faces than they must."""
    weights = shared / "data" / "weights"
    yunet = f"yunet:{weights / 'face_detection_yunet_2026may.onnx'}"
    embedder = f"arcface:{weights / 'MobileFaceNet.onnx'}"
    picture = portrait(shared / "data" / "people" / "lin-manuel-miranda.png", yunet)

    def grow(frame: int, width: int, height: int) -> Image:
        seen = cv2.resize(
            picture, None, fx=side(frame) / 70, fy=side(frame) / 70, interpolation=cv2.INTER_AREA
        )
        top, left = max(0, (seen.shape[0] - height) // 2), max(0, (seen.shape[1] - width) // 2)
        seen = seen[top : top + height, left : left + width]
        rows, columns = height - seen.shape[0], width - seen.shape[1]
        around = rows // 2, rows - rows // 2, columns // 2, columns - columns // 2
        return np.asarray(cv2.copyMakeBorder(seen, *around, cv2.BORDER_REPLICATE), np.uint8)

    film = make_film(tmp_path / f"{MOVIE}-Growing.mp4", FRAMES, width=320, height=180, draw=grow)
    models = ["--detector", yunet if detector == "yunet" else "mtcnn", "--embedder", embedder]
    assert extract.main(["--out", str(tmp_path), *models, str(film)]) == 0
    folder = MovieFolder.of_film(tmp_path, film)
    assert merge_shards.main(["--path", str(folder.path)]) == 0
    (found,) = read_trajectories(folder.trajectories, MOVIE)
    sizes = (found.boxes[:, 2:] - found.boxes[:, :2]).min(axis=1)
    assert sizes[0] < 14 and found.end == FRAMES
    assert all(
        min(box[2:] - box[:2]) >= 20
        for box in (np.array(f.box) for f in read_features(folder.features, MOVIE))
    )
