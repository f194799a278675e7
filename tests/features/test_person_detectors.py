"""Person detectors: the same boxes as by the published formulas, and clear errors for other files."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image as Pillow
from torchvision.models.detection import fasterrcnn_resnet50_fpn

from facerec.errors import ModelError, NonFiniteError
from facerec.features.faster_rcnn import FasterRCNN
from facerec.features.person_boxes import crop, make_boxes, suppress
from facerec.features.yolox import YOLOX, letterbox
from facerec.models.device import Placement
from facerec.models.weights import find_weights
from facerec.video.film import open_film, read_frames
from tests.features.person_files import write_yolox, yolox_output


def load_yolox(path: Path, threshold: float = 0.3) -> YOLOX:
    return YOLOX(find_weights("yolox", str(path)), Placement(), threshold=threshold)


def frame_of(film: Path, number: int) -> np.ndarray:
    return next(image for k, image in read_frames(open_film(film), number, number + 1) if k == number)


def reference_yolox(path: Path, frame: np.ndarray, threshold: float) -> list[tuple[float, ...]]:
    """Decode as the paper and the authors' demo do, cell by cell; greedy suppression with plain numbers."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    height, width = session.get_inputs()[0].shape[2:]
    ratio = min(height / frame.shape[0], width / frame.shape[1])
    filled, _ = letterbox(frame, height, width)
    blob = filled[:, :, [2, 1, 0]].transpose(2, 0, 1)[None].astype(np.float32)
    rows = session.run(None, {"images": blob})[0][0]
    found, k = [], 0
    for stride in (8, 16, 32):
        for y in range(height // stride):
            for x in range(width // stride):
                tx, ty, tw, th, objectness, person = rows[k, :6].astype(float)
                k += 1
                if objectness * person >= threshold:
                    cx, cy = (tx + x) * stride / ratio, (ty + y) * stride / ratio
                    w, h = np.exp(tw) * stride / ratio, np.exp(th) * stride / ratio
                    found.append((cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2, objectness * person))
    found.sort(key=lambda box: -box[4])
    kept: list[tuple[float, ...]] = []
    for box in found:
        if all(overlap(box, other) <= 0.45 for other in kept):
            kept.append(box)
    return kept


def overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(w, 0) * max(h, 0)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


@pytest.mark.parametrize(
    ("film", "number"), [("10003-StreetCrowd.mp4", 40), ("10004-BasketballRobot.mp4", 60)]
)
def test_yolox_finds_what_the_published_formula_finds(shared, film, number):
    path = shared / "data/weights/yolox_nano.onnx"
    frame = frame_of(shared / "data/clips" / film, number)
    boxes = load_yolox(path).detect([frame])[0]
    expected = np.array(reference_yolox(path, frame, 0.3))
    height, width = frame.shape[:2]
    expected[:, :4] = np.clip(expected[:, :4], 0, [width, height] * 2)
    assert len(boxes) == len(expected) >= 7
    np.testing.assert_allclose(boxes, expected, rtol=1e-4, atol=0.05)
    assert boxes.dtype == np.float32 and (np.diff(boxes[:, 4]) <= 0).all()


def test_yolox_sees_the_persons_that_are_there(shared):
    frame = frame_of(
        shared / "data/clips/10001-HamiltonAtTheWhiteHouse.mp4", 140
    )  # one man, left of the middle
    boxes = load_yolox(shared / "data/weights/yolox_nano.onnx", threshold=0.6).detect([frame, frame[:, ::-1]])
    assert [len(part) for part in boxes] == [1, 1]
    (x1, y1, x2, y2, score), mirrored = boxes[0][0], boxes[1][0]
    assert 30 < x1 < 80 and y1 < 20 and 300 < x2 < 360 and y2 > 340 and score > 0.8
    assert mirrored[0] == pytest.approx(640 - x2, abs=25)


def test_yolox_decodes_cells_scales_and_clips(tmp_path):
    """A frame of 64x128 pixels is halved for a network of 32x32... by four: the longer side counts."""
    output = yolox_output(
        (0, 0.5, 0.5, 0.0, 0.0, 0.9),  # first cell of stride 8: 8x8 pixels around (4, 4)
        (19, 1.0, 0.0, np.log(0.5), 0.0, 0.8),  # stride 16, last cell: 8x16 around (32, 16)
        (20, 0.5, 0.25, np.log(0.25), np.log(0.25), 0.7),  # stride 32: 8x8 around (16, 8)
        (3, 0.5, 0.5, 0.0, 0.0, 0.2),  # too weak
        (1, -0.5, 0.5, 0.0, 0.0, 0.6),  # the same place as the first
    )
    boxes = load_yolox(write_yolox(tmp_path / "y.onnx", output)).detect([np.zeros((64, 128, 3), np.uint8)])[0]
    expected = [[0, 0, 32, 32, 0.9], [112, 32, 128, 64, 0.8], [48, 16, 80, 48, 0.7]]
    np.testing.assert_allclose(boxes, expected, atol=1e-3)


def test_yolox_without_persons(tmp_path):
    detector = load_yolox(write_yolox(tmp_path / "y.onnx", yolox_output()))
    assert [part.shape for part in detector.detect([np.zeros((9, 7, 3), np.uint8)] * 3)] == [(0, 5)] * 3
    assert detector.detect([]) == []


@pytest.mark.parametrize(("value", "what"), [(np.nan, "scores"), (np.inf, "scores"), (100.0, "boxes")])
def test_yolox_reports_numbers_that_are_not_finite(tmp_path, value, what):
    output = yolox_output((5, 0.5, 0.5, 0.0, 0.0, 0.9))
    output[0, 5, 2 if what == "boxes" else 4] = value  # the exponential of 100 overflows
    detector = load_yolox(write_yolox(tmp_path / "y.onnx", output))
    with pytest.raises(
        NonFiniteError, match=f"yolox.* returned {what} that are NaN or infinite; the weights"
    ):
        detector.detect([np.zeros((32, 32, 3), np.uint8)])


@pytest.mark.parametrize(
    ("shape", "cells", "message"),
    [
        ((1, 3, 40, 32), 21, "multiples of 32"),
        (("n", 3, "h", "w"), 21, "fixed size"),
        ((2, 3, 32, 32), 21, "one picture at once"),
        ((1, 3, 32, 32), 20, "instead of .1, 21, 85."),
    ],
)
def test_other_onnx_files_are_no_yolox(tmp_path, shape, cells, message):
    output = np.zeros((1, cells, 85), np.float32)
    with pytest.raises(ModelError, match=message):
        load_yolox(write_yolox(tmp_path / "y.onnx", output, shape))


def test_letterbox_fills_below_and_right_with_grey():
    filled, scale = letterbox(np.full((10, 20, 3), 7, np.uint8), 32, 32)
    assert scale == 1.6 and (filled[:16] == 7).all() and (filled[16:] == 114).all()
    filled, scale = letterbox(np.full((1, 200, 3), 7, np.uint8), 32, 32)  # very flat: one row stays
    assert (filled[:1] == 7).all() and (filled[1:] == 114).all()


def noise() -> np.ndarray:
    """Return a frame so flat that the network, which scales its longer side to 1333 pixels, is fast."""
    pixels = np.random.default_rng(0).integers(0, 256, (3, 40, 3), np.uint8)
    return np.array(Pillow.fromarray(pixels).resize((600, 40)))


@pytest.fixture(scope="module")
def faster_rcnn(tmp_path_factory):
    torch.manual_seed(5)
    network = fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_classes=3).eval()
    seen: list[torch.Tensor] = []
    with (
        torch.inference_mode(),
        network.roi_heads.box_head.register_forward_hook(lambda *args: seen.append(args[2])),
    ):
        network([torch.from_numpy(noise()).permute(2, 0, 1) / 255])
    scores = network.roi_heads.box_predictor.cls_score
    with torch.no_grad():  # one half of the regions is a person, the other one a bicycle
        scores.weight[0], scores.weight[2] = 0, -scores.weight[1]
        scores.weight *= 2 / (seen[0] @ scores.weight[1]).std()
        scores.bias[:] = -scores.weight @ seen[0].mean(0)
    path = tmp_path_factory.mktemp("faster_rcnn") / "random.pth"
    torch.save(network.state_dict(), path)
    return network, path


def load_faster_rcnn(path: Path, threshold: float) -> FasterRCNN:
    return FasterRCNN(find_weights("faster_rcnn", str(path)), Placement(), threshold=threshold)


def test_faster_rcnn_gives_the_persons_of_the_library(faster_rcnn):
    network, path = faster_rcnn
    frame = noise()
    with torch.inference_mode():
        found = network([torch.from_numpy(frame).permute(2, 0, 1) / 255])[0]
    persons = found["labels"] == 1
    assert 0 < persons.sum() < len(persons)
    boxes = load_faster_rcnn(path, 0.05).detect([frame])[0]
    expected = torch.cat([found["boxes"], found["scores"][:, None]], dim=1)[persons].numpy()
    expected = expected[(expected[:, 2:4] - expected[:, :2] >= 1).all(axis=1)]
    assert len(expected) > 20
    np.testing.assert_allclose(
        boxes, expected[np.argsort(-expected[:, 4], kind="stable")], rtol=1e-3, atol=0.02
    )


def test_faster_rcnn_reads_torchvisions_own_checkpoint_names(faster_rcnn, tmp_path):
    """Its COCO file has frozen normalisations, which run with eps 0, and the names of older releases."""
    state = faster_rcnn[0].state_dict()
    renamed = {
        re.sub(r"(_blocks\.\d)\.0|(head\.conv)\.0\.0", r"\1\2", key): value
        for key, value in state.items()
        if "num_batches" not in key
    }
    assert "backbone.fpn.inner_blocks.3.weight" in renamed and "rpn.head.conv.weight" in renamed
    torch.save(
        {"state_dict": {f"module.{key}": value for key, value in renamed.items()}}, tmp_path / "old.pth"
    )
    detector = load_faster_rcnn(tmp_path / "old.pth", 0.05)
    norms = [m for m in detector._network.modules() if type(m).__name__ == "FrozenBatchNorm2d"]
    assert len(norms) == 53 and {norm.eps for norm in norms} == {0.0}
    for key, value in state.items():
        if "num_batches" not in key:
            assert torch.equal(detector._network.state_dict()[key], value), key


def test_faster_rcnn_reports_numbers_that_are_not_finite(faster_rcnn, tmp_path):
    """NaN would pass for no person at all. The weights are finite; what they compute is not."""
    state = dict(faster_rcnn[0].state_dict())
    state["rpn.head.cls_logits.weight"] = torch.full_like(state["rpn.head.cls_logits.weight"], 3e38)
    torch.save(state, tmp_path / "huge.pth")
    with pytest.raises(NonFiniteError, match=r"faster_rcnn.* returned scores that are NaN or infinite"):
        load_faster_rcnn(tmp_path / "huge.pth", 0.05).detect([np.full((40, 600, 3), 99, np.uint8)])


def test_other_checkpoints_are_no_faster_rcnn(tmp_path):
    torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(
        ModelError, match=r"other\.pth: weights of another network than torchvision's Faster R-CNN"
    ):
        load_faster_rcnn(tmp_path / "other.pth", 0.5)


def test_suppression_keeps_the_better_of_two():
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10], [0, 0, 10, 10]], np.float32)
    assert suppress(boxes, np.float32([0.5, 0.9, 0.3, 0.5]), 0.45).tolist() == [1, 2]
    assert suppress(boxes, np.float32([0.5, 0.9, 0.3, 0.5]), 1.0).tolist() == [
        1,
        0,
        3,
        2,
    ]  # equal: the earlier
    assert suppress(boxes[:0], np.empty(0, np.float32), 0.45).tolist() == []


def test_boxes_are_clipped_to_the_frame_and_empty_ones_dropped():
    boxes = np.array([[-5, -5, 30, 90], [50, 2, 60, 9], [10, 10, 5, 20], [3, 3, 3.5, 9]], np.float32)
    rows = make_boxes(boxes, np.float32([0.5, 0.9, 0.8, 0.7]), (40, 50))
    np.testing.assert_array_equal(rows, np.float32([[0, 0, 30, 40, 0.5]]))


def test_crops_hold_whole_pixels_inside_the_frame():
    frame = np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3)
    whole, corner, outside = crop(
        frame, np.float32([[-3, -3, 99, 99, 1], [5.5, 3.2, 8, 6, 1], [20, 20, 30, 30, 1]])
    )
    np.testing.assert_array_equal(whole, frame)
    np.testing.assert_array_equal(corner, frame[3:, 5:])
    np.testing.assert_array_equal(outside, frame[5:, 7:])
    assert crop(frame, np.empty((0, 5), np.float32)) == []
