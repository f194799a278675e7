"""YuNet on real film: no lost face at the scale it searches at, the same bits in any batch."""

from __future__ import annotations

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


def test_a_frames_result_is_the_same_bits_in_any_batch(spec, frames):
    detector = load_detector(spec)
    detector.detect([np.zeros((64, 96, 3), np.uint8)])  # another size in between must not matter
    together = detector.detect(frames)
    assert sum(map(len, together)) >= len(frames)
    for frame, other in zip(frames, together, strict=True):
        np.testing.assert_array_equal(detector.detect([frame])[0].boxes, other.boxes)


def test_a_larger_least_size_keeps_the_larger_faces_where_they_were(spec, frames):
    every = load_detector(spec).detect(frames)
    large = load_detector(spec, min_face_size=80).detect(frames)  # searched at half the size
    sides = 0
    for all_faces, large_faces in zip(every, large, strict=True):
        for box in all_faces.boxes[(all_faces.boxes[:, 3] - all_faces.boxes[:, 1]) > 100]:
            sides += 1
            assert np.abs(large_faces.boxes - box).max(axis=1).min() < 0.2 * (box[3] - box[1])
        assert ((large_faces.boxes[:, 2:] - large_faces.boxes[:, :2]).max(axis=1, initial=99) >= 79).all()
    assert sides >= 3


def test_keypoints_are_in_the_order_of_the_interface(spec, frames):
    left_eye, right_eye, nose, mouth_left, mouth_right = load_detector(spec).detect(frames)[4].keypoints[0]
    assert left_eye[0] < nose[0] < right_eye[0] and mouth_left[0] < mouth_right[0]
    assert max(left_eye[1], right_eye[1]) < nose[1] < min(mouth_left[1], mouth_right[1])
