"""FaceNet (Schroff et al., 2015): facenet-pytorch's InceptionResnetV1, trained on VGGFace2.

An embedding has 512 components. Crops follow that library: the detector's box with a margin of 14 of 160
pixels (with which the library reports 99.65 % on LFW), resized to 160x160 without rotation and without
keeping the aspect ratio, normalised to (value - 127.5) / 128.

All batches have the same size, padded with black crops: the last bits of the network's output depend on
it, and the last batch of a shard is not that of the film.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from facerec.geometry import Image
from facerec.models.base import VERIFICATION_SHARE, check_finite, pad_batch, split_into_batches
from facerec.models.device import Placement, parallel_map
from facerec.models.fused import fuse_convolutions
from facerec.models.loading import fold_batch_norms, load_state
from facerec.models.weights import WeightFiles

SIZE, MARGIN = 160, 14


class FaceNet:
    """An `Embedder` on GPU or CPU.

    Args:
        found: the network's weights.
        placement: device, precision and crops in a batch (default: 16 on a GPU, one in each CPU thread).

    Raises:
        ModelError: the file is not this network's weights.
    """

    dimension = 512
    same_person = 1.05  # the square root of 1.1, the paper's squared distance (its figure 1)
    verification_threshold = VERIFICATION_SHARE * same_person  # not measured with this network

    def __init__(self, found: WeightFiles, placement: Placement) -> None:
        from facenet_pytorch import InceptionResnetV1

        self.card = found.card
        self._device, self._type = torch.device(placement.device), getattr(torch, placement.precision)
        self._precision = placement.precision
        self._on_cpu = self._device.type == "cpu"
        self._batch_size = placement.batch_size or (1 if self._on_cpu else 16)
        with torch.device("meta"):
            self._network = InceptionResnetV1(pretrained=None)
        load_state(found.paths[0], self._network, ignored=("logits.",))
        fold_batch_norms(self._network)
        self._network.to(self._device, self._type).to(memory_format=torch.channels_last)
        if self._on_cpu:
            fuse_convolutions(self._network)

    def crop(self, frame: Image, box: NDArray[np.float32], keypoints: NDArray[np.float32]) -> Image:
        """Cut out the `box` with its margin, (160, 160, 3) RGB; `keypoints` are not used."""
        height, width = frame.shape[:2]
        margin = (box[2:] - box[:2]) * (MARGIN / (SIZE - MARGIN) / 2)
        x1, y1 = np.clip(box[:2] - margin, 0, [width - 1, height - 1]).astype(int)
        x2, y2 = np.maximum(np.clip(box[2:] + margin, 0, [width, height]).astype(int), [x1 + 1, y1 + 1])
        crop: Image = cv2.resize(frame[y1:y2, x1:x2], (SIZE, SIZE), interpolation=cv2.INTER_AREA)
        return crop

    def embed(self, crops: Sequence[Image]) -> NDArray[np.float32]:
        """Embed crops; return (n, 512) float32 unit vectors."""
        batches = split_into_batches(crops, self._batch_size)
        found = parallel_map(self._embed, batches) if self._on_cpu else map(self._embed, batches)
        return np.concatenate([np.empty((0, self.dimension), np.float32), *found])

    @torch.inference_mode()
    def _embed(self, crops: Sequence[Image]) -> NDArray[np.float32]:
        batch = torch.from_numpy(pad_batch(crops, self._batch_size)).to(self._device).permute(0, 3, 1, 2)
        pixels = ((batch.float() - 127.5) / 128).to(self._type)
        output = self._network(pixels.contiguous(memory_format=torch.channels_last))[: len(crops)].float()
        check_finite(self.card, self._precision, embeddings=output)
        vectors: NDArray[np.float32] = F.normalize(output).cpu().numpy()
        return vectors
