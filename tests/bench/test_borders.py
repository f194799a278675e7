"""The benchmark of faces cut by the border; with it, that detectors place the keypoints of such faces."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from bench.borders import BORDERS, HEIGHT, WIDTH, Face, cut_off, keypoint_error, main, uncut_faces
from facerec.geometry import Image
from facerec.models import load_detector
from facerec.models.base import Detections, Detector


class Fixed:
    """A detector that finds one given face."""

    def __init__(self, box: np.ndarray, keypoints: np.ndarray) -> None:
        self.found = Detections(box[None], np.ones(1, np.float32), keypoints[None])

    def detect(self, frames: Sequence[Image]) -> list[Detections]:
        return [self.found] * len(frames)


@pytest.mark.parametrize(
    ("border", "inside"),
    [
        ("left", [0, 100, 75, 250]),
        ("top", [200, 0, 300, 112]),
        ("right", [WIDTH - 75, 100, WIDTH, 250]),
        ("bottom", [200, HEIGHT - 112, 300, HEIGHT]),
    ],
)
def test_a_quarter_of_the_face_is_cut_off(border: str, inside: list[int]) -> None:
    box = np.array([200, 100, 300, 250], np.float32)
    canvas = np.full((HEIGHT, WIDTH, 3), 127, np.uint8)
    canvas[100:250, 200:300] = 255
    keypoints = np.array([[230, 140], [270, 140], [250, 170], [235, 200], [265, 200]], np.float32)
    cut = cut_off(Face(canvas, box, keypoints), border, 0.25)
    x1, y1, x2, y2 = inside
    white = (cut.canvas == 255).all(axis=2)
    assert white[y1:y2, x1:x2].all() and white.sum() == (x2 - x1) * (y2 - y1)
    np.testing.assert_array_equal(cut.keypoints - cut.box[:2], keypoints - box[:2])
    found = keypoint_error(Fixed(np.float32(inside), cut.keypoints + np.float32([8, 0])), cut)  # type: ignore[arg-type]
    assert found is not None and found[0] == pytest.approx(0.2)  # of 40 pixels between the eyes
    assert keypoint_error(Fixed(cut.box + 300, cut.keypoints), cut) is None  # type: ignore[arg-type]


def worst_error(detector: Detector, folder: Path, border: str) -> float:
    """Return the mean keypoint error of the portraits' faces with a quarter cut off; all must be found."""
    faces = list(uncut_faces(folder, detector))
    assert len(faces) >= 10
    errors = [keypoint_error(detector, cut_off(face, border, 0.25)) for face in faces]
    assert None not in errors
    return float(np.mean([error[0] for error in errors if error]))


@pytest.mark.slow
@pytest.mark.parametrize("border", BORDERS)
def test_mtcnn_places_the_keypoints_of_a_face_cut_by_the_border(shared: Path, border: str) -> None:
    """They were off by 0.4 to 0.9 of the distance of the eyes, so people were not recognised."""
    detector = load_detector("mtcnn", device="cpu", min_face_size=40)
    assert worst_error(detector, shared / "data" / "people", border) < 0.2


@pytest.mark.slow
@pytest.mark.parametrize("border", BORDERS)
def test_yunet_places_the_keypoints_of_a_face_cut_by_the_border(shared: Path, border: str) -> None:
    weights = shared / "data" / "weights" / "face_detection_yunet_2026may.onnx"
    detector = load_detector(f"yunet:{weights}", min_face_size=40)
    assert worst_error(detector, shared / "data" / "people", border) < 0.2


@pytest.mark.slow
def test_the_command_prints_a_table(shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    portrait = shared / "data" / "people" / "obama.jpg"
    (tmp_path / portrait.name).write_bytes(portrait.read_bytes())
    weights = shared / "data" / "weights" / "face_detection_yunet_2026may.onnx"
    assert main([str(tmp_path), "--detector", f"yunet:{weights}"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("yunet + dlib, faces: 1") and len(lines) == 4 + 12
    assert all(" 1 of 1 " in line for line in lines[4:])
