"""FaceNet (Schroff et al., 2015): facenet-pytorch's InceptionResnetV1, trained on VGGFace2; 512 numbers.

Crops are that library's: the detector's box with a margin of 14 pixels of 160 (the one with which the
library measures 99.65 % on LFW), resized to 160 x 160 without turning or keeping its aspect, and
normalised to (value - 127.5) / 128.

A batch always has the same number of crops, its last filled up with black ones: the network's last bits
depend on it, and a shard's last batch is not the film's.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from facerec.geometry import Image
from facerec.models.base import pad_batch, split_into_batches
from facerec.models.device import Placement, parallel_map
from facerec.models.fused import fuse_convolutions
from facerec.models.loading import fold_batch_norms, load_state
from facerec.models.weights import WeightFiles

SIZE, MARGIN = 160, 14


class FaceNet:
    """An `Embedder`.

    Args:
        found: the network's weights.
        placement: device, precision and crops a batch (16 on a GPU; one on a CPU, in each thread).

    Raises:
        ModelError: the file is something else.
    """

    dimension = 512
    same_person = 1.05  # the FaceNet paper's squared distance of 1.1 (its figure 1)

    def __init__(self, found: WeightFiles, placement: Placement) -> None:
        from facenet_pytorch import InceptionResnetV1

        self.card = found.card
        self._device, self._type = torch.device(placement.device), getattr(torch, placement.precision)
        self._on_cpu = self._device.type == "cpu"
        self._at_once = placement.batch_size or (1 if self._on_cpu else 16)
        with torch.device("meta"):
            self._network = InceptionResnetV1(pretrained=None)
        load_state(found.paths[0], self._network, ignored=("logits.",))
        fold_batch_norms(self._network)
        self._network.to(self._device, self._type).to(memory_format=torch.channels_last)
        if self._on_cpu:
            fuse_convolutions(self._network)

    def crop(self, frame: Image, box: NDArray[np.float32], keypoints: NDArray[np.float32]) -> Image:
        """Cut the `box` with its margin out of `frame`, (160, 160, 3) RGB; `keypoints` are not used."""
        height, width = frame.shape[:2]
        margin = (box[2:] - box[:2]) * (MARGIN / (SIZE - MARGIN) / 2)
        x1, y1 = np.clip(box[:2] - margin, 0, [width - 1, height - 1]).astype(int)
        x2, y2 = np.maximum(np.clip(box[2:] + margin, 0, [width, height]).astype(int), [x1 + 1, y1 + 1])
        crop: Image = cv2.resize(frame[y1:y2, x1:x2], (SIZE, SIZE), interpolation=cv2.INTER_AREA)
        return crop

    def embed(self, crops: Sequence[Image]) -> NDArray[np.float32]:
        """(n, 512) float32 unit vectors."""
        batches = split_into_batches(crops, self._at_once)
        found = parallel_map(self._embed, batches) if self._on_cpu else map(self._embed, batches)
        return np.concatenate([np.empty((0, self.dimension), np.float32), *found])

    @torch.inference_mode()
    def _embed(self, crops: Sequence[Image]) -> NDArray[np.float32]:
        given = torch.from_numpy(pad_batch(crops, self._at_once)).to(self._device).permute(0, 3, 1, 2)
        pixels = ((given.float() - 127.5) / 128).to(self._type)
        found = self._network(pixels.contiguous(memory_format=torch.channels_last))
        vectors: NDArray[np.float32] = F.normalize(found[: len(crops)].float()).cpu().numpy()
        return vectors
