"""The measurements of `bench/gpu.py`: matrix rate, detector, embedder, suppression and extraction."""

from __future__ import annotations

import json
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from numpy.typing import NDArray

from bench.nvml import Utilisation
from facerec.geometry import Image
from facerec.models.base import Detections, ReducingDetector
from facerec.models.retinaface import RetinaFace
from facerec.pixels import FrameBatch

TF32 = "tf32"  # float32 with the multiplications of cuDNN and cuBLAS in TF32
LANDMARKS = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]], np.float32)


def torch_precision(precision: str) -> str:
    """Return the precision of the models for one of the table."""
    return "float32" if precision == TF32 else precision


@contextmanager
def multiplying(precision: str) -> Iterator[None]:
    """Allow TF32 in the block if `precision` is TF32; loading a model forbids it."""
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = precision == TF32
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False


def finish(device: str) -> None:
    """Wait for a GPU."""
    if device != "cpu":
        torch.cuda.synchronize(device)


def rate(work: Callable[[], int], device: str, seconds: float) -> float:
    """Return how many items a second `work` does, of which each call returns the number; after two calls."""
    work(), work()
    finish(device)
    begun, done = time.perf_counter(), 0
    while time.perf_counter() - begun < seconds or not done:
        done += work()
    finish(device)
    return done / (time.perf_counter() - begun)


def matrix_rate(device: str, precision: str, side: int, seconds: float) -> float:
    """Measure the floating-point operations per second of `side` x `side` matrix products."""
    kind = getattr(torch, torch_precision(precision))
    one, other = (torch.randn(side, side, device=device).to(kind) for _ in range(2))

    def product() -> int:
        for _ in range(10):
            one @ other
        finish(device)  # not to queue up a minute of products
        return 20 * side**3

    with multiplying(precision):
        return rate(product, device, seconds)


def network_operations(width: int, height: int) -> int:
    """Count the floating-point operations of RetinaFace's network on one input."""
    from torch.utils.flop_counter import FlopCounterMode

    from facerec.models.retinaface_network import blank_network

    network = blank_network()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.empty(1, 3, height, width, device="meta"))
    return int(counter.get_total_flops())


def detector_rate(detector: RetinaFace, frames: Sequence[Image], device: str, seconds: float) -> float:
    """Return the frames a second of a detector alone, with real frames in its own buffers."""
    size = detector.batch_size
    buffers: deque[NDArray[np.uint8]] = deque()
    for index in range(detector.in_flight + 2):
        pixels = detector.allocate((size, *frames[0].shape))
        for place in range(size):
            pixels[place] = frames[(index * size + place) % len(frames)]
        buffers.append(pixels)
    started: deque[Callable[[], list[Detections]]] = deque()

    def batch() -> int:
        buffers.rotate(-1)
        started.append(detector.submit_batch(FrameBatch(buffers[0], *frames[0].shape[:2])))
        return len(started.popleft()()) if len(started) > detector.in_flight else 0

    found = rate(batch, device, seconds)
    while started:
        started.popleft()()
    return found


class MadeUpBoxes(torch.nn.Module):
    """A network that computes, and then returns `count` faces in each frame, near each other in groups."""

    def __init__(self, network: torch.nn.Module, count: int) -> None:
        super().__init__()
        self._network, self._count = network, count

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Replace the scores of the network's outputs."""
        moves, logits, points = self._network(pixels)
        anchors = logits.shape[1]
        groups = max(1, self._count // 5)
        index = torch.arange(self._count, device=logits.device)
        place = (index % groups) * (anchors // groups) + index // groups
        made = torch.full_like(logits, 0)
        made[..., 0] = 5
        made[:, place.clamp(max=anchors - 1), 1] = 10
        return moves * 0, made, points * 0


class ArtificialFaces:
    """A detector on a device that does its work and then returns `count` faces side by side."""

    def __init__(self, detector: ReducingDetector, count: int) -> None:
        self.card, self.batch_size, self.in_flight = detector.card, detector.batch_size, detector.in_flight
        self._detector, self._count = detector, count
        self.allocate, self.reduce = detector.allocate, detector.reduce

    def detect(self, frames: Sequence[Image]) -> list[Detections]:
        """Detect, and replace the result."""
        self._detector.detect(frames)
        return [self._faces(*frame.shape[:2]) for frame in frames]

    def submit_batch(self, batch: FrameBatch) -> Callable[[], list[Detections]]:
        """Start to detect, and replace the result."""
        results = self._detector.submit_batch(batch)
        return lambda: [self._faces(batch.height, batch.width) for _ in results()]

    def _faces(self, height: int, width: int) -> Detections:
        side = height / 6
        left = np.linspace(0, width - side, self._count, dtype=np.float32)
        boxes = np.stack([left, np.full_like(left, side), left + side, np.full_like(left, 2 * side)], axis=1)
        keypoints = boxes[:, None, :2] + LANDMARKS * np.float32(side)
        return Detections(boxes, np.full(self._count, 0.95, np.float32), keypoints)


def gpu_uuid(device: str) -> str:
    """Return the UUID of a GPU as NVML knows it; empty for the CPU.

    CUDA's number of a GPU is not NVML's: CUDA counts only those in CUDA_VISIBLE_DEVICES, in its own order.
    """
    return "" if device == "cpu" else f"GPU-{torch.cuda.get_device_properties(device).uuid}"


def whole(
    film: Path,
    out: Path,
    options: Sequence[str],
    *,
    decoders: int,
    faces: int,
    device: str,
) -> tuple[float, float | None, dict[str, float]]:
    """Run `extract.py` on a film as one shard.

    Args:
        decoders: threads of the decoder and of conversion.
        faces: artificial faces per frame.
        device: as for extract.py; its utilisation is measured.

    Returns:
        Frames a second without start-up, the GPU's utilisation in percent, the busy seconds of each step.
    """
    from facerec import extract, models

    load = models.load_detector

    def artificial(*args: Any, **settings: Any) -> ArtificialFaces:
        loaded = load(*args, **settings)
        assert isinstance(loaded, ReducingDetector)
        return ArtificialFaces(loaded, faces)

    with (
        mock.patch.dict(os.environ, OMP_NUM_THREADS=str(decoders)),
        mock.patch.object(models, "load_detector", artificial),
        Utilisation(gpu_uuid(device)) as used,
        redirect_stdout(sys.stderr),  # standard output is for the results
    ):
        extract.main(["--out", str(out), "--fresh", *options, str(film)])
    (marker,) = out.glob("*-data/*/done_*.json")
    report = json.loads(marker.read_text())["report"]
    return report["frames"] / report["seconds"], used.percent, report["stage_seconds"]
