"""Person embedders: the vectors of plain onnxruntime and of the reference network; errors for other files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image as Pillow
from torch import nn
from torchvision.models import resnet50

from facerec.errors import ModelError, NonFiniteError
from facerec.features.osnet import OSNet
from facerec.features.person_boxes import crop
from facerec.features.reid_resnet50 import ReidResNet50
from facerec.models.device import Placement
from facerec.models.weights import find_weights
from tests.features.person_files import write_osnet, write_yolox
from tests.features.random_weights import random_state
from tests.features.test_person_detectors import frame_of

MEAN, STD = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])


def load_osnet(path: Path) -> OSNet:
    return OSNet(find_weights("osnet", str(path)), Placement())


def load_reid(path: Path) -> ReidResNet50:
    return ReidResNet50(find_weights("reid_resnet50", str(path)), Placement())


def pictures(count: int = 3) -> list[np.ndarray]:
    random = np.random.default_rng(1)
    return [random.integers(0, 256, (90 + 40 * k, 50 + k, 3), np.uint8) for k in range(count)]


def test_osnet_gives_the_vectors_of_plain_onnxruntime(shared):
    path = shared / "data/weights/osnet_x0_25_msmt17.onnx"
    frame = frame_of(shared / "data/clips/10004-BasketballRobot.mp4", 60)
    boxes = np.float32([[30, 90, 62, 200], [100, 80, 180, 220], [0, 0, 9, 9], [0, 0, 640, 360]])
    persons = crop(frame, boxes)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    expected = []
    for person in persons:
        resized = np.asarray(Pillow.fromarray(person).resize((128, 256), Pillow.Resampling.BILINEAR))
        tensor = ((resized.astype(np.float32) / 255 - MEAN) / STD).transpose(2, 0, 1)[None]
        expected.append(session.run(None, {"input": tensor})[0][0])
    embedder = load_osnet(path)
    vectors = embedder.embed(persons)
    assert vectors.shape == (4, embedder.dimension) == (4, 512) and vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(embedder.embed(persons[2:3]), vectors[2:3])  # in any batch


def test_osnet_tells_people_apart(shared):
    """The same two men half a second later are closer to themselves than to each other."""
    embedder = load_osnet(shared / "data/weights/osnet_x0_25_msmt17.onnx")
    vectors = []
    for number in (0, 16):
        frame = frame_of(shared / "data/clips/10001-HamiltonAtTheWhiteHouse.mp4", number)
        vectors.append(embedder.embed(crop(frame, np.float32([[15, 172, 92, 245], [395, 30, 610, 355]]))))
    first, second = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in vectors)
    distances = np.linalg.norm(first[:, None] - second[None], axis=2)
    assert np.diag(distances).max() < embedder.max_distance < distances[0, 1]


@pytest.mark.parametrize("batch", [1, 4, "batch"])
def test_osnet_files_of_any_batch_size_work(tmp_path, batch):
    embedder = load_osnet(write_osnet(tmp_path / "o.onnx", batch))
    grey = [np.full((40, 20, 3), value, np.uint8) for value in (0, 60, 120, 180, 240)]
    expected = [(value / 255 - MEAN) / STD for value in (0, 60, 120, 180, 240)]
    np.testing.assert_allclose(embedder.embed(grey), expected, atol=1e-3)
    assert embedder.embed([]).shape == (0, 3)


def test_osnet_reports_numbers_that_are_not_finite(tmp_path):
    with pytest.raises(NonFiniteError, match=r"osnet.* returned embeddings that are NaN or infinite"):
        load_osnet(write_osnet(tmp_path / "o.onnx", scale=np.inf))


def test_other_onnx_files_are_no_embedders(tmp_path):
    path = write_yolox(tmp_path / "y.onnx", np.zeros((1, 21, 85), np.float32))
    with pytest.raises(ModelError, match=r"of shape .1, 21, 85. instead of one vector"):
        load_osnet(path)
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(ModelError, match=r"text\.onnx: not a usable ONNX file"):
        load_osnet(tmp_path / "text.onnx")


def movienet_network() -> nn.Module:
    """Build the layers of movienet-tools' network: `feat` behind the pooling, `feat_bn` not used."""
    network = resnet50(weights=None)
    del network.fc
    network.add_module("feat", nn.Linear(2048, 256))
    network.add_module("feat_bn", nn.BatchNorm1d(256))
    network.load_state_dict(random_state(network))
    return network.eval()


@torch.inference_mode()
def reference(network: nn.Module, persons: list[np.ndarray]) -> np.ndarray:
    resized = np.stack([cv2.resize(person, (128, 256)) for person in persons])
    x = torch.from_numpy((resized.astype(np.float32) / 255 - MEAN) / STD).permute(0, 3, 1, 2)
    for name, layer in network.named_children():
        if name in ("feat", "fc"):
            x = x.flatten(1)
        if name not in ("feat_bn", "fc"):
            x = layer(x)
    return x.flatten(1).numpy()


def test_reid_resnet50_reads_movienets_checkpoint(tmp_path):
    network = movienet_network()
    torch.save({f"module.{key}": value for key, value in network.state_dict().items()}, tmp_path / "csm.pth")
    embedder = load_reid(tmp_path / "csm.pth")
    vectors = embedder.embed(pictures())
    assert vectors.shape == (3, embedder.dimension) == (3, 256)
    expected = reference(network, pictures())
    np.testing.assert_allclose(vectors, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
    np.testing.assert_array_equal(embedder.embed(pictures()[1:2]), vectors[1:2])


@pytest.mark.parametrize("classifier", ["fc", "classifier"])
def test_reid_resnet50_reads_checkpoints_of_trainings(tmp_path, classifier):
    network = resnet50(weights=None)
    network.load_state_dict(random_state(network))
    state = {key.replace("fc.", f"{classifier}."): value for key, value in network.state_dict().items()}
    torch.save({"epoch": 60, "state_dict": state}, tmp_path / "market.pth.tar")
    embedder = load_reid(tmp_path / "market.pth.tar")
    vectors = embedder.embed(pictures(1))
    assert vectors.shape == (1, 2048)
    expected = reference(network.eval(), pictures(1))
    np.testing.assert_allclose(vectors, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_reid_resnet50_reports_numbers_that_are_not_finite(tmp_path):
    network = movienet_network()
    state = network.state_dict()
    state["feat.weight"] = torch.full_like(state["feat.weight"], 3e38)
    torch.save(state, tmp_path / "huge.pth")
    with pytest.raises(NonFiniteError, match=r"reid_resnet50.* returned embeddings that are NaN or infinite"):
        load_reid(tmp_path / "huge.pth").embed(pictures(1))


def test_other_checkpoints_are_no_reid_resnet50(tmp_path):
    torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(ModelError, match=r"other\.pth: weights of another network"):
        load_reid(tmp_path / "other.pth")
