"""YuNet on real film: equal to OpenCV, the same bits in any batch, large faces found at a lower scale."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from facerec.models import load_detector


@pytest.fixture(scope="module")
def spec(shared) -> str:
    return f"yunet:{shared / 'data' / 'weights' / 'face_detection_yunet_2026may.onnx'}"


@pytest.fixture(scope="module")
def frames(shared) -> list[np.ndarray]:
    import av

    path = shared / "data" / "clips" / "10001-HamiltonAtTheWhiteHouse.mp4"
    with av.open(str(path)) as film:
        decoded = enumerate(film.decode(video=0))
        return [frame.to_ndarray(format="rgb24") for i, frame in decoded if i % 45 == 0]


@pytest.mark.parametrize("cut", [(0, 0), (3, 8), (8, 31)])  # sizes that are not multiples of the strides
def test_detections_equal_opencvs(spec, frames, cut):
    detector = load_detector(spec)
    ours = detector.detect([frame[cut[0] :, cut[1] :] for frame in frames])
    theirs = cv2.FaceDetectorYN.create(spec.partition(":")[2], "", (320, 320), 0.6, 0.3, 5000)
    faces = 0
    for frame, found in zip(frames, ours, strict=True):
        image = cv2.cvtColor(frame[cut[0] :, cut[1] :], cv2.COLOR_RGB2BGR)
        theirs.setInputSize(image.shape[1::-1])
        rows = theirs.detect(image)[1]
        rows = np.empty((0, 15), np.float32) if rows is None else rows
        corners = np.hstack([rows[:, :2], rows[:, :2] + rows[:, 2:4]])
        kept = rows[:, 2:4].max(1, initial=0) >= 20
        height, width = image.shape[:2]
        np.testing.assert_allclose(
            found.boxes, np.clip(corners[kept], 0, [width, height] * 2), rtol=1e-3, atol=0.05
        )
        np.testing.assert_allclose(found.scores, rows[kept, 14], atol=1e-3)
        np.testing.assert_allclose(found.keypoints.reshape(-1, 10), rows[kept, 4:14], rtol=1e-3, atol=0.05)
        faces += len(found)
    assert faces >= len(frames)


def test_detections_are_the_same_bits_in_any_batch(spec, frames):
    detector = load_detector(spec)
    detector.detect([np.zeros((64, 96, 3), np.uint8)])  # another size in between must not matter
    together = detector.detect(frames)
    assert sum(map(len, together)) >= len(frames)
    for frame, other in zip(frames, together, strict=True):
        np.testing.assert_array_equal(detector.detect([frame])[0].boxes, other.boxes)


def test_a_larger_min_face_size_keeps_the_large_faces(spec, frames):
    every = load_detector(spec).detect(frames)
    large = load_detector(spec, min_face_size=80).detect(frames)  # detected at half the scale
    sides = 0
    for all_faces, large_faces in zip(every, large, strict=True):
        for box in all_faces.boxes[(all_faces.boxes[:, 3] - all_faces.boxes[:, 1]) > 100]:
            sides += 1
            assert np.abs(large_faces.boxes - box).max(axis=1).min() < 0.2 * (box[3] - box[1])
        assert ((large_faces.boxes[:, 2:] - large_faces.boxes[:, :2]).max(axis=1, initial=99) >= 79).all()
    assert sides >= 3


def test_keypoints_are_in_the_order_of_the_constant(spec, frames):
    left_eye, right_eye, nose, mouth_left, mouth_right = load_detector(spec).detect(frames)[4].keypoints[0]
    assert left_eye[0] < nose[0] < right_eye[0] and mouth_left[0] < mouth_right[0]
    assert max(left_eye[1], right_eye[1]) < nose[1] < min(mouth_left[1], mouth_right[1])
