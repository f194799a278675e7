"""A network that returns NaN or infinite numbers is an error that names the model, never "no faces"."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from unittest import mock

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from skimage import data

from facerec import models
from facerec.errors import ModelError, NonFiniteError
from facerec.geometry import Image
from facerec.models import load_detector, load_embedder
from facerec.models.base import Embedder, FaceSearch, ModelCard, check_finite
from facerec.models.device import Placement
from facerec.models.memory import BatchSize
from facerec.models.retinaface import RetinaFace
from facerec.models.retinaface_network import blank_network
from tests.models.networks import random_state, saved
from tests.models.scrfd_files import write_scrfd

BAD = [np.nan, np.inf, -np.inf]


@pytest.fixture(scope="module")
def face() -> Image:
    return np.ascontiguousarray(data.astronaut()[:301, 60:463])


def poison(network: torch.nn.Module, key: str, value: float) -> None:
    """Replace the first number of the tensor `key`."""
    tensor = network.state_dict()[key]
    tensor[(0,) * tensor.ndim] = value


@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize(
    ("key", "output"),
    [
        ("conv1.weight", "scores"),  # of all three networks, so of the first
        ("conv4_1.bias", "scores"),
        ("conv4_2.bias", "boxes"),
        ("dense5_1.bias", "scores"),
        ("dense5_2.bias", "boxes"),
        ("dense6_1.bias", "scores"),
        ("dense6_2.bias", "boxes"),
        ("dense6_3.bias", "keypoints"),
    ],
)
def test_mtcnn_with_a_bad_number_in_its_weights_is_an_error(
    key: str, output: str, value: float, face: Image
) -> None:
    detector = load_detector("mtcnn", device="cpu", min_face_size=40)
    for network in detector._networks:  # type: ignore[attr-defined]
        if key in network.state_dict():
            poison(network, key, value)
    with pytest.raises(NonFiniteError, match=f"mtcnn, computed in float32, returned {output} that are NaN"):
        detector.detect([face])


@pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered:RuntimeWarning")
@pytest.mark.parametrize(
    ("key", "output"),
    [
        ("conv4_2.bias", "boxes"),
        ("dense5_2.bias", "boxes"),
        ("dense6_2.bias", "boxes"),
        ("dense6_3.bias", "keypoints"),
    ],
)
def test_mtcnn_with_a_correction_that_overflows_is_an_error(key: str, output: str, face: Image) -> None:
    """The network's output is finite; the box or keypoint computed from it is not."""
    detector = load_detector("mtcnn", device="cpu", min_face_size=40)
    for network in detector._networks:  # type: ignore[attr-defined]
        if key in network.state_dict():
            poison(network, key, 3e38)
    with pytest.raises(NonFiniteError, match=f"mtcnn, computed in float32, returned {output} that are NaN"):
        detector.detect([face])


@pytest.fixture(scope="module")
def random_retinaface() -> dict[str, torch.Tensor]:
    return random_state(blank_network())


def retinaface(state: dict[str, torch.Tensor], path: Path, **placement: str) -> RetinaFace:
    found = saved("retinaface", state, path)
    return RetinaFace(found, Placement(**placement), FaceSearch(16, 16, 0.5))


@pytest.fixture(scope="module", params=["float32", "bfloat16"])
def random_detector(
    random_retinaface: dict[str, torch.Tensor],
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> RetinaFace:
    path = tmp_path_factory.mktemp("weights") / "random.pth"
    return retinaface(random_retinaface, path, precision=request.param)


@pytest.mark.parametrize(
    ("head", "output"), [("ClassHead.0", "scores"), ("BboxHead.1", "boxes"), ("LandmarkHead.2", "keypoints")]
)
def test_retinaface_with_a_bad_number_in_its_weights_is_an_error(
    head: str, output: str, face: Image, random_detector: RetinaFace
) -> None:
    frame, precision = face[:96, :128], random_detector._precision
    assert np.isfinite(random_detector.detect([frame])[0].boxes).all()
    bias = random_detector._network.get_submodule(head).state_dict()["conv1x1._bias"]
    intact = float(bias[0])
    remedy = "the weights random.pth are" if precision == "float32" else "use --precision float32"
    expected = f"retinaface, computed in {precision}, returned {output} that are NaN or infinite; {remedy}"
    try:
        for value in BAD:
            bias[0] = value
            with pytest.raises(NonFiniteError, match=expected):
                random_detector.detect([frame, frame])
    finally:
        bias[0] = intact


@pytest.fixture
def one_anchor(random_detector: RetinaFace) -> Iterator[Callable[[torch.nn.Module], RetinaFace]]:
    """A function that gives the detector another network."""

    def use(network: torch.nn.Module) -> RetinaFace:
        random_detector._network = network
        return random_detector

    intact = random_detector._network
    yield use
    random_detector._network = intact


class OneAnchor(torch.nn.Module):
    """A network for RetinaFace with one face in all anchors, and one number replaced."""

    def __init__(self, head: int, value: float) -> None:
        super().__init__()
        self.head, self.value = head, value

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        from facerec.models.retinaface_network import anchors

        count = len(anchors(*pixels.shape[2:]))
        moves, logits, points = (torch.zeros(len(pixels), count, size) for size in (4, 2, 10))
        logits[..., 1] = -5
        logits[:, 40, 1] = 5  # the face
        (moves, logits, points)[self.head][0, 7, 1] = self.value
        return moves, logits, points


Use = Callable[[torch.nn.Module], RetinaFace]


@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize("head", [0, 1, 2])
def test_one_bad_anchor_beside_a_face_is_an_error(
    head: int, value: float, face: Image, one_anchor: Use
) -> None:
    """`topk` takes NaN for the best score, so the face was dropped."""
    assert len(one_anchor(OneAnchor(head, 0.0)).detect([face])[0]) == 1
    with pytest.raises(NonFiniteError):
        one_anchor(OneAnchor(head, value)).detect([face])


def test_a_size_that_overflows_is_an_error(face: Image, one_anchor: Use) -> None:
    class Huge(OneAnchor):
        def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
            moves, logits, points = super().forward(pixels)
            moves[..., 2:] = 1000
            return moves, logits, points

    with pytest.raises(NonFiniteError, match="boxes"):
        one_anchor(Huge(0, 0.0)).detect([face])


def test_bad_numbers_in_the_padding_of_a_batch_are_no_error(face: Image, one_anchor: Use) -> None:
    class Padding(OneAnchor):
        def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
            moves, logits, points = super().forward(pixels)
            logits[1:] = np.nan
            return moves, logits, points

    detector = one_anchor(Padding(0, 0.0))
    with mock.patch.object(detector, "_network_batch", BatchSize(4)):
        assert len(detector.detect([face])[0]) == 1


Nodes = list[onnx.NodeProto]


Edit = Callable[[str, str], Nodes]


def edit_outputs(source: Path, path: Path, edits: dict[str, Edit]) -> None:
    """Copy an ONNX file to `path` with some of its outputs changed.

    Args:
        edits: by the name of an output, a function that gets the name of its intact value and its own name,
            and returns the nodes that compute the one from the other.
    """
    model = onnx.load(str(source))
    for output, edit in edits.items():
        (node,) = (node for node in model.graph.node if output in node.output)
        node.output[0] = f"intact_{output}"
        model.graph.node.extend(edit(node.output[0], output))
    onnx.save(model, str(path))


def edited_yunet(shared: Path, path: Path, **edits: Edit) -> str:
    """Write YuNet with some of its outputs changed, and return its spec."""
    edit_outputs(shared / "data" / "weights" / "face_detection_yunet_2026may.onnx", path, edits)
    return f"yunet:{path}"


def constant(name: str, values: object, kind: int = TensorProto.FLOAT) -> onnx.NodeProto:
    array = np.array(values, {TensorProto.FLOAT: np.float32, TensorProto.INT64: np.int64}[kind])
    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(array))


def one_cell(value: float) -> Edit:
    """An edit that replaces a number of one cell."""

    def edit(intact: str, output: str) -> Nodes:
        return [
            constant("where", [[0, 1, 0]], TensorProto.INT64),
            constant("value", [value]),
            helper.make_node("ScatterND", [intact, "where", "value"], [output]),
        ]

    return edit


@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize(
    ("output", "what"), [("score_8", "scores"), ("bbox_16", "boxes"), ("kps_32", "keypoints")]
)
def test_scrfd_with_one_bad_cell_is_an_error(output: str, what: str, value: float, tmp_path: Path) -> None:
    write_scrfd(tmp_path / "good.onnx")
    edit_outputs(tmp_path / "good.onnx", tmp_path / "bad.onnx", {output: one_cell(value)})
    with pytest.raises(NonFiniteError, match=rf"scrfd, computed in float32, returned {what} .*bad\.onnx"):
        load_detector(f"scrfd:{tmp_path / 'bad.onnx'}")  # tries a black frame


@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize(
    ("output", "what"),
    [("cls_8", "scores"), ("obj_32", "scores"), ("bbox_16", "boxes"), ("kps_8", "keypoints")],
)
def test_yunet_with_one_bad_cell_is_an_error(
    shared: Path, output: str, what: str, value: float, tmp_path: Path
) -> None:
    spec = edited_yunet(shared, tmp_path / "bad.onnx", **{output: one_cell(value)})
    with pytest.raises(NonFiniteError, match=rf"yunet, computed in float32, returned {what} .*bad\.onnx"):
        load_detector(spec)  # tries a black frame


@pytest.mark.parametrize("value", BAD)
def test_yunet_that_fails_on_a_bright_frame_only_is_an_error(
    shared: Path, value: float, face: Image, tmp_path: Path
) -> None:
    def bright(intact: str, output: str) -> Nodes:
        return [
            helper.make_node("ReduceMax", ["input"], ["peak"], keepdims=0),
            constant("limit", 128.0),
            helper.make_node("Greater", ["peak", "limit"], ["is_bright"]),
            constant("value", value),
            helper.make_node("Where", ["is_bright", "value", intact], [output]),
        ]

    detector = load_detector(edited_yunet(shared, tmp_path / "bad.onnx", cls_8=bright))
    assert len(detector.detect([face // 4])) == 1
    with pytest.raises(NonFiniteError, match="yunet, computed in float32, returned scores"):
        detector.detect([face])


class NoWorker:
    """A dlib worker that answers with a vector of one bad number."""

    def __init__(self, value: float) -> None:
        self.value = value

    def embed(self, crop: Image) -> np.ndarray:
        vector = np.ones(128)
        vector[5] = self.value
        return vector


def dlib(value: float, folder: Path) -> Embedder:
    embedder = load_embedder("dlib")
    embedder._idle = [NoWorker(value)]  # type: ignore[attr-defined]
    return embedder


@cache
def constant_facenet(folder: Path) -> Embedder:
    from facenet_pytorch import InceptionResnetV1

    with torch.device("meta"):
        network = InceptionResnetV1(pretrained=None)
    state = network.to_empty(device="cpu").state_dict()
    for values in state.values():
        values.fill_(1e-4)
    path = folder / "constant.pt"
    torch.save(state, path)
    return load_embedder(f"facenet:{path}", device="cpu")


def facenet(value: float, folder: Path) -> Embedder:
    embedder = constant_facenet(folder.parent)
    poison(embedder._network, "last_bn.bias", value)  # type: ignore[attr-defined]
    return embedder


def arcface(value: float, folder: Path) -> Embedder:
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["means"]),
        constant("limit", [0.9]),
        helper.make_node("Greater", ["means", "limit"], ["is_bright"]),
        constant("value", [value]),
        helper.make_node("Where", ["is_bright", "value", "means"], ["y"]),
    ]
    ends = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 112, 112])]
    result = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])]
    graph = helper.make_graph(nodes, "bright", ends, result)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(folder / "bright.onnx"))
    return load_embedder(f"arcface:{folder / 'bright.onnx'}")


EMBEDDERS = {"dlib": dlib, "facenet": facenet, "arcface": arcface}


@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize("kind", EMBEDDERS)
def test_an_embedding_with_a_bad_number_is_an_error(kind: str, value: float, tmp_path: Path) -> None:
    embedder = EMBEDDERS[kind](value, tmp_path)
    side = {"dlib": 150, "facenet": 160, "arcface": 112}[kind]
    with pytest.raises(
        NonFiniteError, match=f"{kind}, computed in float32, returned embeddings that are NaN"
    ):
        embedder.embed([np.full((side, side, 3), 255, np.uint8)])


def test_every_model_of_the_registry_is_tested_here() -> None:
    assert set(EMBEDDERS) == set(models.EMBEDDERS)
    assert {"retinaface", "mtcnn", "yunet", "scrfd"} == set(models.DETECTORS)


def test_finite_outputs_pass() -> None:
    card = ModelCard("any", "any.pt", "0" * 64, "none")
    check_finite(card, "float16", scores=np.ones((2, 3), np.float32), boxes=torch.zeros(0, 4))
    huge = np.full(9, 3e38, np.float32)  # their sum overflows
    check_finite(card, "float16", scores=huge, boxes=torch.from_numpy(huge))


def test_only_a_frame_full_of_mtcnns_candidates_is_saturated(face: Image) -> None:
    """Scores that are high everywhere mean nothing: a film full of such frames is reported."""
    detector = load_detector("mtcnn", device="cpu", min_face_size=100)
    (found,) = detector.detect([face])
    assert len(found) == 1 and not found.saturated
    poison(detector._networks[0], "conv4_1.bias", -30.0)  # type: ignore[attr-defined]
    assert detector.detect([face])[0].saturated


def test_only_a_frame_full_of_yunets_candidates_is_saturated(
    shared: Path, face: Image, tmp_path: Path
) -> None:
    intact = load_detector(f"yunet:{shared / 'data' / 'weights' / 'face_detection_yunet_2026may.onnx'}")
    (found,) = intact.detect([face])
    assert len(found) == 1 and not found.saturated
    broken = load_detector(edited_yunet(shared, tmp_path / "a.onnx", cls_8=every_cell, obj_8=every_cell))
    assert broken.detect([face[:96, :128]])[0].saturated


def test_only_a_frame_full_of_scrfds_candidates_is_saturated(tmp_path: Path) -> None:
    black = np.zeros((96, 128, 3), np.uint8)
    assert not load_detector(write_scrfd(tmp_path / "a.onnx")).detect([black])[0].saturated
    everywhere = load_detector(write_scrfd(tmp_path / "b.onnx", offset=0.9))
    assert everywhere.detect([black])[0].saturated


def test_only_a_frame_full_of_retinafaces_candidates_is_saturated(face: Image, one_anchor: Use) -> None:
    class Everywhere(OneAnchor):
        def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
            moves, logits, points = super().forward(pixels)
            return moves, -logits, points

    assert not one_anchor(OneAnchor(0, 0.0)).detect([face])[0].saturated
    assert one_anchor(Everywhere(0, 0.0)).detect([face])[0].saturated


def every_cell(intact: str, output: str) -> Nodes:
    """Nodes that make the score 1 in every cell."""
    ones = constant(f"ones_{output}", 1.0)
    return [ones, helper.make_node("Max", [intact, ones.output[0]], [output])]


def test_weights_with_a_bad_number_are_refused(
    random_retinaface: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    """A fused activation turns NaN into 0, so in the first layer it does not show in the output."""
    state = {name: values.clone() for name, values in random_retinaface.items()}
    state["body.conv1.weight"][3, 1, 2, 2] = np.nan
    with pytest.raises(ModelError, match=r"bad\.pth: damaged: its tensor 'body.conv1.weight' has NaN"):
        retinaface(state, tmp_path / "bad.pth")
