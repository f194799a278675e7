"""SCRFD files of every make: equal to the documented decoding, or refused in one line."""

from __future__ import annotations

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto

from facerec.errors import ModelError
from facerec.geometry import iou
from facerec.models import check_tiles, load_detector
from tests.models.scrfd_files import POINTS, draw, write_scrfd


def first_frame(shared, clip: str) -> np.ndarray:
    import av

    with av.open(str(shared / "data" / "clips" / clip)) as film:
        return next(film.decode(video=0)).to_ndarray(format="rgb24")


def documented(path: str, frame: np.ndarray, threshold: float = 0.5) -> list[tuple]:
    """Detect as insightface documents it, place by place; the box is not clipped."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    height, width = frame.shape[:2]
    inside = (640, int(640 / height * width)) if height > width else (int(640 / width * height), 640)
    canvas = np.zeros((640, 640, 3), np.uint8)
    canvas[: inside[0], : inside[1]] = cv2.resize(frame, inside[::-1])
    pixels = (canvas.astype(np.float32) - 127.5) / 128
    outputs = session.run(None, {session.get_inputs()[0].name: pixels.transpose(2, 0, 1)[None]})
    scale = inside[0] / height  # also of x
    faces = []
    for level, stride in enumerate((8, 16, 32)):
        scores, sides, points = (outputs[level + 3 * kind][0] for kind in range(3))
        for place in np.flatnonzero(scores[:, 0] >= threshold):
            y, x = np.array(divmod(place // 2, 640 // stride)) * stride
            left, top, right, bottom = (sides[place] * stride).tolist()
            box = [(x - left) / scale, (y - top) / scale, (x + right) / scale, (y + bottom) / scale]
            keypoints = (points[place].reshape(5, 2) * stride + [x, y]) / scale
            faces.append((float(scores[place, 0]), box, keypoints))
    faces.sort(key=lambda face: -face[0])
    kept: list[tuple] = []
    for face in faces:
        one = np.array([*face[1][:2], face[1][2] + 1, face[1][3] + 1])
        others = [np.array([*other[1][:2], other[1][2] + 1, other[1][3] + 1]) for other in kept]
        if all(iou(one, other) <= 0.4 for other in others):
            kept.append(face)
    return kept


@pytest.mark.parametrize(
    ("name", "clip", "size"),
    [
        ("2.5g", "10001-HamiltonAtTheWhiteHouse.mp4", None),
        ("500m", "10003-StreetCrowd.mp4", None),
        ("500m", "10003-StreetCrowd.mp4", (1200, 503)),  # whose scaled height is not a whole number
        ("500m", "10001-HamiltonAtTheWhiteHouse.mp4", (330, 360)),
    ],
)
def test_a_fixed_size_file_equals_its_documented_decoding(shared, name, clip, size):
    path = str(shared / "data" / "weights" / f"scrfd_{name}_kps.onnx")
    frame = first_frame(shared, clip)
    if size is not None:
        frame = cv2.resize(frame, size)
    (found,) = load_detector(f"scrfd:{path}", min_face_size=1).detect([frame])
    height, width = frame.shape[:2]
    theirs = documented(path, frame)
    assert len(found) == len(theirs) >= 1
    for box, score, keypoints, face in zip(found.boxes, found.scores, found.keypoints, theirs, strict=True):
        assert score == pytest.approx(face[0], abs=1e-5)
        assert iou(box, np.clip(face[1], 0, [width, height] * 2)) > 0.99
        np.testing.assert_allclose(keypoints, face[2], rtol=1e-4, atol=1e-2)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["2.5g", "500m"])
@pytest.mark.parametrize("free", [False, True], ids=["fixed", "free"])
def test_detections_equal_insightfaces(shared, tmp_path, name, free):
    from insightface.model_zoo.scrfd import SCRFD

    path = shared / "data" / "weights" / f"scrfd_{name}_kps.onnx"
    if free:
        model = onnx.load(str(path))
        for side, word in zip(model.graph.input[0].type.tensor_type.shape.dim[2:], "hw", strict=True):
            side.dim_param = word
        for output in model.graph.output:
            output.type.tensor_type.shape.dim[1].dim_param = f"places of {output.name}"
        path = tmp_path / "free.onnx"
        onnx.save(model, str(path))
    theirs = SCRFD(str(path))
    theirs.prepare(-1, det_thresh=0.5)
    ours = load_detector(f"scrfd:{path}", min_face_size=1, device="cpu")
    total = 0
    for clip in ("10001-HamiltonAtTheWhiteHouse.mp4", "10003-StreetCrowd.mp4", "10006-VariableFrameRate.mp4"):
        frame = first_frame(shared, clip)
        for size in ((640, 352), (704, 576), (448, 512)):  # multiples of 32, which insightface needs
            image = cv2.resize(frame, size)
            (found,) = ours.detect([image])
            boxes, keypoints = theirs.detect(np.ascontiguousarray(image[:, :, ::-1]), input_size=size)
            assert len(found) == len(boxes)
            if len(boxes):
                clipped = np.clip(boxes[:, :4], 0, np.tile(size, 2))
                assert iou(found.boxes, clipped).min() > 0.9999
                np.testing.assert_allclose(found.scores, boxes[:, 4], atol=1e-6)
                np.testing.assert_allclose(found.keypoints, keypoints, atol=1e-3)
            total += len(found)
    assert total >= 20


def check_squares(found, squares: list[tuple[int, int, int]], atol: float = 1e-3) -> None:
    """Check that exactly the squares (side, x, y) were found, each once and with its keypoints."""
    boxes = np.array([[x - s / 2, y - s / 2, x + s / 2, y + s / 2] for s, x, y in squares])
    assert len(found) == len(squares)
    order = [int(np.argmin(np.abs(found.boxes - box).sum(axis=1))) for box in boxes]
    np.testing.assert_allclose(found.boxes[order], boxes, atol=atol)
    points = np.array([[x, y] + POINTS * s / 2 for s, x, y in squares])
    np.testing.assert_allclose(found.keypoints[order], points, atol=atol)


SQUARES = [(16, 80, 80), (32, 320, 80), (64, 160, 320)]


def picture(squares=SQUARES, size: tuple[int, int] = (480, 640)) -> np.ndarray:
    frame = np.zeros((*size, 3), np.uint8)
    for square in squares:
        draw(frame, *square)
    return frame


@pytest.mark.parametrize(
    "made",
    [
        {},
        {"by_stride": True},
        {"names": "out_{stride}{kind}"},
        {"names": "{stride}.{kind}", "batched": False},
        {"batch": "n"},
        {"size": (480, 640)},
        {"channels": "c", "batch": "n"},
    ],
    ids=["named", "by stride", "named otherwise", "no frame axis", "any batch", "480x640", "all free"],
)
def test_outputs_are_told_apart_whatever_their_names_and_order(tmp_path, made):
    detector = load_detector(write_scrfd(tmp_path / "a.onnx", **made), face_threshold=0.7, min_face_size=10)
    empty, found = detector.detect([picture([]), picture()])
    check_squares(found, SQUARES)
    assert len(empty) == 0 and not found.saturated


@pytest.mark.parametrize(
    "made",
    [{"takes": TensorProto.FLOAT16, "returns": TensorProto.FLOAT16}, {"returns": TensorProto.DOUBLE}],
    ids=["float16", "float64 outputs"],
)
def test_a_file_in_other_floats_finds_the_same_in_every_frame(tmp_path, made):
    detector = load_detector(write_scrfd(tmp_path / "a.onnx", **made), face_threshold=0.7, min_face_size=10)
    for _ in range(3):  # the first frame of a size takes another way than those after it
        check_squares(*detector.detect([picture()]), SQUARES, atol=0.1)
    assert [len(found) for found in detector.detect([picture([]), picture(), picture([])])] == [0, 3, 0]


def test_a_face_at_the_right_end_of_a_very_wide_frame_has_its_place(tmp_path):
    detector = load_detector(write_scrfd(tmp_path / "a.onnx"), face_threshold=0.7)
    frame = np.zeros((130, 1920, 3), np.uint8)  # scaled to a height of 43.3 pixels, rounded down
    draw(frame, 48, 1824, 72)
    (found,) = detector.detect([frame])
    (tall,) = detector.detect([np.ascontiguousarray(frame.transpose(1, 0, 2))])
    for box in (found.boxes[0], tall.boxes[0][[1, 0, 3, 2]]):
        assert iou(box, np.array([1800, 48, 1848, 96])) > 0.85


def test_five_strides_find_faces_of_five_sizes(tmp_path):
    squares = [*SQUARES, (128, 384, 256), (256, 256, 512)]
    spec = write_scrfd(tmp_path / "five.onnx", strides=(8, 16, 32, 64, 128))
    (found,) = load_detector(spec, face_threshold=0.7, min_face_size=10).detect(
        [picture(squares, (640, 640))]
    )
    check_squares(found, squares)


@pytest.mark.parametrize("strides", [(8, 16, 32), (8, 16, 32, 64, 128)])
def test_a_file_without_keypoints_is_refused_with_the_reason(tmp_path, strides):
    spec = write_scrfd(tmp_path / "no.onnx", strides=strides, kinds=("score", "bbox"))
    with pytest.raises(ModelError, match=r"no\.onnx: SCRFD without keypoints, but embedders align faces"):
        load_detector(spec)


def test_a_frame_smaller_than_the_input_is_enlarged_into_it(tmp_path):
    detector = load_detector(write_scrfd(tmp_path / "a.onnx"), face_threshold=0.7, min_face_size=4)
    squares = [(8, 40, 40), (16, 160, 40), (32, 80, 112)]
    (found,) = detector.detect([picture(squares, (180, 320))])  # at twice its size
    check_squares(found, squares, atol=0.5)


def test_a_frame_larger_than_the_input_is_reduced_into_it(tmp_path):
    detector = load_detector(write_scrfd(tmp_path / "a.onnx"), face_threshold=0.7)
    squares = [(48, 240, 240), (96, 960, 240), (192, 480, 672)]
    (found,) = detector.detect([picture(squares, (1080, 1920))])  # at a third of its size
    check_squares(found, squares, atol=1.5)


@pytest.mark.parametrize(("strides", "coarsest"), [((8, 16, 32), 32), ((8, 16, 32, 64, 128), 128)])
def test_a_file_of_free_size_takes_a_frame_at_its_own_size(tmp_path, strides, coarsest):
    spec = write_scrfd(tmp_path / "free.onnx", size=None, strides=strides)
    frame = picture(SQUARES, (360, 410))
    (found,) = load_detector(spec, face_threshold=0.7, min_face_size=16).detect([frame])
    check_squares(found, SQUARES)
    assert frame.shape[0] % coarsest and frame.shape[1] % coarsest


def test_a_file_of_free_size_reduces_a_frame_for_a_larger_minimum_face(tmp_path):
    spec = write_scrfd(tmp_path / "free.onnx", size=None)
    squares = [(64, 320, 320), (128, 1280, 320)]  # at a quarter of their size
    detector = load_detector(spec, face_threshold=0.7, min_face_size=64)
    (found,) = detector.detect([picture([*squares, (32, 1024, 768)], (1080, 1920))])
    check_squares(found, squares, atol=0.5)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ({"kinds": ("score",)}, "not SCRFD: its 3 outputs have the shapes"),
        ({"kinds": ("score", "kps")}, "not SCRFD: its 6 outputs have the shapes"),
        ({"strides": (16, 32, 64)}, "expected for each stride of 8, 16, 32"),
        ({"batch": 3}, "takes 3 frames at once; export it for one frame"),
        ({"returns": TensorProto.INT64}, r"its outputs are tensor\(int64\), not floats"),
        ({"takes": TensorProto.UINT8}, r"its input is a tensor\(uint8\), not one of floats"),
        ({"channels": 1}, r"another kind of model \(1 inputs, the first of shape \[1, 1, 640, 640\]"),
        ({"offset": -4.0}, "scores are not between 0 and 1"),  # as without the last sigmoid
    ],
)
def test_another_kind_of_file_is_a_one_line_error(tmp_path, made, message):
    spec = write_scrfd(tmp_path / "a.onnx", **made)
    with pytest.raises(ModelError, match=message) as raised:
        load_detector(spec)
    assert str(tmp_path / "a.onnx") in str(raised.value) and "\n" not in str(raised.value)


def test_a_file_of_a_newer_opset_is_refused_with_onnx_runtimes_reason(tmp_path):
    write_scrfd(tmp_path / "a.onnx")
    model = onnx.load(str(tmp_path / "a.onnx"))
    model.opset_import[0].version = 99
    onnx.save(model, str(tmp_path / "a.onnx"))
    with pytest.raises(ModelError, match=r"a\.onnx: not a usable ONNX file \(ONNX Runtime .*opset"):
        load_detector(f"scrfd:{tmp_path / 'a.onnx'}")


@pytest.fixture(scope="module")
def portrait(shared) -> tuple[np.ndarray, np.ndarray]:
    """A picture and the box of its one face."""
    picture = cv2.imread(str(shared / "data" / "people" / "lin-manuel-miranda.png"))[:, :, ::-1].copy()
    (found,) = load_detector(fixed(shared)).detect([picture])
    assert len(found) == 1
    return picture, found.boxes[0]


def fixed(shared) -> str:
    return f"scrfd:{shared / 'data' / 'weights' / 'scrfd_500m_kps.onnx'}"


def paste(frame: np.ndarray, portrait: tuple[np.ndarray, np.ndarray], height: int, x: int, y: int) -> None:
    """Draw the head of the portrait with a face `height` pixels high around x, y."""
    source, box = portrait
    scale = height / (box[3] - box[1])
    around = (box[3] - box[1]) * 0.8
    middle = (box[:2] + box[2:]) / 2
    left, top = np.maximum(middle - around, 0).astype(int)
    right, bottom = (middle + around).astype(int)
    head = cv2.resize(source[top:bottom, left:right], None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    at = np.rint([y, x] + (np.array([top, left]) - middle[::-1]) * scale).astype(int)
    frame[at[0] : at[0] + head.shape[0], at[1] : at[1] + head.shape[1]] = head


def test_a_face_on_a_seam_of_4k_tiles_is_found_once(shared, portrait):
    detector = load_detector(fixed(shared), tiles=True)
    (level,) = detector._levels((2160, 3840))[:-1]
    assert len(level.windows) == 24
    scale = 2160 / level.size[0]
    top, left, bottom, right = (round(side * scale) for side in level.windows[7])  # none of the border's
    placed = [(24, left, 1000), (40, 2000, bottom), (110, right, top), (28, left, bottom), (800, 3100, 1100)]
    frame = np.full((2160, 3840, 3), 110, np.uint8)
    for height, x, y in placed:
        paste(frame, portrait, height, x, y)
    (found,) = detector.detect([frame])
    assert len(found) == len(placed)
    middles = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2
    for height, x, y in placed:
        nearest = int(np.argmin(np.abs(middles - [x, y]).sum(axis=1)))
        assert np.abs(middles[nearest] - [x, y]).max() < 0.25 * height
        assert found.boxes[nearest, 3] - found.boxes[nearest, 1] == pytest.approx(height, rel=0.25)
    (whole,) = load_detector(fixed(shared)).detect([frame])  # without tiles
    assert len(whole) == 2


def test_a_face_that_fills_a_picture_is_found(shared, portrait):
    source, box = portrait
    x1, y1, x2, y2 = box.astype(int)
    (found,) = load_detector(fixed(shared)).detect([np.ascontiguousarray(source[y1:y2, x1:x2])])
    assert len(found) == 1 and iou(found.boxes[0], np.array([0, 0, x2 - x1, y2 - y1])) > 0.8


@pytest.mark.parametrize("name", ["yunet", "mtcnn"])
def test_tiles_for_another_detector_are_refused(name):
    with pytest.raises(ModelError, match=f"{name} takes frames of any size, so it needs no tiles"):
        check_tiles(name)


def test_tiles_for_a_file_of_free_size_are_refused(tmp_path):
    with pytest.raises(ModelError, match=r"free\.onnx: takes frames of any size"):
        load_detector(write_scrfd(tmp_path / "free.onnx", size=None), tiles=True)


def test_a_film_of_the_inputs_size_has_no_tiles(tmp_path):
    detector = load_detector(write_scrfd(tmp_path / "a.onnx"), tiles=True)
    assert [len(level.windows) for level in detector._levels((360, 640))] == [1]
    assert [len(level.windows) for level in detector._levels((1080, 1920))] == [6, 1]
