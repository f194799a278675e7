"""YuNet on real film: equal to OpenCV, the same bits in any batch, and faces of any size found once."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from facerec.geometry import iou
from facerec.models import load_detector, yunet
from facerec.models.yunet import corners, merge_passes
from facerec.pixels import Channels

PORTRAITS = ("lin-manuel-miranda.png", "obama.jpg", "knn_examples_train_rose_leslie_img2.jpg")


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


def _apart(frame: np.ndarray) -> Channels:
    """Take the channels apart, into rows with padding as a decoder's."""
    padded = np.full((3, frame.shape[0], frame.shape[1] + 32), 77, np.uint8)
    planes = padded[:, :, : frame.shape[1]]
    planes[:] = frame.transpose(2, 0, 1)
    return Channels(*planes)


@pytest.mark.parametrize(("scale", "min_face_size"), [(1, 20), (1, 80), (2, 20)])
def test_a_frame_with_its_channels_apart_has_the_same_detections(spec, frames, scale, min_face_size):
    """Also where frames are downscaled: for the minimum size, or for faces that are too large (720 lines)."""
    detector = load_detector(spec, min_face_size=min_face_size)
    assert detector.takes_channels == (min_face_size <= 40)
    some = [frame.repeat(scale, 0).repeat(scale, 1)[:, 10:] for frame in frames[1:3]]
    expected, found = detector.detect(some), detector.detect([_apart(some[0]), some[1]])
    assert any(map(len, expected))
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_array_equal(one.boxes, other.boxes)
        np.testing.assert_array_equal(one.scores, other.scores)
        np.testing.assert_array_equal(one.keypoints, other.keypoints)


def test_a_smaller_frame_of_the_same_padded_size_sees_nothing_of_the_one_before(spec, frames):
    detector = load_detector(spec)
    cut = frames[0][3:, 5:]
    alone = load_detector(spec)._detect([cut])[0]  # not in the pool: all in one thread
    for before in (np.full_like(frames[0], 255), frames[1], cut):
        detector._detect([before])
        found = detector._detect([cut])[0]
        np.testing.assert_array_equal(found.boxes, alone.boxes)
        np.testing.assert_array_equal(found.keypoints, alone.keypoints)


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


def read(path: Path) -> np.ndarray:
    return np.ascontiguousarray(cv2.imread(str(path))[:, :, ::-1])


def place(frame: np.ndarray, picture: np.ndarray, face: np.ndarray, height: int, x: int, y: int) -> None:
    """Draw `picture` on `frame` so that its face (box) is `height` pixels high and centred at x, y."""
    scale = height / (face[3] - face[1])
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    left, top = (round(v) for v in np.array([x, y]) - scale * (face[:2] + face[2:]) / 2)
    begin = max(0, left), max(0, top)
    part = small[begin[1] - top :, begin[0] - left :][
        : frame.shape[0] - begin[1], : frame.shape[1] - begin[0]
    ]
    frame[begin[1] : begin[1] + part.shape[0], begin[0] : begin[0] + part.shape[1]] = part


@pytest.fixture(scope="module")
def portraits(spec, shared) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Pictures with the box and keypoints of their one face, found where the picture is 400 pixels large."""
    made = []
    detector = load_detector(spec)
    for name in PORTRAITS:
        picture = read(shared / "data" / "people" / name)
        scale = 400 / max(picture.shape[:2])
        (found,) = detector.detect(
            [cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)]
        )
        assert len(found) == 1
        made.append((picture, found.boxes[0] / scale, found.keypoints[0] / scale))
    return made


@pytest.mark.parametrize("height", [800, 1000, 2160])
def test_a_close_up_in_a_2160p_frame_is_one_face_with_keypoints_in_place(spec, portraits, height):
    detector = load_detector(spec)
    for picture, face, keypoints in portraits:
        frame = np.full((2160, 3840, 3), 110, np.uint8)
        place(frame, picture, face, height, 1920, 1080)
        (found,) = detector.detect([frame])
        assert len(found) == 1
        scale = height / (face[3] - face[1])
        middle = (face[:2] + face[2:]) / 2
        truth = (keypoints - middle) * scale + [1920, 1080]
        box = (face - np.tile(middle, 2)) * scale + [1920, 1080] * 2
        assert iou(found.boxes[0], np.clip(box, 0, [3840, 2160] * 2)) > 0.75
        eyes = np.linalg.norm(truth[0] - truth[1])
        assert np.linalg.norm(found.keypoints[0] - truth, axis=1).max() < 0.4 * eyes


def test_small_faces_beside_a_huge_one_keep_the_full_sized_box(spec, portraits, monkeypatch):
    frame = np.full((2160, 3840, 3), 110, np.uint8)
    for (picture, face, _), (height, x) in zip(portraits, [(1200, 1900), (60, 300), (30, 3500)], strict=True):
        place(frame, picture, face, height, x, 1080)
    (found,) = load_detector(spec).detect([frame])
    heights = found.boxes[:, 3] - found.boxes[:, 1]
    np.testing.assert_allclose(sorted(heights), [30, 60, 1200], rtol=0.15)
    monkeypatch.setattr(yunet, "SINGLE_PASS", np.inf)
    (one_pass,) = load_detector(spec).detect([frame])
    for box in found.boxes[heights < 100]:
        assert (one_pass.boxes == box).all(axis=1).any()


def test_ordinary_faces_of_a_large_frame_equal_opencvs(spec, shared):
    import av

    with av.open(str(shared / "data" / "clips" / "10003-StreetCrowd.mp4")) as film:  # 1920x1080
        frame = next(film.decode(video=0)).to_ndarray(format="rgb24")
    (found,) = load_detector(spec).detect([frame])
    theirs = cv2.FaceDetectorYN.create(spec.partition(":")[2], "", frame.shape[1::-1], 0.6, 0.3, 5000)
    rows = theirs.detect(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))[1]
    rows = rows[rows[:, 2:4].max(axis=1) >= 20]
    assert len(found) == len(rows) >= 3
    np.testing.assert_allclose(found.boxes, corners(rows), rtol=1e-3, atol=0.1)
    np.testing.assert_allclose(found.keypoints.reshape(-1, 10), rows[:, 4:14], rtol=1e-3, atol=0.1)


@pytest.mark.parametrize("size", [(360, 640), (576, 720), (600, 1440), (2000, 420)])
def test_frames_that_cannot_hold_a_face_too_large_get_one_pass(spec, monkeypatch, size):
    detector = load_detector(spec)
    monkeypatch.setattr(yunet, "merge_passes", lambda *_: pytest.fail("there was a second pass"))
    detector.detect([np.zeros((*size, 3), np.uint8)])


def rows(*faces: tuple[float, float, float, float]) -> np.ndarray:
    """Detections of x, y, side, score."""
    made = np.zeros((len(faces), 15), np.float32)
    for row, (x, y, side, score) in zip(made, faces, strict=True):
        row[[0, 1, 2, 3, 14]] = x, y, side, side, score
    return made


@pytest.mark.parametrize(
    ("full", "reduced", "kept"),
    [
        # the parts of a close-up, inside it and overlapping its border
        ([(200, 300, 500, 0.8), (600, 700, 450, 0.7), (400, 300, 300, 0.7)], [(100, 100, 1000, 0.9)], [1000]),
        # a small face in a larger false one: of a better score; seen by both passes; too small for the second
        ([(500, 500, 200, 0.9)], [(100, 100, 1000, 0.7)], [1000, 200]),
        ([(500, 500, 200, 0.7)], [(100, 100, 1000, 0.9), (505, 505, 190, 0.4)], [1000, 200]),
        ([(500, 500, 100, 0.7)], [(100, 100, 1000, 0.9)], [1000, 100]),
        # a face of a better score than a large false one that covers it
        ([(100, 100, 380, 0.9)], [(100, 100, 500, 0.7)], [380]),
        # a face at the limit, which each of the passes would leave to the other
        ([(100, 100, 410, 0.9)], [(105, 105, 390, 0.9)], [410]),
        ([(100, 100, 390, 0.9)], [(105, 105, 410, 0.9)], [390]),
        # a large face with a low score in the second pass; a large false one, which it does not see
        ([(100, 100, 450, 0.65)], [(105, 105, 440, 0.55)], [450]),
        ([(100, 100, 450, 0.65)], [], []),
        # what the second pass sees of small faces is not needed
        ([], [(100, 100, 200, 0.9)], []),
    ],
)
def test_the_passes_lose_no_face_and_keep_no_part_of_one(full, reduced, kept):
    merged = merge_passes(rows(*full), rows(*reduced), 0.6, 1 / 6)
    assert sorted(merged[:, 2].tolist()) == sorted(kept)


def test_a_painting_that_only_the_downscaled_pass_takes_for_a_face_is_dropped(spec, shared):
    picture = read(shared / "data" / "people" / "knn_examples_train_biden_biden2.jpg")
    (found,) = load_detector(spec).detect([picture])  # beside the face there is a blurred landscape
    assert len(found) == 1
