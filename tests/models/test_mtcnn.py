"""MTCNN against facenet-pytorch's cascade with the same networks and weights."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import data

from facerec.models import load_detector
from facerec.models.mtcnn import _keypoints


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
            if (box[2:] - box[:2]).max() < ours.search.min_face_size:
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


def test_keypoints_of_a_cut_box_are_mapped_through_the_part_inside_the_frame():
    """The crop is that part, stretched: the library maps its keypoints to the whole box."""
    points = np.array([[0, 0.5, 1, 0.25, 0.75, 0, 0.5, 1, 0.25, 0.75]], np.float32)
    for box, begin, end in (
        ([-29, 31, 70, 130], [0, 30], [70, 130]),
        ([31, -29, 130, 70], [30, 0], [130, 70]),
        ([251, 31, 350, 130], [250, 30], [320, 130]),
        ([31, 171, 130, 270], [30, 170], [130, 240]),
        ([31, 51, 130, 150], [30, 50], [130, 150]),  # inside: the whole box, as the library
    ):
        found = _keypoints(points, np.array([box], np.float32), height=240, width=320)[0]
        fractions = points.reshape(2, 5).T
        np.testing.assert_allclose(found, begin + fractions * (np.array(end) - begin), atol=1e-4)


def test_keypoints_of_a_cut_face_lie_where_they_are_in_the_whole_one(ours):
    picture = data.astronaut()[:300, 60:463]
    (whole,) = ours.detect([np.ascontiguousarray(picture)])
    eyes = np.linalg.norm(whole.keypoints[0, 1] - whole.keypoints[0, 0])
    x1, y1, x2, y2 = whole.boxes[0].round().astype(int)
    quarter = (x2 - x1) // 4, (y2 - y1) // 4
    cuts = {
        "left": (slice(None), slice(x1 + quarter[0], None)),
        "top": (slice(y1 + quarter[1], None), slice(None)),
        "right": (slice(None), slice(None, x2 - quarter[0])),
        "bottom": (slice(None, y2 - quarter[1]), slice(None)),
    }
    for rows, columns in cuts.values():
        (cut,) = ours.detect([np.ascontiguousarray(picture[rows, columns])])
        away = cut.keypoints[0] + [columns.start or 0, rows.start or 0] - whole.keypoints[0]
        assert np.linalg.norm(away, axis=1).mean() < 0.2 * eyes
