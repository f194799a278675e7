"""MTCNN against facenet-pytorch's cascade with the same networks and weights."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import data

from facerec.models import load_detector


@pytest.fixture(scope="module")
def library():
    from facenet_pytorch import MTCNN

    return MTCNN(keep_all=True, min_face_size=30, device="cpu")


@pytest.fixture(scope="module")
def ours():
    return load_detector("mtcnn", device="cpu", min_face_size=30, face_threshold=0.7)


@pytest.fixture(scope="module")
def frames() -> list[np.ndarray]:
    picture = data.astronaut()
    cuts = [picture[y : y + 301, x : x + 403] for y, x in ((0, 60), (13, 30), (40, 109))]
    return [np.ascontiguousarray(cut) for cut in (*cuts, cuts[0][:, ::-1])]


def compare(ours, library, frames) -> tuple[int, int]:
    """Count the library's boxes, and those that ours match to a tenth of a pixel."""
    count = equal = 0
    for frame, found in zip(frames, ours.detect(frames), strict=True):
        boxes, scores, points = library.detect(frame, landmarks=True)
        boxes = np.zeros((0, 4)) if boxes is None else np.array(boxes, float)
        height, width = frame.shape[:2]
        for box, score, point in zip(boxes, scores, [] if points is None else points, strict=False):
            if (box[2:] - box[:2]).max() < ours.min_face_size:
                continue
            count += 1
            near = np.abs(found.boxes - np.clip(box, 0, [width, height] * 2)).max(axis=1) < 0.1
            near &= np.abs(found.keypoints - np.array(point, float)).max(axis=(1, 2)) < 0.1
            equal += bool((near & (np.abs(found.scores - score) < 1e-4)).any())
        assert len(found) <= len(boxes)
    return count, equal


def test_detections_equal_the_librarys(ours, library, frames):
    count, equal = compare(ours, library, frames)
    assert count >= len(frames) and equal == count


def test_detections_on_real_film_equal_the_librarys(ours, library, shared):
    import av

    frames = []
    for clip in ("10001-HamiltonAtTheWhiteHouse", "10002-Chaplin"):
        with av.open(str(shared / "data" / "clips" / f"{clip}.mp4")) as film:
            decoded = film.decode(video=0)
            frames += [frame.to_ndarray(format="rgb24") for i, frame in enumerate(decoded) if i % 60 == 0]
    count, equal = compare(ours, library, frames)
    assert count >= 6 and equal >= 0.99 * count


def test_detections_are_the_same_bits_in_any_batch(ours, frames):
    alone = [ours.detect([frame])[0] for frame in frames]
    for one, other in zip(alone[::-1], ours.detect(frames[::-1]), strict=True):
        for name in ("boxes", "scores", "keypoints"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize("size", [(1, 1), (11, 300), (300, 11), (37, 41)])
def test_a_tiny_frame_has_no_detections(ours, size):
    found = ours.detect([np.full((*size, 3), 90, np.uint8)])[0]
    assert len(found) == 0 and found.boxes.shape == (0, 4) and found.keypoints.shape == (0, 5, 2)


def test_keypoints_are_in_the_order_of_the_constant(ours, frames):
    left_eye, right_eye, nose, mouth_left, mouth_right = ours.detect(frames[:1])[0].keypoints[0]
    assert left_eye[0] < nose[0] < right_eye[0] and mouth_left[0] < mouth_right[0]
    assert max(left_eye[1], right_eye[1]) < nose[1] < min(mouth_left[1], mouth_right[1])
