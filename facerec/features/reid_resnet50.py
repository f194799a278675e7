"""A ResNet-50 (He et al., 2016) trained for the re-identification of persons, in a PyTorch checkpoint.

Its pictures have 256x128 pixels, RGB, with ImageNet's mean and standard deviation. The layers after the
pooling come from the file:

- `feat`, a linear layer, as in movienet-tools' `resnet50_csm.pth`: its output of 256 numbers is the embedding
  (the normalisation `feat_bn` behind it is not used there either);
- none: the embedding has 2048 numbers. A classification layer (`fc`, `classifier`) is ignored.

On a CPU each picture is computed alone, in a thread of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torchvision.models import resnet50

from facerec.features.pictures import MEAN, STD
from facerec.geometry import Image
from facerec.models.base import check_finite, pad_batch, split_into_batches
from facerec.models.device import Placement, parallel_map
from facerec.models.fused import fuse_convolutions, use_winograd_convolutions
from facerec.models.loading import assign_state, fold_batch_norms, read_state
from facerec.models.memory import BatchSize, map_batches, oom_as_model_error, release_gpu_memory
from facerec.models.weights import WeightFiles

HEIGHT, WIDTH = 256, 128  # of the input
GPU_BATCH = 64  # pictures
_IGNORED = ("fc.", "classifier.", "feat_bn.")


class ReidResNet50:
    """A `PersonEmbedder` on GPU or CPU.

    Args:
        found: the checkpoint.
        placement: device, precision and pictures in a batch (default: 64 on a GPU, one in each CPU thread).

    Raises:
        ModelError: the file is not such a network.
    """

    max_distance: float | None = None

    def __init__(self, found: WeightFiles, placement: Placement) -> None:
        self.card = found.card
        self._device, self._type = torch.device(placement.device), getattr(torch, placement.precision)
        self._precision = placement.precision
        self._on_cpu = self._device.type == "cpu"
        self._network_batch = BatchSize(placement.batch_size or (1 if self._on_cpu else GPU_BATCH))
        path = found.paths[0]
        state = read_state(path, "a ResNet-50 for persons", checkpoint=True)
        state = {key: value for key, value in state.items() if not key.startswith(_IGNORED)}
        head = state.get("feat.weight")
        self.dimension = 2048 if head is None else len(head)
        with torch.device("meta"):
            self._network = resnet50(weights=None)
            self._network.fc = nn.Identity() if head is None else nn.Linear(2048, self.dimension)
        assign_state(path, {_our_name(key): value for key, value in state.items()}, self._network)
        fold_batch_norms(self._network)
        self._network.to(self._device, self._type).to(memory_format=torch.channels_last)
        if self._on_cpu:
            use_winograd_convolutions(self._network)
            fuse_convolutions(self._network)

    def embed(self, pictures: Sequence[Image]) -> NDArray[np.float32]:
        """Embed pictures of persons; return (n, dimension) float32, not normalised."""
        size, item = self._network_batch, "a picture of a person"
        if self._on_cpu:
            with oom_as_model_error(item, size.value):
                found = parallel_map(self._embed, split_into_batches(pictures, size.value))
        else:
            found = map_batches(self._embed, pictures, size, item, release_gpu_memory)
        return np.concatenate([np.empty((0, self.dimension), np.float32), *found])

    @torch.inference_mode()
    def _embed(self, pictures: Sequence[Image]) -> NDArray[np.float32]:
        resized = [
            np.asarray(cv2.resize(picture, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR), np.uint8)
            for picture in pictures
        ]
        pixels = torch.from_numpy(pad_batch(resized, self._network_batch.value)).to(self._device).float()
        mean, std = (torch.tensor(values, device=self._device) for values in (MEAN, STD))
        images = ((pixels - mean) / std).to(self._type).permute(0, 3, 1, 2)
        output = self._network(images.contiguous(memory_format=torch.channels_last))[: len(pictures)].float()
        check_finite(self.card, self._precision, embeddings=output)
        vectors: NDArray[np.float32] = output.cpu().numpy()
        return vectors


def _our_name(key: str) -> str:
    return "fc." + key.removeprefix("feat.") if key.startswith("feat.") else key
