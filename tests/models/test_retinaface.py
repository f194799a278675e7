"""RetinaFace against retinaface-pytorch on the same weights.

The published weights must be downloaded, so these are random. They give every anchor a score, so decoding
and suppression are compared on more boxes than real faces would give.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage import data

from facerec.errors import ModelError
from facerec.models import load_detector
from facerec.models.base import make_detections
from facerec.models.retinaface_network import anchors, blank_network

THRESHOLD = 0.55


@pytest.fixture(scope="module")
def library():
    from retinaface.predict_single import Model

    torch.manual_seed(7)
    model = Model(max_size=256)
    for module in model.model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # as in a trained network, not the identity
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.1)
    for head in (*model.model.ClassHead, *model.model.BboxHead, *model.model.LandmarkHead):
        head.conv1x1.weight.data *= 0.1  # else most scores are 1 and their order is arbitrary
    model.eval()
    return model


@pytest.fixture(scope="module")
def weights(library, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "random.pth"
    torch.save(library.model.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def frames() -> list[np.ndarray]:
    picture = data.astronaut()
    return [np.ascontiguousarray(picture[y : y + 160, y : y + 256]) for y in (0, 40, 90, 200)]


def detector(weights: Path, **settings):
    given = {"min_face_size": 16, "face_threshold": THRESHOLD, "device": "cpu"} | settings
    return load_detector(f"retinaface:{weights}", **given)


def matched(some: np.ndarray, others: np.ndarray, minimum: float = 0.9) -> np.ndarray:
    """For each box of `some`, return the index of the best box of `others` with IoU >= `minimum`, or -1."""
    low = np.maximum(some[:, None, :2], others[None, :, :2])
    high = np.minimum(some[:, None, 2:], others[None, :, 2:])
    shared = np.maximum(high - low, 0).prod(axis=2)
    area = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (some, others)]
    iou = shared / (area[0][:, None] + area[1] - shared)
    return np.where(iou.max(axis=1) >= minimum, iou.argmax(axis=1), -1)


def test_detections_equal_the_librarys(library, weights, frames):
    ours = detector(weights, batch_size=2)
    compared = 0
    for frame, found in zip(frames, ours.detect(frames), strict=True):
        theirs = library.predict_jsons(frame, confidence_threshold=THRESHOLD)
        boxes = np.array([face["bbox"] for face in theirs], np.float32).reshape(-1, 4)
        points = np.array([face["landmarks"] for face in theirs], np.float32).reshape(-1, 5, 2)
        scores = np.array([face["score"] for face in theirs], np.float32)
        their = make_detections(boxes, scores, points, frame.shape[:2], min_box_size=16)
        compared += len(their)
        # Box, keypoints and score side by side; the library rounds them to two digits.
        rows = [
            np.hstack([faces.boxes, faces.keypoints.reshape(-1, 10), 5 * faces.scores[:, None]])
            for faces in (found, their)
        ]
        equal = np.abs(rows[0][:, None] - rows[1]).max(axis=2) < 0.05
        # Scores and overlaps within a rounding error of their thresholds may differ.
        assert equal.any(axis=0).mean() >= 0.99 and equal.any(axis=1).mean() >= 0.99
    assert compared > 100


def test_detections_are_the_same_bits_in_any_batch(weights, frames):
    ours = detector(weights, batch_size=4)
    together = ours.detect(frames)
    for order in ([3], [1, 0], [2, 3, 0, 1], [0, 0, 0, 1, 3]):
        for index, found in zip(order, ours.detect([frames[i] for i in order]), strict=True):
            for name in ("boxes", "scores", "keypoints"):
                np.testing.assert_array_equal(getattr(found, name), getattr(together[index], name))


def test_min_face_size_downscales_the_frame_and_boxes_are_in_its_pixels(weights):
    frame = data.astronaut()[:320]
    tensor = torch.from_numpy(frame).permute(2, 0, 1)[None].float()
    smaller = torch.nn.functional.interpolate(tensor, size=(160, 256), mode="bilinear", antialias=True)
    smaller = smaller[0].permute(1, 2, 0).round().byte().numpy()
    found = detector(weights, min_face_size=32).detect([frame])[0]
    expected = detector(weights, min_face_size=16).detect([smaller])[0]
    assert len(expected) > 20
    assert np.mean(matched(2 * expected.boxes, found.boxes) >= 0) > 0.9  # its pixels were rounded


def test_keypoints_outside_the_frame_stay_where_the_network_puts_them(weights):
    """A face that the border cuts off: its box is clipped, its keypoints are not moved."""

    class OneFace(torch.nn.Module):
        def forward(self, pixels):
            count = len(anchors(*pixels.shape[2:]))
            moves, logits, points = (torch.zeros(len(pixels), count, size) for size in (4, 2, 10))
            logits[..., 1], logits[:, 0, 1] = -9, 9  # at the first anchor: centre 4, 4, side 16
            moves[:, 0] = torch.tensor([-5.0, 2.5, 0, 0])  # tenths of the side: 8 left, 4 down
            points[:, 0] = torch.tensor([-7.5, 0, -2.5, 0, -5, 2.5, -7.5, 5, -2.5, 5])
            return moves, logits, points

    ours = detector(weights)
    ours._network = OneFace()
    (found,) = ours.detect([np.zeros((96, 128, 3), np.uint8)])
    np.testing.assert_allclose(found.boxes, [[0, 0, 4, 16]], atol=1e-4)
    expected = [[-8, 4], [0, 4], [-4, 8], [-8, 12], [0, 12]]
    np.testing.assert_allclose(found.keypoints[0], expected, atol=1e-4)


def test_anchors_equal_the_librarys():
    from retinaface.prior_box import priorbox

    for height, width in ((96, 128), (101, 67), (33, 250)):
        theirs = priorbox([[16, 32], [64, 128], [256, 512]], [8, 16, 32], False, (height, width))
        torch.testing.assert_close(anchors(height, width), theirs)


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_reduced_precision_keeps_the_boxes(weights, frames, precision):
    """With random weights many boxes have almost equal scores, so the threshold is lowered."""
    exact = detector(weights).detect(frames)
    reduced = detector(weights, precision=precision, face_threshold=THRESHOLD - 0.05).detect(frames)
    assert sum(map(len, exact)) > 100
    kept = [matched(one.boxes, other.boxes, 0.8) >= 0 for one, other in zip(exact, reduced, strict=True)]
    assert np.concatenate(kept).mean() >= 0.98


def test_weights_of_another_network_are_refused(tmp_path):
    path = tmp_path / "other.pth"
    torch.save({"layer.weight": torch.zeros(3)}, path)
    with pytest.raises(ModelError, match=r"other\.pth: weights of another network than RetinaFace"):
        detector(path)


def test_missing_library_is_an_error_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "retinaface.network", None)  # importing it now fails
    with pytest.raises(ModelError, match="pip install --no-deps retinaface-pytorch"):
        blank_network()
