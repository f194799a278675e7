"""Features of single frames: torchvision's ResNets (He et al., 2016) before their classification layer.

`resnet152` is ResNet-152 trained on ImageNet-1k, one frame a second; `place` is ResNet-50 trained on
Places365 (Zhou et al., 2017), three key frames a clip.

On a CPU the features of a frame are the same to the last bit in every batch (a test compares them).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL.Image import Resampling
from torch import nn
from torchvision.models import resnet50, resnet152

from facerec.features.base import FEATURES, Arrays, Clip, Options, Window, windows_at_rate
from facerec.features.pictures import MEAN, STD, crop_centre, extract_pictures, resize, resize_shorter_side
from facerec.features.window_network import WindowNetwork
from facerec.geometry import Image
from facerec.models.device import Placement
from facerec.models.fused import fuse_convolutions, use_winograd_convolutions
from facerec.models.loading import fold_batch_norms, load_state
from facerec.models.weights import WeightFiles

GPU_BATCH, CPU_BATCH = 64, 4  # frames


class _ResNet:
    """The part that `ResNet152` and `Place` share; see `WindowExtractor`.

    Args:
        files: the network's weights.
        placement: device, precision and frames in a batch (default: 64 on a GPU, 4 in each CPU thread).
        options: see the classes.

    Raises:
        ModelError: the file is not this network's weights.
    """

    name: ClassVar[str]
    sampling: ClassVar[Mapping[str, Any]]
    arrays = (FEATURES,)

    def __init__(self, files: Sequence[WeightFiles], placement: Placement, options: Options) -> None:
        self.cards = tuple(file.card for file in files)
        self.settings: dict[str, Any] = {**self.sampling, "precision": placement.precision}
        with torch.device("meta"):
            network = self.network()
            network.fc = nn.Identity()
        load_state(files[0].paths[0], network, ignored=("fc.",), checkpoint=True)
        fold_batch_norms(network)
        network.to(memory_format=torch.channels_last)
        self._windows = WindowNetwork(network, self.cards[0], placement, GPU_BATCH, MEAN, STD, CPU_BATCH)
        self.batch_size = self._windows.batch_size
        if placement.device == "cpu":
            use_winograd_convolutions(self._windows.network)
            fuse_convolutions(self._windows.network)

    @staticmethod
    def network() -> Any:
        """Build the network without weights."""
        raise NotImplementedError

    def prepare(self, picture: Image) -> NDArray[np.uint8]:
        """Resize and crop a frame."""
        raise NotImplementedError

    def forward(self, windows: Sequence[Sequence[NDArray[np.uint8]]]) -> list[Arrays]:
        """Compute the features of windows of one prepared frame each: rows (2048,) float32."""
        return self._windows.apply(windows, self.arrays, self._compute)

    def _compute(self, batch: torch.Tensor) -> list[torch.Tensor]:
        images = batch[:, :, 0].contiguous(memory_format=torch.channels_last)
        return [self._windows.network(images)]

    def extract(self, *pictures: Image) -> NDArray[np.float32]:
        """Compute the features of pictures (height, width, 3) RGB uint8: (n, 2048) float32."""
        return extract_pictures(self, pictures)


class ResNet152(_ResNet):
    """One frame a second, its shorter side resized to 224 pixels, not cropped.

    With the option `crop`, its shorter side is resized to 256 pixels and the central 224x224 are taken, as
    torchvision does with these weights. A clip of less than half a second gives its middle frame.
    """

    name = "resnet152"
    sampling: ClassVar[Mapping[str, Any]] = {"rate": 1, "shorter_side": 224}
    cropping: ClassVar[Mapping[str, Any]] = {"shorter_side": 256, "crop": 224}

    def __init__(self, files: Sequence[WeightFiles], placement: Placement, options: Options) -> None:
        super().__init__(files, placement, options)
        self._crop = bool(options.crop)
        if self._crop:
            self.settings |= self.cropping

    @staticmethod
    def network() -> Any:
        """Build the network without weights."""
        return resnet152(weights=None)

    def windows(self, clip: Clip) -> Iterator[Window]:
        """Yield one frame for each second."""
        return windows_at_rate(clip, self.sampling["rate"])

    def prepare(self, picture: Image) -> NDArray[np.uint8]:
        """Resize a frame, and crop it if that was chosen."""
        if self._crop:
            resized = resize_shorter_side(picture, self.cropping["shorter_side"], Resampling.BILINEAR)
            return crop_centre(resized, self.cropping["crop"])
        return resize_shorter_side(picture, self.sampling["shorter_side"], Resampling.BICUBIC)


class Place(_ResNet):
    """The first, the middle and the last frame of a clip, resized to 256x256, cropped to 224x224.

    As the authors' code does, the resizing ignores the aspect ratio.
    """

    name = "place"
    sampling: ClassVar[Mapping[str, Any]] = {"frames": "first, middle, last", "size": 256, "crop": 224}

    @staticmethod
    def network() -> Any:
        """Build the network without weights."""
        return resnet50(weights=None)

    def windows(self, clip: Clip) -> Iterator[Window]:
        """Yield the key frames; fewer than three if the clip has fewer frames."""
        for frame in sorted({0, (len(clip) - 1) // 2, len(clip) - 1}):
            yield Window((frame,), float(clip.times[frame]))

    def prepare(self, picture: Image) -> NDArray[np.uint8]:
        """Resize and crop a frame."""
        size = self.sampling["size"]
        return crop_centre(resize(picture, size, size, Resampling.BILINEAR), self.sampling["crop"])
