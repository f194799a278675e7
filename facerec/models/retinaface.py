"""RetinaFace (Deng et al., "RetinaFace: single-shot multi-level face localisation in the wild", 2020).

Network and weights are retinaface-pytorch's, with a ResNet-50; the rest is reimplemented: frames go to the
device as bytes and are resized and normalised there in batches; boxes are decoded and suppressed there. On a
GPU the results of a batch come back in one transfer, for which only the host waits (`batch_queue`). A test
compares the results with the library's `predict_jsons`.

All batches have the same shape, padded with black frames, and suppression treats each frame alone, so the
bits of a frame's result do not depend on its batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import nms

from facerec.geometry import MINIATURE_BYTES, Image
from facerec.models.base import (
    Detections,
    FaceSearch,
    check_finite,
    make_detections,
    not_finite,
    pad_batch,
    split_into_batches,
)
from facerec.models.batch_queue import DEPTH, BatchQueue, Gpu, Ticket
from facerec.models.batch_suppression import suppress_batch
from facerec.models.device import Placement, parallel_map
from facerec.models.fused import fuse_convolutions, use_winograd_convolutions
from facerec.models.loading import fold_batch_norms, load_state
from facerec.models.memory import BatchSize, host_memory_as_model_error, map_batches, oom_as_model_error
from facerec.models.planes import Planes
from facerec.models.retinaface_network import ANCHORS, anchors, blank_network
from facerec.models.weights import WeightFiles
from facerec.pixels import FrameBatch, Reduction, YuvTables
from facerec.support.limits import cpu_threads

VARIANCES = (0.1, 0.2)  # scale of the outputs for centres and sizes, as in training
NMS_IOU = 0.4  # as in retinaface-pytorch
MAX_CANDIDATES = 4096  # boxes of a frame that enter non-maximum suppression, best first
GPU_CANDIDATES = 1024  # of them, those that a GPU suppresses itself; a frame with more takes the host's time
OUTPUTS = ("scores", "boxes", "keypoints")  # of the network, each checked for numbers that are not finite
ROW = 15  # numbers of a candidate: box, score, keypoints
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)  # of ImageNet's pixel values, RGB
_Found = tuple[list[Detections], NDArray[np.uint8] | None]  # of a batch: detections, miniatures if asked for


@dataclass(frozen=True)
class _Form:
    """Size of frames in pixels, how their planes become RGB (None if they are RGB), and miniatures."""

    height: int
    width: int
    yuv: YuvTables | None = None
    reduction: Reduction | None = None

    @property
    def item(self) -> str:
        """What a frame is, for messages."""
        return f"a frame of {self.width}x{self.height} pixels"


class RetinaFace:
    """A `Detector` on GPU or CPU; on a GPU a `ReducingDetector`.

    Frames are downscaled, never upscaled, so that a face of the minimum size has the size of the smallest
    anchor, 16 pixels; the time falls with the inverse square of the minimum size.

    Args:
        found: the network's weights.
        placement: device, precision and frames in a batch (default: 16 on a GPU, one in each CPU thread).
        search: which faces to find.

    Raises:
        ModelError: the file is not this network's weights.
    """

    def __init__(self, found: WeightFiles, placement: Placement, search: FaceSearch) -> None:
        self.card, self.search = found.card, search
        self._device, self._type = torch.device(placement.device), getattr(torch, placement.precision)
        self._precision = placement.precision
        on_cpu = self._device.type == "cpu"
        self._network_batch = BatchSize(placement.batch_size or (1 if on_cpu else 16))
        self.batch_size = self._network_batch.value * (cpu_threads() if on_cpu else 1)
        self.in_flight = 0 if on_cpu else DEPTH - 1
        self._network = blank_network()
        load_state(found.paths[0], self._network)
        fold_batch_norms(self._network)
        self._network.to(self._device, self._type).to(memory_format=torch.channels_last)
        if on_cpu:
            use_winograd_convolutions(self._network)
            fuse_convolutions(self._network)
        self._priors: dict[tuple[int, int], Tensor] = {}
        self._mean = torch.tensor(MEAN, device=self._device)[:, None, None]
        self._std = torch.tensor(STD, device=self._device)[:, None, None]
        self._planes = Planes(self._device)
        self._queue: BatchQueue[_Form, _Found] | None = None
        if not on_cpu:
            gpu = Gpu(self._device)
            self._queue = BatchQueue(gpu, self._compute_on_gpu, self._finish, placement.cuda_graphs)

    def detect(self, frames: Sequence[Image]) -> list[Detections]:
        """Find the faces in each of `frames`."""
        if not len(frames):
            return []
        form = _Form(*frames[0].shape[:2])
        if self._queue is None:
            return self._detect_in_threads(frames, form)
        return _take(self._start(self._queue, frames, form), None)

    def allocate(self, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """Return a new array in page-locked memory, on a CPU in ordinary memory; see `BatchDetector`."""
        if self._queue is None:
            return np.empty(shape, np.uint8)
        with host_memory_as_model_error(shape[0]):
            memory: NDArray[np.uint8] = self._queue.gpu.host_memory(shape, torch.uint8).numpy()
        return memory

    def submit_batch(self, batch: FrameBatch) -> Callable[[], list[Detections]]:
        """Start to find the faces in a batch, on a CPU when the results are taken; see `BatchDetector`."""
        form = _Form(batch.height, batch.width, batch.yuv, batch.reduction)
        if self._queue is None:
            if batch.reduction is not None:
                self.reduce(batch)
            pixels = self._rgb(torch.from_numpy(batch.pixels), form).permute(0, 2, 3, 1)
            return partial(self._detect_in_threads, pixels.numpy(), form)
        return partial(_take, self._start(self._queue, batch.pixels, form), batch.miniatures)

    @torch.inference_mode()
    def reduce(self, batch: FrameBatch) -> None:
        """Fill the miniatures of a batch, and wait for them; see `ReducingDetector`."""
        assert batch.reduction is not None and batch.miniatures is not None
        with oom_as_model_error("the miniatures of " + _Form(batch.height, batch.width).item):
            planes = torch.from_numpy(batch.pixels).to(self._device)
            batch.miniatures[:] = self._planes.to_miniatures(planes, batch.reduction).cpu().numpy()

    def _start(
        self,
        queue: BatchQueue[_Form, _Found],
        frames: Sequence[Image] | NDArray[np.uint8],
        form: _Form,
    ) -> list[Ticket[_Found]]:
        """Start the batches of `frames` on the GPU, smaller ones where its memory is too small."""
        size = self._network_batch

        def start(part: Sequence[Image]) -> Ticket[_Found]:
            return queue.submit(part, size.value, form)

        return map_batches(start, cast("Sequence[Image]", frames), size, form.item, queue.clear)

    def _detect_in_threads(
        self, frames: Sequence[Image] | NDArray[np.uint8], form: _Form
    ) -> list[Detections]:
        size = self._network_batch.value
        batches = split_into_batches(cast("Sequence[Image]", frames), size)
        with oom_as_model_error(f"{self.batch_size} times {form.item} at once", size):
            return list(chain.from_iterable(parallel_map(self._detect_on_cpu, batches)))

    @torch.inference_mode()
    def _detect_on_cpu(self, frames: Sequence[Image]) -> list[Detections]:
        batch = torch.from_numpy(pad_batch(frames, self._network_batch.value))
        rows, counts, finite = self._candidates(self._normalised(batch.permute(0, 3, 1, 2)))
        self._check_flags(finite[: len(frames)].numpy())
        kept = [suppress_one(part[:count]) for part, count in zip(rows, counts.tolist(), strict=True)]
        return [
            self._detections(frame.shape[:2], part.numpy(), count, rows.shape[1])
            for frame, part, count in zip(frames, kept, counts.tolist(), strict=False)
        ]

    def _compute_on_gpu(self, batch: Tensor, form: _Form) -> tuple[Tensor, Tensor]:
        """Find the candidates of a batch and suppress the best, without waiting for the GPU.

        Returns:
            (b, (1 + n) * (ROW + 1)): a row with the number of candidates, whether suppression is exact and,
            for each of `OUTPUTS`, whether it is finite; then the best n candidates and whether each is kept.
            If miniatures are asked for, `MINIATURE_BYTES` more.
            (b, m, ROW): all candidates, for the frames that the host must suppress.
        """
        # first, so that its memory is free for the network
        small = [] if form.reduction is None else [self._planes.to_miniatures(batch, form.reduction)]
        rows, counts, finite = self._candidates(self._normalised(self._rgb(batch, form)))
        best = rows[:, :GPU_CANDIDATES]
        valid = torch.arange(best.shape[1], device=best.device) < counts[:, None]
        kept, exact = suppress_batch(best[..., :4], valid, NMS_IOU)
        facts = torch.cat([counts[:, None].float(), exact[:, None].float(), finite.float()], dim=1)
        facts = F.pad(facts, (0, ROW + 1 - facts.shape[1]))
        best = torch.cat([best, kept[..., None].float()], dim=2)
        return torch.cat([facts, best.flatten(1), *small], dim=1), rows

    def _finish(
        self, count: int, form: _Form, results: NDArray[np.float32], candidates: Tensor | None
    ) -> _Found:
        """Make the results of `count` frames from what `_compute_on_gpu` returned."""
        assert candidates is not None
        small = None
        if form.reduction is not None:
            small = results[:count, -MINIATURE_BYTES:].astype(np.uint8)
            results = results[:, :-MINIATURE_BYTES]
        results = results.reshape(len(results), -1, ROW + 1)
        facts = results[:count, 0]
        self._check_flags(facts[:, 2 : 2 + len(OUTPUTS)] > 0)
        found = []
        for index in range(count):
            rows, places, exact = results[index, 1:], int(facts[index, 0]), facts[index, 1] > 0
            if exact and places <= len(rows):
                rows = rows[rows[:, ROW] > 0, :ROW]
            else:  # a frame full of candidates, or with a long chain of overlapping ones
                rows = suppress_one(candidates[index, :places].cpu()).numpy()
            found.append(self._detections((form.height, form.width), rows, places, candidates.shape[1]))
        return found, small

    def _check_flags(self, finite: NDArray[np.bool_]) -> None:
        """Raise `NonFiniteError` if one of the flags (b, OUTPUTS) is false."""
        for name, values in zip(OUTPUTS, finite.T, strict=True):
            if not values.all():
                raise not_finite(self.card, self._precision, name)

    def _detections(
        self, size: tuple[int, ...], rows: NDArray[np.float32], count: int, maximum: int
    ) -> Detections:
        """Make the detections of a frame from the candidates (n, ROW) that are left of `count`."""
        check_finite(self.card, self._precision, boxes=rows)  # the exponential of a size may overflow
        height, width = size
        scale = np.array([width, height] * 7, np.float32)
        boxes, keypoints = rows[:, :4] * scale[:4], rows[:, 5:] * scale[4:]
        return make_detections(
            boxes,
            rows[:, 4],
            keypoints.reshape(-1, 5, 2),
            (height, width),
            self.search.min_box_size,
            saturated=count == maximum,
        )

    def _rgb(self, batch: Tensor, form: _Form) -> Tensor:
        """Return a batch (b, …) of RGB or of planes as (b, 3, h, w) uint8."""
        if form.yuv is None:
            return batch.permute(0, 3, 1, 2)
        return self._planes.to_rgb(batch, form.yuv, form.height, form.width)

    def _normalised(self, images: Tensor) -> Tensor:
        """Return (b, 3, h, w) uint8 as the network's input: downscaled, normalised, channels last."""
        pixels = images.float()
        scale = min(1.0, ANCHORS[0][0] / self.search.min_face_size)
        if scale < 1:
            size = [max(1, round(side * scale)) for side in images.shape[2:]]
            pixels = F.interpolate(pixels, size=size, mode="bilinear", antialias=True)
        pixels.sub_(self._mean).div_(self._std)
        return pixels.to(self._type).contiguous(memory_format=torch.channels_last)

    def _candidates(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Run the network; return the best `MAX_CANDIDATES` anchors of each frame, the others being no faces.

        Returns:
            rows: (b, n, ROW) box, score and keypoints, best first. Coordinates are fractions of the frame's
                width and height.
            counts: (b,) how many of them have at least the minimum score.
            finite: (b, OUTPUTS) bool, whether the network's outputs for the frame are finite.
        """
        moves, logits, points = (head.float() for head in self._network(pixels))
        finite = [values.isfinite().flatten(1).all(dim=1) for values in (logits, moves, points)]
        priors = self._anchors(pixels.shape[2], pixels.shape[3])
        centres, sizes = priors[:, :2], priors[:, 2:]
        middle = centres + moves[..., :2] * VARIANCES[0] * sizes
        half = sizes * torch.exp(moves[..., 2:] * VARIANCES[1]) / 2
        boxes = torch.cat([middle - half, middle + half], dim=-1)
        keypoints = centres.repeat(1, 5) + points * VARIANCES[0] * sizes.repeat(1, 5)
        scores = torch.sigmoid(logits[..., 1] - logits[..., 0])
        values, order = scores.topk(min(MAX_CANDIDATES, scores.shape[1]), dim=1)
        best = [part.gather(1, order[..., None].expand(-1, -1, part.shape[2])) for part in (boxes, keypoints)]
        rows = torch.cat([best[0], values[..., None], best[1]], dim=2)
        return rows, (values > self.search.face_threshold).sum(dim=1), torch.stack(finite, dim=1)

    def _anchors(self, height: int, width: int) -> Tensor:
        """Return `anchors(height, width)` on the device, cached by size."""
        if (height, width) not in self._priors:
            self._priors[height, width] = anchors(height, width).to(self._device)
        return self._priors[height, width]


def _take(tickets: Sequence[Ticket[_Found]], miniatures: NDArray[np.uint8] | None) -> list[Detections]:
    """Wait for batches; return their detections, and put their miniatures into `miniatures`."""
    found = [ticket.result() for ticket in tickets]
    if miniatures is not None:
        np.concatenate([small for _, small in found if small is not None], out=miniatures)
    return [detections for batch, _ in found for detections in batch]


def suppress_one(rows: Tensor) -> Tensor:
    """Suppress candidates (n, ROW) of one frame on the host; return the others, best first."""
    return rows[nms(rows[:, :4], rows[:, 4], NMS_IOU)]
