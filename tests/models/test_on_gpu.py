"""RetinaFace and FaceNet on a GPU: what the host waits for, and the results of the CPU. `make test-gpu`."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import av
import facenet_pytorch
import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from bench.gpu_parts import multiplying
from facerec.geometry import MINIATURE_BYTES, Image, iou
from facerec.models.base import Detections, FaceSearch
from facerec.models.device import Placement, make_cudnn_deterministic
from facerec.models.facenet import FaceNet
from facerec.models.retinaface import RetinaFace
from facerec.models.retinaface_network import blank_network
from facerec.models.weights import WeightFiles
from facerec.pixels import FrameBatch, plane_bytes
from facerec.video.conversion import copy_planes, plane_views, yuv_tables
from facerec.video.miniature import miniature
from facerec.video.reduction import reduction_of
from tests.models.networks import random_state, saved

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        not torch.cuda.is_available(), reason="needs an NVIDIA GPU, and torch finds none here"
    ),
]


@contextmanager
def no_waiting() -> Iterator[None]:
    """Let every operation for which the host waits for the GPU raise."""
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, WeightFiles]:
    folder = tmp_path_factory.mktemp("weights")
    with torch.device("meta"):
        facenet = facenet_pytorch.InceptionResnetV1(pretrained=None)
    make_cudnn_deterministic()
    return {
        "retinaface": saved("retinaface", random_state(blank_network()), folder / "retinaface.pt"),
        "facenet": saved("facenet", random_state(facenet), folder / "facenet.pt"),
    }


@pytest.fixture(scope="module")
def frames() -> list[Image]:
    from skimage import data

    picture = data.astronaut()
    return [np.ascontiguousarray(picture[y : y + 180, y : y + 320]) for y in range(0, 190, 15)]


def retinaface(files: dict[str, WeightFiles], device: str = "cuda:0", **placement: object) -> RetinaFace:
    placed = Placement(device, **{"batch_size": 4, **placement})
    return RetinaFace(files["retinaface"], placed, FaceSearch(16, 8, 0.5))


def batches(detector: RetinaFace, frames: list[Image]) -> list[FrameBatch]:
    made = []
    for begin in range(0, len(frames), 4):
        part = frames[begin : begin + 4]
        pixels = detector.allocate((4, *part[0].shape))[: len(part)]
        pixels[:] = part
        made.append(FrameBatch(pixels, *part[0].shape[:2]))
    return made


def same(some: list[Detections], others: list[Detections]) -> bool:
    return len(some) == len(others) and all(
        np.array_equal(getattr(one, name), getattr(other, name))
        for one, other in zip(some, others, strict=True)
        for name in ("boxes", "scores", "keypoints")
    )


@pytest.mark.parametrize("precision", ["float32", "float16", "bfloat16"])
def test_nothing_waits_between_submitting_a_batch_and_its_results(files, frames, precision) -> None:
    detector = retinaface(files, precision=precision)
    parts = batches(detector, frames)
    expected = detector.detect(frames)  # computes the anchors of this size
    with no_waiting():
        started = [detector.submit_batch(part) for part in parts[:2]]
    assert same([found for take in started for found in take()], expected[:8])


def noise(width: int, height: int, color_range: int, count: int = 3) -> tuple[FrameBatch, np.ndarray]:
    """Return noise in planes, as a batch that asks for miniatures, and those of the host."""
    rng = np.random.default_rng(width)
    planes, expected = np.empty((count, plane_bytes(height, width)), np.uint8), []
    for row in planes:
        frame = av.VideoFrame(width, height, "yuv420p")
        frame.color_range = color_range
        for view in plane_views(frame):
            view[:] = rng.integers(0, 256, view.shape)
            view[: len(view) // 2] = rng.choice((0, 255), (len(view) // 2, 1))
        copy_planes(frame, row)
        expected.append(miniature(frame))
    yuv, wanted = yuv_tables(frame), np.zeros((count, MINIATURE_BYTES), np.uint8)
    return FrameBatch(planes, height, width, yuv, reduction_of(frame), wanted), np.stack(expected)


@pytest.mark.parametrize("precision", ["float32", "tf32"])
@pytest.mark.parametrize("color_range", [1, 2])
@pytest.mark.parametrize("size", [(640, 360), (638, 272), (1920, 1080), (1920, 800), (3840, 2160), (46, 26)])
def test_miniatures_are_those_of_the_host(files, size, color_range, precision) -> None:
    batch, expected = noise(*size, color_range)
    detector = retinaface(files)
    with multiplying(precision):
        detector.reduce(batch)
    np.testing.assert_array_equal(batch.miniatures, expected)


@pytest.mark.parametrize("graphs", [False, True])
def test_miniatures_come_with_the_results_of_a_batch_without_waiting(files, graphs) -> None:
    detector = retinaface(files, cuda_graphs=graphs)
    batch, expected = noise(320, 180, 1, 4)
    pixels = detector.allocate(batch.pixels.shape)
    pixels[:] = batch.pixels
    batch = replace(batch, pixels=pixels)
    detector.reduce(batch)
    detections = detector.submit_batch(replace(batch, reduction=None, miniatures=None))()
    detector.submit_batch(batch)()  # keeps what is computed once for a size
    batch.miniatures[:] = 77
    with no_waiting():
        take = detector.submit_batch(batch)
    assert same(take(), detections)
    np.testing.assert_array_equal(batch.miniatures, expected)


def test_the_embedder_waits_only_for_its_results(files, frames) -> None:
    embedder = FaceNet(files["facenet"], Placement("cuda:0", "float16", 4))
    crops = [np.ascontiguousarray(frame[:160, :160]) for frame in frames[:4]]
    expected = embedder.embed(crops)
    with no_waiting():
        ticket = embedder._queue.submit(crops, 4, None)
    np.testing.assert_array_equal(ticket.result(), expected)


def test_the_memory_for_frames_is_page_locked(files) -> None:
    assert torch.from_numpy(retinaface(files).allocate((4, 8, 8, 3))[1:3]).is_pinned()


def test_boxes_of_the_gpu_are_those_of_the_cpu(files, frames) -> None:
    on_gpu, on_cpu = retinaface(files).detect(frames), retinaface(files, "cpu").detect(frames)
    assert sum(map(len, on_cpu)) > 100
    kept = [
        iou(one.boxes[:, None], other.boxes[None]).max(axis=1) >= 0.8
        for one, other in zip(on_cpu, on_gpu, strict=True)
        if len(one) and len(other)
    ]
    assert np.concatenate(kept).mean() >= 0.98


def test_two_models_in_two_threads_do_not_disturb_each_other(files, frames) -> None:
    detector, embedder = retinaface(files), FaceNet(files["facenet"], Placement("cuda:0", "float32", 4))
    crops = [np.ascontiguousarray(frame[:160, :160]) for frame in frames]
    boxes, vectors = detector.detect(frames), embedder.embed(crops)
    found: list[object] = []

    def embed() -> None:
        found.extend(np.array_equal(embedder.embed(crops), vectors) for _ in range(20))

    thread = threading.Thread(target=embed)
    thread.start()
    repeated = [same(detector.detect(frames), boxes) for _ in range(20)]
    thread.join()
    assert all(repeated) and found == [True] * 20


def test_a_cuda_graph_gives_the_same_bits(files, frames) -> None:
    plain, graph = retinaface(files), retinaface(files, cuda_graphs=True)
    expected = plain.detect(frames)
    for _ in range(3):
        assert same(graph.detect(frames), expected)
    embedders = [FaceNet(files["facenet"], Placement("cuda:0", "float16", 4, graphs)) for graphs in (0, 1)]
    crops = [np.ascontiguousarray(frame[:160, :160]) for frame in frames]
    np.testing.assert_array_equal(embedders[1].embed(crops), embedders[0].embed(crops))


def test_too_little_memory_halves_the_batch(files, caplog) -> None:
    torch.cuda.empty_cache()
    detector = retinaface(files, batch_size=256)
    frame = np.zeros((720, 1280, 3), np.uint8)
    total = torch.cuda.get_device_properties(0).total_memory
    held = torch.cuda.memory_allocated()
    torch.cuda.set_per_process_memory_fraction(min(1.0, (held + (3 << 30)) / total))
    try:
        assert len(detector.detect([frame] * 8)) == 8
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert caplog.text.count("too small for 256 times") == 1


def test_no_operation_of_a_batch_copies_to_the_host_but_one(files, frames) -> None:
    class Copies(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            if func._schema.name == "aten::copy_" and args[0].is_cpu and args[1].is_cuda:
                copied.append(func)
            return func(*args, **(kwargs or {}))

    detector = retinaface(files)
    parts = batches(detector, frames)
    detector.submit_batch(parts[0])()
    copied: list[object] = []
    with Copies():
        take = detector.submit_batch(parts[1])
    take()
    assert len(copied) == 1
