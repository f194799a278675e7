"""FaceNet (Schroff et al., 2015): facenet-pytorch's InceptionResnetV1, trained on VGGFace2.

An embedding has 512 components. Crops follow that library: the detector's box with a margin of 14 of 160
pixels (with which the library reports 99.65 % on LFW), resized to 160x160 without rotation and without
keeping the aspect ratio, normalised to (value - 127.5) / 128.

All batches have the same size, padded with black crops: the last bits of the network's output depend on
it, and the last batch of a shard is not that of the film. On a GPU the embedder has streams of its own
(`batch_queue`), so that it does not wait for the detector's batches.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from facerec.geometry import Image
from facerec.models.base import VERIFICATION_SHARE, not_finite, pad_batch, split_into_batches
from facerec.models.batch_queue import BatchQueue, Gpu, Ticket
from facerec.models.device import Placement, parallel_map
from facerec.models.fused import fuse_convolutions
from facerec.models.loading import fold_batch_norms, load_state
from facerec.models.memory import BatchSize, map_batches, oom_as_model_error
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
        self._network_batch = BatchSize(placement.batch_size or (1 if self._on_cpu else 16), option="")
        with torch.device("meta"):
            self._network = InceptionResnetV1(pretrained=None)
        load_state(found.paths[0], self._network, ignored=("logits.",))
        fold_batch_norms(self._network)
        self._network.to(self._device, self._type).to(memory_format=torch.channels_last)
        if self._on_cpu:
            fuse_convolutions(self._network)
        self._queue: BatchQueue[None, NDArray[np.float32]] | None = None
        if not self._on_cpu:
            self._queue = BatchQueue(Gpu(self._device), self._compute, self._finish, placement.cuda_graphs)

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
        size, item = self._network_batch, f"a crop of {SIZE}x{SIZE} pixels"
        if self._queue is None:
            batches = split_into_batches(crops, size.value)
            with oom_as_model_error(f"{len(crops)} times {item}", size.value):
                found = parallel_map(self._embed_on_cpu, batches)
        else:
            queue = self._queue

            def start(batch: Sequence[Image]) -> Ticket[NDArray[np.float32]]:
                return queue.submit(batch, size.value, None)

            found = [ticket.result() for ticket in map_batches(start, crops, size, item, queue.clear)]
        return np.concatenate([np.empty((0, self.dimension), np.float32), *found])

    @torch.inference_mode()
    def _embed_on_cpu(self, crops: Sequence[Image]) -> NDArray[np.float32]:
        output, _ = self._compute(torch.from_numpy(pad_batch(crops, self._network_batch.value)))
        return self._finish(len(crops), None, output.numpy(), None)

    def _compute(self, batch: Tensor, _: None = None) -> tuple[Tensor, None]:
        """Embed crops (b, 160, 160, 3) uint8; return (b, 513): unit vectors, and whether each is finite."""
        pixels = ((batch.permute(0, 3, 1, 2).float() - 127.5) / 128).to(self._type)
        output = self._network(pixels.contiguous(memory_format=torch.channels_last)).float()
        finite = output.isfinite().all(dim=1, keepdim=True).float()
        return torch.cat([F.normalize(output), finite], dim=1), None

    def _finish(
        self, count: int, _form: None, results: NDArray[np.float32], _kept: Tensor | None
    ) -> NDArray[np.float32]:
        """Return the vectors of `count` crops, which `_compute` computed."""
        if not (results[:count, -1] > 0).all():
            raise not_finite(self.card, self._precision, "embeddings")
        return np.ascontiguousarray(results[:count, :-1])
