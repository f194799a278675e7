"""RetinaFace (Deng et al., "RetinaFace: single-shot multi-level face localisation in the wild", 2020).

Network and weights are retinaface-pytorch's, with a ResNet-50; the rest is reimplemented: frames go to the
device as bytes and are resized and normalised there in batches; boxes are decoded and suppressed there and
come back in one transfer for each batch. A test compares the results with the library's `predict_jsons`.

All batches have the same shape, padded with black frames, and suppression treats each frame alone, so the
bits of a frame's result do not depend on its batch.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import chain

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import nms

from facerec.errors import ModelError
from facerec.geometry import Image
from facerec.models.base import Detections, check_finite, make_detections, split_into_batches
from facerec.models.device import Placement, oom_as_model_error, parallel_map
from facerec.models.fused import fuse_convolutions, use_winograd_convolutions
from facerec.models.loading import fold_batch_norms, load_state
from facerec.models.weights import WeightFiles
from facerec.support.limits import cpu_threads

STEPS = (8, 16, 32)  # pixels between the anchors of the three levels
ANCHORS = ((16, 32), (64, 128), (256, 512))  # sides of the anchors, in pixels
VARIANCES = (0.1, 0.2)  # scale of the outputs for centres and sizes, as in training
NMS_IOU = 0.4  # as in retinaface-pytorch
MAX_CANDIDATES = 4096  # boxes of a frame that enter non-maximum suppression, best first
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)  # of ImageNet's pixel values, RGB


class RetinaFace:
    """A `Detector` on GPU or CPU.

    Frames are downscaled, never upscaled, so that a face of `min_face_size` has the size of the smallest
    anchor, 16 pixels; the time falls with the inverse square of `min_face_size`.

    Args:
        found: the network's weights.
        placement: device, precision and frames in a batch (default: 16 on a GPU, one in each CPU thread).
        min_face_size: size of the faces to search for, in pixels.
        min_box_size: pixels; smaller boxes are dropped.
        face_threshold: minimum score, 0..1.

    Raises:
        ModelError: the file is not this network's weights.
    """

    def __init__(
        self,
        found: WeightFiles,
        placement: Placement,
        *,
        min_face_size: float,
        min_box_size: float,
        face_threshold: float,
    ) -> None:
        self.card = found.card
        self.min_face_size, self.face_threshold = min_face_size, face_threshold
        self._min_box_size = min_box_size
        self._device, self._type = torch.device(placement.device), getattr(torch, placement.precision)
        self._precision = placement.precision
        on_cpu = self._device.type == "cpu"
        self._network_batch = placement.batch_size or (1 if on_cpu else 16)
        self.batch_size = self._network_batch * (cpu_threads() if on_cpu else 1)
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

    def detect(self, frames: Sequence[Image]) -> list[Detections]:
        """Find the faces in each of `frames`."""
        batches = split_into_batches(frames, self._network_batch)
        if self._device.type == "cpu":
            return list(chain.from_iterable(parallel_map(self._detect, batches)))
        height, width = frames[0].shape[:2] if frames else (0, 0)
        with oom_as_model_error(f"{self._network_batch} frames of {width}x{height} pixels at once"):
            return list(chain.from_iterable(map(self._detect, batches)))

    @torch.inference_mode()
    def _detect(self, frames: Sequence[Image]) -> list[Detections]:
        height, width = frames[0].shape[:2]
        boxes, scores, points = self._decode(self._network_input(frames), len(frames))
        maximum = min(MAX_CANDIDATES, scores.shape[1])
        order = scores.topk(maximum, dim=1)
        counts = (order.values > self.face_threshold).sum(1).tolist()
        kept = []
        for index in range(len(frames)):
            best = order.indices[index, : counts[index]]
            best = best[nms(boxes[index, best], scores[index, best], NMS_IOU)]
            kept.append(
                torch.cat([boxes[index, best], scores[index, best, None], points[index, best]], dim=1)
            )
        rows = torch.cat(kept).cpu().numpy()
        check_finite(self.card, self._precision, boxes=rows)  # the exponential of a size may overflow
        scale = np.array([width, height] * 7, np.float32)
        ends = np.cumsum([len(part) for part in kept])[:-1]
        return [
            make_detections(
                part[:, :4] * scale[:4],
                part[:, 4],
                (part[:, 5:] * scale[4:]).reshape(-1, 5, 2),
                (height, width),
                self._min_box_size,
                saturated=count == maximum,
            )
            for part, count in zip(np.split(rows, ends), counts[: len(frames)], strict=True)
        ]

    def _network_input(self, frames: Sequence[Image]) -> Tensor:
        """Return the frames, downscaled, normalised and padded to a whole batch (b, 3, h, w)."""
        height, width = frames[0].shape[:2]
        batch = torch.empty(
            (self._network_batch, height, width, 3), dtype=torch.uint8, pin_memory=self._device.type == "cuda"
        )
        for index, frame in enumerate(frames):
            batch.numpy()[index] = frame
        batch[len(frames) :] = 0
        pixels = batch.to(self._device, non_blocking=True).permute(0, 3, 1, 2).float()
        scale = min(1.0, ANCHORS[0][0] / self.min_face_size)
        if scale < 1:
            size = (max(1, round(height * scale)), max(1, round(width * scale)))
            pixels = F.interpolate(pixels, size=size, mode="bilinear", antialias=True)
        pixels = (pixels - self._mean) / self._std
        return pixels.to(self._type).contiguous(memory_format=torch.channels_last)

    def _decode(self, pixels: Tensor, frames: int) -> tuple[Tensor, Tensor, Tensor]:
        """Run the network; return boxes (b, p, 4), scores (b, p) and keypoints (b, p, 10) of the p anchors.

        Coordinates are fractions of the frame's width and height.

        Args:
            frames: how many of the b images are frames; the others fill the batch.
        """
        moves, logits, points = (head.float() for head in self._network(pixels))
        raw = {"scores": logits[:frames], "boxes": moves[:frames], "keypoints": points[:frames]}
        check_finite(self.card, self._precision, **raw)
        priors = self._anchors(pixels.shape[2], pixels.shape[3])
        centres, sizes = priors[:, :2], priors[:, 2:]
        middle = centres + moves[..., :2] * VARIANCES[0] * sizes
        half = sizes * torch.exp(moves[..., 2:] * VARIANCES[1]) / 2
        boxes = torch.cat([middle - half, middle + half], dim=-1)
        keypoints = centres.repeat(1, 5) + points * VARIANCES[0] * sizes.repeat(1, 5)
        return boxes, torch.sigmoid(logits[..., 1] - logits[..., 0]), keypoints

    def _anchors(self, height: int, width: int) -> Tensor:
        """Return `anchors(height, width)` on the device, cached by size."""
        if (height, width) not in self._priors:
            self._priors[height, width] = anchors(height, width).to(self._device)
        return self._priors[height, width]


def anchors(height: int, width: int) -> Tensor:
    """Compute the anchors of an input of `height` x `width` pixels.

    Returns:
        (p, 4) centre x, y, width and height, as fractions of the input's width and height.
    """
    levels = []
    for step, sides in zip(STEPS, ANCHORS, strict=True):
        rows, columns = -(-height // step), -(-width // step)
        y, x, side = torch.meshgrid(
            (torch.arange(rows) + 0.5) * step,
            (torch.arange(columns) + 0.5) * step,
            torch.tensor(sides, dtype=torch.float32),
            indexing="ij",
        )
        levels.append(
            torch.stack([x / width, y / height, side / width, side / height], dim=-1).reshape(-1, 4)
        )
    return torch.cat(levels)


def blank_network() -> torch.nn.Module:
    """Build the network without weights, on the meta device.

    Raises:
        ModelError: retinaface-pytorch is not installed, as after a plain `pip install` of facerec.
    """
    with warnings.catch_warnings(), torch.device("meta"):
        warnings.simplefilter("ignore")  # torchvision's, about a renamed argument
        try:
            from retinaface.network import RetinaFace as Network
        except ModuleNotFoundError as error:
            raise ModelError(
                f"--detector retinaface needs a package that is not installed ({error}); run `make env`, or "
                "`pip install --no-deps retinaface-pytorch` (its declared dependencies are outdated)"
            ) from error
        network: torch.nn.Module = Network(
            name="Resnet50",
            pretrained=False,
            return_layers={"layer2": 1, "layer3": 2, "layer4": 3},
            in_channels=256,
            out_channels=256,
        )
    return network
