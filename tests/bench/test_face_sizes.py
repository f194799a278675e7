"""The benchmark of face sizes pastes faces as it says and counts what a detector finds of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from bench import face_sizes
from bench.face_sizes import GRAY, Portrait, measure, paste
from facerec.geometry import Image
from facerec.models.base import Detections

FACE = np.array([40, 20, 80, 70], np.float32)  # of the picture below: 40 x 50 pixels
KEYPOINTS = np.array([[50, 30], [70, 30], [60, 45], [52, 60], [68, 60]], np.float32)


@pytest.fixture
def portrait() -> Portrait:
    picture = np.full((100, 120, 3), 20, np.uint8)  # darker than the frame
    picture[20:70, 40:80] = 250
    return Portrait(picture, FACE, KEYPOINTS)


class Bright:
    """A detector that finds the bright pixels as one face, and a second one in frames above 400 pixels."""

    def detect(self, frames: Sequence[Image]) -> list[Detections]:
        (frame,) = frames
        y, x = np.nonzero(frame[..., 0] > 135)
        box = np.array([x.min(), y.min(), x.max() + 1, y.max() + 1], np.float32)
        scale = (box[2] - box[0]) / 40
        keypoints = box[:2] + (KEYPOINTS - FACE[:2] + [2, 0]) * scale  # a tenth of the eyes' distance off
        count = 2 if len(frame) > 400 else 1
        boxes = np.array([box, box + 1000][:count])
        return [Detections(boxes, np.ones(count, np.float32), np.array([keypoints] * count, np.float32))]


@pytest.mark.parametrize(("face", "frame"), [(25, 90), (50, 360), (200, 360)])
def test_a_pasted_face_has_the_height_asked_for_and_is_in_the_middle(portrait, face, frame):
    pixels, box, keypoints = paste(portrait, face, frame)
    assert pixels.shape == (frame, round(frame * 16 / 9), 3)
    y, x = np.nonzero(pixels[..., 0] > 135)
    np.testing.assert_allclose(box, [x.min(), y.min(), x.max() + 1, y.max() + 1], atol=2)
    assert box[3] - box[1] == pytest.approx(face) and box[1] + box[3] == pytest.approx(frame)
    np.testing.assert_allclose((keypoints - box[:2]) * 50 / face, KEYPOINTS - FACE[:2], atol=0.01)
    assert pixels[0, 0].tolist() == [GRAY] * 3


def test_a_cell_counts_faces_found_and_found_once_and_the_error_of_keypoints(portrait, monkeypatch):
    monkeypatch.setattr(face_sizes, "load_detector", lambda spec, min_face_size: Bright())
    assert measure("any", [portrait, portrait], 50, 360) == "2, 2, 0.10"
    found, once, error = measure("any", [portrait], 100, 720).split(", ")
    assert (found, once) == ("1", "0") and float(error) == pytest.approx(0.1, abs=0.02)
