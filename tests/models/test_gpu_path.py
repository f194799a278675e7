"""The path of batches on a GPU, on machines without one: what the host waits for, order, memory, results."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import facenet_pytorch
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch._subclasses.fake_tensor import DynamicOutputShapeException, FakeTensorMode
from torchvision.ops import nms

from facerec.errors import ModelError, NonFiniteError
from facerec.geometry import MINIATURE_BYTES, Image
from facerec.models import batch_queue, batch_suppression, facenet, retinaface
from facerec.models import planes as planes_module
from facerec.models.base import Detections, FaceSearch, ModelCard, ReducingDetector
from facerec.models.batch_queue import COMPUTE, COPY, DEPTH, RESULTS, BatchQueue
from facerec.models.device import Placement
from facerec.models.facenet import FaceNet
from facerec.models.loading import fold_batch_norms
from facerec.models.memory import BatchSize
from facerec.models.retinaface import RetinaFace
from facerec.models.retinaface_network import blank_network
from facerec.models.weights import WeightFiles
from facerec.pixels import FrameBatch, Reduction, YuvTables, plane_bytes
from facerec.video.conversion import copy_planes, plane_views, sum_tables
from facerec.video.miniature import miniature
from facerec.video.reduction import reduction_of
from tests.models.fake_gpu import FakeGpu, Synchronisations, fake_memory, fake_network
from tests.models.networks import random_state, saved

FILES = WeightFiles((Path("none"),), ModelCard("any", "none", "0" * 64, "none"))
FakeCuda = tuple[BatchQueue, tuple[int, ...], Any, FakeTensorMode]  # queue, shape of an item, form, mode
SEARCH = FaceSearch(min_face_size=16, min_box_size=8, face_threshold=0.5)


def folded(network: torch.nn.Module) -> torch.nn.Module:
    fold_batch_norms(network.eval())
    return network


def retinaface_on_fake_cuda(
    monkeypatch: pytest.MonkeyPatch, yuv: YuvTables | None = None, reduction: Reduction | None = None
) -> FakeCuda:
    network = folded(blank_network())
    monkeypatch.setattr(retinaface, "blank_network", lambda: network)
    with FakeTensorMode() as fake, fake_network(retinaface):
        detector = RetinaFace(FILES, Placement("cuda:0", "float16", 4), SEARCH)
        if yuv is not None:
            detector._planes._tables[yuv] = torch.zeros(5, 256, dtype=torch.int16, device="cuda")
        if reduction is not None:
            detector._planes._filters[reduction] = tuple(
                planes_module._Filters(
                    torch.zeros(width, 2 * small_width, device="cuda"),
                    torch.zeros(small_height, height, dtype=torch.float64, device="cuda"),
                    (19078, -39084288),
                )
                for width, height, small_width, small_height in ((320, 180, 48, 27), (160, 90, 24, 14))
            )
    assert isinstance(detector, ReducingDetector) and detector.in_flight == DEPTH - 1
    shape = (180, 320, 3) if yuv is None else (plane_bytes(180, 320),)
    return detector._queue, shape, retinaface._Form(180, 320, yuv, reduction), fake


def retinaface_of_planes(monkeypatch: pytest.MonkeyPatch) -> FakeCuda:
    nothing = (np.zeros((1, 1), np.int16),) * 2
    tables = YuvTables(np.zeros((5, 256), np.int16))
    return retinaface_on_fake_cuda(monkeypatch, tables, Reduction(nothing, nothing, None))


def facenet_on_fake_cuda(monkeypatch: pytest.MonkeyPatch) -> FakeCuda:
    with torch.device("meta"):
        network = folded(facenet_pytorch.InceptionResnetV1(pretrained=None))
    monkeypatch.setattr(facenet_pytorch, "InceptionResnetV1", lambda pretrained: network)
    with FakeTensorMode() as fake, fake_network(facenet):
        embedder = FaceNet(FILES, Placement("cuda:0", "float16", 4))
    return embedder._queue, (160, 160, 3), None, fake


@pytest.mark.parametrize("make", [retinaface_on_fake_cuda, retinaface_of_planes, facenet_on_fake_cuda])
def test_the_host_waits_for_nothing_in_a_batch_and_copies_once_each_way(make, monkeypatch) -> None:
    """On tensors without values, so that every operation that needs one on the host raises."""
    queue, shape, form, fake = make(monkeypatch)
    batch = [np.zeros(shape, np.uint8)] * 3
    with fake, fake_memory():
        queue.submit(batch, 4, form)  # computes the anchors of this size
        with Synchronisations() as counted:
            queue.submit(batch, 4, form)
        assert counted.found == {"there": 1, "back": 1}
        compute = queue._slots[(4, *shape), form][0].compute

        def waiting(batch: torch.Tensor) -> tuple[torch.Tensor, None]:
            compute(batch)
            boxes = torch.zeros(3, 4, device="cuda")
            return nms(boxes, boxes[:, 0], 0.4), None

        queue._slots[(4, *shape), form][0].compute = waiting
        with pytest.raises(DynamicOutputShapeException):  # so the test would notice
            queue.submit(batch, 4, form)


@pytest.fixture(scope="module")
def frames() -> list[Image]:
    from skimage import data

    picture = data.astronaut()
    return [np.ascontiguousarray(picture[y : y + 96, y : y + 128]) for y in range(0, 350, 50)]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> RetinaFace:
    path = tmp_path_factory.mktemp("weights") / "random.pth"
    files = saved("retinaface", random_state(blank_network()), path)
    return RetinaFace(files, Placement(batch_size=2), SEARCH)


@pytest.fixture
def detector(loaded: RetinaFace, monkeypatch: pytest.MonkeyPatch) -> Iterator[RetinaFace]:
    """RetinaFace with the path of a GPU, computing on the CPU."""
    queue = BatchQueue(FakeGpu(torch.device("cpu")), loaded._compute_on_gpu, loaded._finish)
    monkeypatch.setattr(loaded, "_queue", queue)
    monkeypatch.setattr(loaded, "_network_batch", BatchSize(2))
    monkeypatch.setattr(loaded, "in_flight", DEPTH - 1)
    return loaded


def same(some: list[Detections], others: list[Detections]) -> bool:
    return len(some) == len(others) and all(
        np.array_equal(getattr(one, name), getattr(other, name))
        for one, other in zip(some, others, strict=True)
        for name in ("boxes", "scores", "keypoints", "saturated")
    )


@pytest.fixture(scope="module")
def on_cpu(loaded: RetinaFace, frames: list[Image]) -> list[Detections]:
    found = loaded.detect(frames)
    assert sum(map(len, found)) > 50
    return found


def test_detections_are_those_of_the_cpu_path(on_cpu, detector, frames) -> None:
    assert same(detector.detect(frames), on_cpu)
    assert detector.detect([]) == []


def batch_of(detector: RetinaFace, frames: list[Image]) -> FrameBatch:
    pixels = detector.allocate((detector.batch_size, *frames[0].shape))[: len(frames)]
    pixels[:] = frames
    return FrameBatch(pixels, *frames[0].shape[:2])


def test_batches_that_overlap_keep_their_results(on_cpu, detector, frames) -> None:
    parts = [batch_of(detector, frames[begin : begin + 2]) for begin in (0, 2, 4, 6)]
    started = [detector.submit_batch(part) for part in parts]
    found = [detections for take in reversed(started) for detections in reversed(take())]
    assert same(found[::-1], on_cpu)


def test_planes_give_the_detections_of_rgb(loaded, detector) -> None:
    rng = np.random.default_rng(3)
    tables = rng.integers(-90, 300, (5, 256)).astype(np.int16)
    planes = rng.integers(0, 256, (3, plane_bytes(64, 96)), np.uint8)
    y = planes[:, : 64 * 96].reshape(3, 64, 96)
    u, v = planes[:, 64 * 96 :].reshape(3, 2, 32, 48).swapaxes(0, 1)
    rgb = [sum_tables(tables, *one) for one in zip(y, u, v, strict=True)]
    batch = FrameBatch(planes, 64, 96, YuvTables(tables))
    on_device, expected = detector.submit_batch(batch)(), detector.detect(rgb)
    detector._queue = None  # the CPU's own path
    assert sum(map(len, expected)) > 5
    assert same(on_device, expected) and same(detector.submit_batch(batch)(), expected)


def planes_and_miniatures(count: int) -> tuple[FrameBatch, NDArray[np.uint8]]:
    """Return noise in planes, as a batch that asks for miniatures, and those of the host."""
    rng = np.random.default_rng(5)
    made, planes = [], np.empty((count, plane_bytes(64, 96)), np.uint8)
    for index in range(count):
        frame = av.VideoFrame(96, 64, "yuv420p")
        for view in plane_views(frame):
            view[:] = rng.integers(0, 256, view.shape)
        copy_planes(frame, planes[index])
        made.append(miniature(frame))
    tables = YuvTables(rng.integers(-90, 300, (5, 256)).astype(np.int16))
    wanted = np.full((count, MINIATURE_BYTES), 77, np.uint8)
    return FrameBatch(planes, 64, 96, tables, reduction_of(frame), wanted), np.stack(made)


@pytest.mark.parametrize("on_gpu", [True, False])
def test_miniatures_come_back_with_the_detections_and_change_none(detector, on_gpu: bool) -> None:
    """Of three frames in batches of two, so that one batch is padded, and two are on the GPU at a time."""
    batch, expected = planes_and_miniatures(3)
    parts = [batch.part(0, 2), batch.part(2, 3)]
    without = [replace(part, reduction=None, miniatures=None) for part in parts]
    if not on_gpu:
        detector._queue = None
    detections = [found for part in without for found in detector.submit_batch(part)()]
    assert sum(map(len, detections)) > 5
    started = [detector.submit_batch(part) for part in parts]
    assert same([found for take in started for found in take()], detections)
    np.testing.assert_array_equal(batch.miniatures, expected)
    batch.miniatures[:] = 77
    detector.reduce(batch)
    np.testing.assert_array_equal(batch.miniatures, expected)


def test_a_frame_that_the_host_suppresses_keeps_its_miniature(detector, monkeypatch) -> None:
    batch, expected = planes_and_miniatures(2)
    monkeypatch.setattr(retinaface, "GPU_CANDIDATES", 3)
    assert len(detector.submit_batch(batch)()) == 2
    np.testing.assert_array_equal(batch.miniatures, expected)


def test_miniatures_of_halved_batches_are_those_of_their_frames(detector, monkeypatch) -> None:
    batch, expected = planes_and_miniatures(4)
    monkeypatch.setattr(detector._queue, "_compute", SmallMemory(detector._queue._compute, 1))
    monkeypatch.setattr(detector, "_network_batch", BatchSize(4))
    assert len(detector.submit_batch(batch)()) == 4
    np.testing.assert_array_equal(batch.miniatures, expected)


def test_memory_that_is_too_small_for_miniatures_is_one_line(detector, monkeypatch) -> None:
    batch, _ = planes_and_miniatures(1)

    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(detector._planes, "to_miniatures", full)
    with pytest.raises(ModelError, match="too small for the miniatures of a frame of 96x64 pixels; take a l"):
        detector.reduce(batch)


def test_frames_of_another_size_get_memory_of_their_own(detector, frames) -> None:
    sizes = [(96, 128), (64, 96), (32, 64)]
    smaller = [[np.ascontiguousarray(frame[:h, :w]) for frame in frames[:2]] for h, w in sizes]
    started = [detector.submit_batch(batch_of(detector, part)) for part in smaller]
    for take, part in zip(started, smaller, strict=True):
        assert same(take(), detector.detect(part))
    assert len(detector._queue._slots) <= batch_queue.FORMS


def test_each_stream_waits_for_the_one_before_and_the_host_once(detector, frames) -> None:
    detector.detect(frames[:4])
    gpu = detector._queue.gpu
    gpu.log.clear()
    detector.detect(frames[:2])
    copied, computed, done = (entry[2] for entry in gpu.log if entry[0] == "record")
    assert gpu.log == [
        (COPY,),
        ("record", COPY, copied),
        ("wait", COMPUTE, copied),
        (COMPUTE,),
        ("record", COMPUTE, computed),
        ("wait", RESULTS, computed),
        (RESULTS,),
        ("record", RESULTS, done),
        ("finish", done),
    ]


def test_a_frame_with_too_many_candidates_is_suppressed_by_the_host(
    on_cpu, detector, frames, monkeypatch
) -> None:
    monkeypatch.setattr(retinaface, "GPU_CANDIDATES", 3)
    assert same(detector.detect(frames), on_cpu)
    monkeypatch.setattr(retinaface, "GPU_CANDIDATES", 1024)
    detector._queue.clear()
    monkeypatch.setattr(batch_suppression, "ROUNDS", 1)
    assert same(detector.detect(frames), on_cpu)


def test_a_bad_number_is_reported_for_its_own_batch(detector, frames, monkeypatch) -> None:
    network = detector._network

    def bad(pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        moves, logits, points = network(pixels)
        logits[1, 3, 0] = torch.nan
        return moves, logits, points

    monkeypatch.setattr(detector, "_network", bad)
    broken = detector.submit_batch(batch_of(detector, frames[:2]))
    monkeypatch.setattr(detector, "_network", network)
    others = [detector.submit_batch(batch_of(detector, frames[2:4])) for _ in range(2 * DEPTH)]
    assert [len(other()) for other in others] == [2] * 2 * DEPTH
    with pytest.raises(NonFiniteError, match="retinaface, computed in float32, returned scores"):
        broken()


class SmallMemory:
    """Computes batches of at most `fits` items, and raises torch's out-of-memory error for larger ones."""

    def __init__(self, compute, fits: int) -> None:
        self.compute, self.fits, self.sizes = compute, fits, []

    def __call__(self, batch: torch.Tensor, form: Any):
        self.sizes.append(len(batch))
        if len(batch) > self.fits:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return self.compute(batch, form)


def test_too_little_memory_halves_the_batch_with_one_warning(detector, frames, monkeypatch, caplog) -> None:
    monkeypatch.setattr(detector, "_network_batch", BatchSize(1))
    expected = detector.detect(frames)
    memory = SmallMemory(detector._queue._compute, 1)
    monkeypatch.setattr(detector._queue, "_compute", memory)
    monkeypatch.setattr(detector, "_network_batch", BatchSize(4))
    assert same(detector.detect(frames), expected)
    assert memory.sizes == [4, 2, *[1] * len(frames)]
    assert detector._queue.gpu.released >= 2
    detector.detect(frames)
    (warning,) = (record for record in caplog.records if record.levelno == logging.WARNING)
    assert re.search(r"4 times a frame of 128x96 .* going on with 1 .* --batch-size 1", warning.getMessage())


def test_memory_that_is_too_small_for_one_frame_is_one_line(detector, frames, monkeypatch) -> None:
    monkeypatch.setattr(detector._queue, "_compute", SmallMemory(None, 0))
    with pytest.raises(ModelError, match="too small for a frame of 128x96 pixels; take a larger GPU"):
        detector.detect(frames)


def test_page_locked_memory_that_is_too_small_is_one_line(detector, monkeypatch) -> None:
    """CUDA's words are those for a GPU's memory, but a larger GPU would not help."""

    def refuse(shape: object, dtype: object) -> torch.Tensor:
        raise RuntimeError("CUDA error: out of memory")

    monkeypatch.setattr(detector._queue.gpu, "host_memory", refuse)
    with pytest.raises(ModelError, match="page-locked for batches of 16; try --batch-size 8, or request"):
        detector.allocate((16, 8, 8, 3))


@pytest.mark.slow
def test_embeddings_are_those_of_the_cpu_path(frames, monkeypatch, tmp_path) -> None:
    with torch.device("meta"):
        network = facenet_pytorch.InceptionResnetV1(pretrained=None)
    embedder = FaceNet(
        saved("facenet", random_state(network), tmp_path / "random.pt"), Placement(batch_size=2)
    )
    crops = [embedder.crop(frame, np.array([20, 10, 90, 80], np.float32), None) for frame in frames[:3]]
    expected = embedder.embed(crops)
    queue = BatchQueue(FakeGpu(torch.device("cpu")), embedder._compute, embedder._finish)
    monkeypatch.setattr(embedder, "_queue", queue)
    np.testing.assert_array_equal(embedder.embed(crops), expected)
    assert embedder.embed([]).shape == (0, 512)
    memory = SmallMemory(queue._compute, 1)
    monkeypatch.setattr(queue, "_compute", memory)
    queue.clear()
    np.testing.assert_allclose(embedder.embed(crops), expected, atol=1e-5)
    assert memory.sizes == [2, 1, 1, 1]


def test_a_graph_is_recorded_once_for_each_batch_in_flight() -> None:
    gpu = FakeGpu(torch.device("cpu"))

    def compute(batch: torch.Tensor, _: None) -> tuple[torch.Tensor, None]:
        return batch.float().sum(dim=1), None

    def finish(count: int, _form: None, results: np.ndarray, _kept: None) -> list[float]:
        return results[:count].tolist()

    queue = BatchQueue(gpu, compute, finish, graphs=True)
    tickets = [queue.submit([np.full(3, n, np.uint8)], 2, None) for n in range(5)]
    assert [ticket.result() for ticket in tickets] == [[0], [3], [6], [9], [12]]
    assert gpu.captured == DEPTH


def test_a_batch_in_page_locked_memory_is_not_copied_by_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    ring = np.arange(4 * 6, dtype=np.uint8).reshape(4, 2, 3)
    gpu, taken = FakeGpu(torch.device("cpu")), []

    def host_memory(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        taken.append(dtype)
        return torch.zeros(shape, dtype=dtype)

    monkeypatch.setattr(gpu, "host_memory", host_memory)
    queue = BatchQueue(
        gpu,
        lambda batch, _: (batch.float(), None),
        lambda count, _form, results, _kept: results,
    )
    monkeypatch.setattr(torch.Tensor, "is_pinned", lambda self: True)
    monkeypatch.setattr(batch_queue, "_fill", lambda *_: pytest.fail("copied"))
    np.testing.assert_array_equal(queue.submit(ring, 4, None).result(), ring)
    assert taken == [torch.float32]  # for the results; a batch of 4K frames has hundreds of MB
    with pytest.raises(pytest.fail.Exception):
        queue.submit(list(ring), 4, None)  # frames here and there
    padded = queue.submit(ring[:1], 4, None).result()
    np.testing.assert_array_equal(padded, [ring[0], *np.zeros((3, 2, 3))])
