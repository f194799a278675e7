"""Embedders: preprocessing as in training, unit vectors, and faces of one person close together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from facerec.errors import ModelError
from facerec.models import arcface, card_of, load_detector, load_embedder
from facerec.models.align import align
from facerec.models.arcface import TEMPLATE
from facerec.models.base import ModelCard
from facerec.models.preprocessing import Preprocessing, hash_preprocessing
from facerec.models.weights import WeightFiles, find_weights
from tests.conftest import ROOT

KEYPOINTS = (TEMPLATE + np.array([20, 30])).astype(np.float32)
BOX = np.array([30, 40, 120, 160], np.float32)


def tiny_onnx(path: Path, batch: int | str = "n", size: int = 112) -> Path:
    """Write an embedder that returns the mean of each preprocessed channel, and 1."""
    shape = [batch, 3, size, size]
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["means"]),
        helper.make_node("Pad", ["means", "pads", "one"], ["y"]),
    ]
    constants = [
        numpy_helper.from_array(np.array([0, 0, 0, 1], np.int64), "pads"),
        numpy_helper.from_array(np.array(1, np.float32), "one"),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, 4])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.parent.mkdir(exist_ok=True)
    onnx.save(model, str(path))
    return path


@pytest.mark.parametrize("place", ["tiny.onnx.data", "../elsewhere.data"])
def test_external_weights_are_refused(place, tmp_path):
    """Weights in another file could change without a change of the recorded hash."""
    path = tiny_onnx(tmp_path / "model" / "tiny.onnx")
    model = onnx.load(str(path))
    model.graph.node[-1].output[0] = "before"
    model.graph.node.append(helper.make_node("MatMul", ["before", "weights"], ["y"]))
    outside = numpy_helper.from_array(np.eye(4, dtype=np.float32), "weights")
    (path.parent / place).write_bytes(outside.raw_data)
    outside.ClearField("raw_data")
    outside.data_location = TensorProto.EXTERNAL
    for key, value in (("location", place), ("offset", "0"), ("length", "64")):
        outside.external_data.add(key=key, value=value)
    model.graph.initializer.append(outside)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match=r"tiny\.onnx: has weights in another file.*save it as one file"):
        load_embedder(f"arcface:{path}", device="cpu")


@pytest.mark.parametrize("batch", [1, 4, "n"])
def test_onnx_files_of_any_batch_size_work(tmp_path, batch):
    embedder = load_embedder(f"arcface:{tiny_onnx(tmp_path / 'tiny.onnx', batch)}", batch_size=3)
    crops = [np.full((112, 112, 3), value, np.uint8) for value in (0, 50, 100, 200, 255)]
    vectors = embedder.embed(crops)
    assert vectors.shape == (5, embedder.dimension) == (5, 4) and vectors.dtype == np.float32
    for crop, vector in zip(crops, vectors, strict=True):
        pixel = (float(crop[0, 0, 0]) - 127.5) / 127.5
        expected = np.array([pixel, pixel, pixel, 1]) / np.sqrt(3 * pixel**2 + 1)
        np.testing.assert_allclose(vector, expected, atol=1e-4)
    assert embedder.embed([]).shape == (0, 4)


def test_the_toml_sets_preprocessing_and_changes_the_hash(tmp_path):
    path = tiny_onnx(tmp_path / "tiny.onnx")
    plain = card_of(f"arcface:{path}").sha256
    toml = tmp_path / "tiny.onnx.toml"
    toml.write_text('channels = "BGR"\nmean = [1, 2, 3]\nstd = [1, 2, 4]\nsame_person = 0.9\n')
    embedder = load_embedder(f"arcface:{path}")
    assert embedder.same_person == 0.9
    assert embedder.verification_threshold == pytest.approx(0.93 * 0.9)
    vector = embedder.embed([np.tile(np.uint8([11, 22, 33]), (112, 112, 1))])[0]
    np.testing.assert_allclose(vector[:3] / vector[3], [32, 10, 2], atol=1e-4)
    assert card_of(f"arcface:{path}").sha256 == embedder.card.sha256 != plain
    toml.write_text("same_person = 0.8\n")  # a threshold does not change the vectors
    assert card_of(f"arcface:{path}").sha256 == plain


def test_the_hash_with_preprocessing_never_changes(tmp_path):
    """Recorded in movie folders and actor databases: another hash would invalidate their embeddings."""
    path = tmp_path / "weights.onnx"
    found = WeightFiles((path,), ModelCard("arcface", path.name, "0" * 64, "MIT"))
    assert hash_preprocessing(found).card.sha256 == "0" * 64
    (tmp_path / "weights.onnx.toml").write_text('channels = "BGR"\nmean = [1, 2.5, 3]\nsame_person = 0.9\n')
    pinned = "d6f3983f6a31018164ee40e1e6d6e4f30ddbd16aa4690cff35645507f34877ef"
    assert hash_preprocessing(found).card.sha256 == pinned


@pytest.mark.parametrize(
    "text",
    [
        "chanels = 'RGB'",
        "channels = 'GRB'",
        "std = [1, 1, 0]",
        "mean = [1, 2]",
        "size = 112",
        "size = [64, 64]",
        "same_person = 'far'",
        "no toml",
    ],
)
def test_an_invalid_toml_is_refused(tmp_path, text):
    path = tiny_onnx(tmp_path / "tiny.onnx")
    (tmp_path / "tiny.onnx.toml").write_text(text)
    with pytest.raises(ModelError, match=r"tiny\.onnx"):
        load_embedder(f"arcface:{path}")


def test_align_moves_keypoints_onto_the_template():
    frame = np.zeros((200, 200, 3), np.uint8)
    angle = np.deg2rad(25)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = ((TEMPLATE - 56) @ turn.T * 1.3 + 100).astype(np.float32)
    for x, y in points.round().astype(int):
        frame[y - 2 : y + 3, x - 2 : x + 3] = 255
    crop = align(frame, points, TEMPLATE, (112, 112))
    for x, y in TEMPLATE.round().astype(int):
        assert crop[y, x].min() > 200


def test_align_accepts_coinciding_keypoints():
    crop = align(np.zeros((50, 50, 3), np.uint8), np.ones((5, 2), np.float32), TEMPLATE, (112, 112))
    assert crop.shape == (112, 112, 3)


@pytest.fixture(scope="module")
def facenet_weights(tmp_path_factory):
    from facenet_pytorch import InceptionResnetV1

    torch.manual_seed(3)
    with torch.device("meta"):  # its random initialisation takes 15 s
        network = InceptionResnetV1(pretrained=None)
    network = network.to_empty(device="cpu").eval().requires_grad_(False)
    for name, values in network.state_dict().items():
        if name.endswith(("running_var", "bn.weight")):
            values.uniform_(0.5, 1.5)
        elif values.is_floating_point():
            values.normal_(0, 1 / max(values[0].numel(), 100) ** 0.5)
    path = tmp_path_factory.mktemp("facenet") / "random.pt"
    torch.save(network.state_dict() | {"logits.weight": torch.zeros(2, 512)}, path)
    return network, path


@pytest.fixture(scope="module")
def facenet(facenet_weights):
    network, path = facenet_weights
    return network, load_embedder(f"facenet:{path}", device="cpu")


def test_the_distance_of_one_person_is_that_of_facenets_paper(facenet):
    """F. Schroff et al., FaceNet, 2015, figure 1: a squared distance of 1.1 separates people."""
    assert facenet[1].same_person ** 2 == pytest.approx(1.1, abs=0.01)


def test_facenet_equals_the_library(facenet):
    from facenet_pytorch import extract_face, fixed_image_standardization

    network, embedder = facenet
    frame = np.random.default_rng(0).integers(0, 256, (240, 240, 3), np.uint8)
    box = np.array([31.7, 42.2, 150.4, 201.9], np.float32)
    crop = embedder.crop(frame, box, KEYPOINTS)
    theirs = extract_face(frame, box, image_size=160, margin=14)
    np.testing.assert_array_equal(crop, theirs.permute(1, 2, 0).numpy().astype(np.uint8))
    with torch.no_grad():
        expected = network(fixed_image_standardization(theirs)[None]).numpy()
    vectors = embedder.embed([crop] * 3)
    assert vectors.shape == (3, 512)
    np.testing.assert_allclose(vectors, np.repeat(expected, 3, axis=0), atol=1e-4)
    assert embedder.embed([]).shape == (0, 512)


@pytest.mark.parametrize("batch_size", [None, 4])
def test_facenet_gives_the_same_bits_in_any_batch(facenet_weights, batch_size):
    """A shard's last batch is shorter than the film's, and rounding depends on the batch size."""
    embedder = load_embedder(f"facenet:{facenet_weights[1]}", device="cpu", batch_size=batch_size)
    crops = list(np.random.default_rng(2).integers(0, 256, (7, 160, 160, 3), np.uint8))
    whole = embedder.embed(crops)
    for begin, end in ((0, 1), (2, 4), (3, 6), (1, 7)):
        np.testing.assert_array_equal(embedder.embed(crops[begin:end]), whole[begin:end])
    np.testing.assert_array_equal(embedder.embed(crops[::-1]), whole[::-1])


def test_facenet_crops_boxes_beyond_the_frame(facenet):
    frame = np.zeros((40, 40, 3), np.uint8)
    assert facenet[1].crop(frame, np.array([39, 39, 40, 40], np.float32), KEYPOINTS).shape == (160, 160, 3)
    assert facenet[1].crop(frame, np.array([-9, -9, 90, 90], np.float32), KEYPOINTS).shape == (160, 160, 3)


def dlib_crops(embedder, count: int) -> list[np.ndarray]:
    frame = np.random.default_rng(1).integers(0, 256, (200, 200, 3), np.uint8)
    return [embedder.crop(frame, BOX, KEYPOINTS + 4 * shift) for shift in range(count)]


def test_dlib_vectors_are_the_librarys_normalised_in_any_batch():
    import dlib

    embedder = load_embedder("dlib")
    crops = dlib_crops(embedder, 3)
    vectors = embedder.embed(crops)
    network = dlib.face_recognition_model_v1(str(find_weights("dlib").paths[0]))
    theirs = np.array(network.compute_face_descriptor(crops))
    theirs /= np.linalg.norm(theirs, axis=1, keepdims=True)
    np.testing.assert_allclose(vectors, theirs, atol=1e-6)
    np.testing.assert_array_equal(vectors[2], embedder.embed(crops[2:])[0])
    assert embedder.embed([]).shape == (0, 128)


def test_a_killed_dlib_worker_is_an_error_and_is_replaced():
    embedder = load_embedder("dlib")
    crops = dlib_crops(embedder, 1)
    for child in children_of(os.getpid()):
        os.kill(child, signal.SIGKILL)
    with pytest.raises(ModelError, match="dlib's worker process ended with status -9"):
        embedder.embed(crops)
    assert len(embedder.embed(crops)) == 1  # by a new worker


def test_dlib_workers_end_with_their_parent_even_if_it_is_killed():
    code = (
        "import sys; from facerec.models import load_embedder; import numpy as np; "
        "embedder = load_embedder('dlib'); embedder.embed([np.zeros((150, 150, 3), np.uint8)] * 2); "
        "print('ready', flush=True); sys.stdin.read()"
    )
    for end in (signal.SIGKILL, None):
        parent = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
        )
        assert parent.stdout and parent.stdout.readline() == b"ready\n"
        children = children_of(parent.pid)
        assert children
        if end:
            parent.send_signal(end)
        parent.communicate(timeout=60)
        deadline = time.monotonic() + 60
        while any(Path(f"/proc/{child}").exists() for child in children) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not any(Path(f"/proc/{child}").exists() for child in children)


def children_of(pid: int) -> list[int]:
    """Find the dlib workers of the process `pid`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == pid and b"dlib_worker" in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
    return found


@pytest.mark.parametrize("models", [("mtcnn", "dlib"), ("yunet", "arcface")])
def test_real_portraits_of_one_person_are_closer_than_of_two(shared, models):
    folder = shared / "data" / "weights"
    files = {
        "yunet": f":{folder / 'face_detection_yunet_2026may.onnx'}",
        "arcface": f":{folder / 'MobileFaceNet.onnx'}",
    }
    detector = load_detector(models[0] + files.get(models[0], ""), min_face_size=60)
    embedder = load_embedder(models[1] + files.get(models[1], ""))
    people = {
        "obama": ["obama.jpg", "obama2.jpg"],
        "biden": ["biden.jpg", "knn_examples_train_biden_biden2.jpg"],
        "leslie": ["knn_examples_train_rose_leslie_img1.jpg", "knn_examples_train_rose_leslie_img2.jpg"],
        "lacamoire": ["alex-lacamoire.png", "knn_examples_train_alex_lacamoire_img1.jpg"],
        "miranda": ["lin-manuel-miranda.png"],
    }
    names, crops = [], []
    for name, pictures in people.items():
        for picture in pictures:
            with Image.open(shared / "data" / "people" / picture) as opened:
                opened.thumbnail((700, 700))
                frame = np.array(opened.convert("RGB"))
            found = detector.detect([frame])[0]
            names.append(name)
            crops.append(embedder.crop(frame, found.boxes[0], found.keypoints[0]))
    vectors = embedder.embed(crops)
    distance = np.linalg.norm(vectors[:, None] - vectors[None], axis=2)
    same = np.array(names)[:, None] == np.array(names)
    assert distance[same].max() < embedder.verification_threshold
    assert embedder.verification_threshold < embedder.same_person < distance[~same].min()


@pytest.mark.parametrize(
    ("mean", "std"), [((127.5,) * 3, (128.0,) * 3), ((103.5, 116.3, 123.7), (57.4, 57.1, 58.4))]
)
def test_looked_up_pixel_values_are_the_bits_of_their_arithmetic(mean, std) -> None:
    tables = arcface._preprocessed(Preprocessing(mean=mean, std=std))
    crop = np.random.default_rng(0).integers(0, 256, (112, 112, 3), np.uint8)
    computed = (crop - np.array(mean, np.float32)) / np.array(std, np.float32)
    assert computed.dtype == tables.dtype == np.float32
    for channel, table in enumerate(tables):
        np.testing.assert_array_equal(table[crop[..., channel]], computed[..., channel])
