"""3D ResNeXt-101 (Hara et al., 2018), 16 frames, trained on Kinetics-400.

The network is our own definition; no library has it. Its tensors have the names of the authors' checkpoint
`resnext101.pth`, which holds them as they are, or under `state_dict` with the prefix `module.`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import torch
from numpy.typing import NDArray
from PIL.Image import Resampling
from torch import nn

from facerec.features.base import FEATURES, Arrays, Clip, Options, Window, sample_at_rate
from facerec.features.pictures import resize_and_crop
from facerec.features.window_network import WindowNetwork
from facerec.geometry import Image
from facerec.models.device import Placement
from facerec.models.loading import fold_batch_norms, load_state

if TYPE_CHECKING:
    from facerec.models.weights import WeightFiles

RATE, FRAMES, SIZE = 24, 16, 112  # frames a second; frames of a window; pixels
MEAN, STD = (110.6, 103.2, 96.3), (1.0, 1.0, 1.0)  # of pixel values 0..255, RGB
CARDINALITY, EXPANSION = 32, 2
DEPTHS, WIDTHS = (3, 4, 23, 3), (128, 256, 512, 1024)
DIMENSION = WIDTHS[-1] * EXPANSION


class Bottleneck(nn.Module):
    """A residual block: 1x1x1, grouped 3x3x3 and 1x1x1 convolutions.

    Args:
        channels: of the input.
        width: of the grouped convolution; the output has `EXPANSION` times as many channels.
        stride: of the grouped convolution, in time and space.
    """

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm3d(width)
        self.conv2 = nn.Conv3d(width, width, 3, stride, padding=1, groups=CARDINALITY, bias=False)
        self.bn2 = nn.BatchNorm3d(width)
        self.conv3 = nn.Conv3d(width, width * EXPANSION, 1, bias=False)
        self.bn3 = nn.BatchNorm3d(width * EXPANSION)
        self.downsample: nn.Module | None = None
        if stride != 1 or channels != width * EXPANSION:
            self.downsample = nn.Sequential(
                nn.Conv3d(channels, width * EXPANSION, 1, stride, bias=False),
                nn.BatchNorm3d(width * EXPANSION),
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (n, channels, t, h, w) to (n, 2 width, t', h', w')."""
        y: torch.Tensor = self.bn1(self.conv1(x)).relu_()
        y = self.bn2(self.conv2(y)).relu_()
        y = self.bn3(self.conv3(y))
        y += x if self.downsample is None else self.downsample(x)
        return y.relu_()


class ResNeXt3D(nn.Module):
    """The network without its classifier (`fc`); the names of its tensors are those of the checkpoint."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(3, 64, 7, (1, 2, 2), padding=3, bias=False)
        self.bn1 = nn.BatchNorm3d(64)
        self.maxpool = nn.MaxPool3d(3, 2, padding=1)
        channels, layers = 64, []
        for depth, width, stride in zip(DEPTHS, WIDTHS, (1, 2, 2, 2), strict=True):
            blocks = [Bottleneck(channels, width, stride)]
            channels = width * EXPANSION
            blocks += [Bottleneck(channels, width, 1) for _ in range(depth - 1)]
            layers.append(nn.Sequential(*blocks))
        self.layer1, self.layer2, self.layer3, self.layer4 = layers

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map clips (n, 3, 16, 112, 112) to features (n, 2048), the average over time and space."""
        x = self.maxpool(self.bn1(self.conv1(x)).relu_())
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        pooled: torch.Tensor = x.mean((2, 3, 4))
        return pooled


class ResNeXt101:
    """Windows of 16 frames at 24 frames a second, one after the other, resized and cropped to 112x112.

    The last window of a clip repeats the last frame to 16. There are ceil(n / 16) of the round(24 * duration)
    frames n, and one of the middle frame if n is 0.

    Raises:
        ModelError: the file is not this network's weights.
    """

    name = "resnext101_3d"
    arrays = (FEATURES,)

    def __init__(self, files: Sequence[WeightFiles], placement: Placement, options: Options) -> None:
        self.cards = tuple(file.card for file in files)
        self.settings: dict[str, Any] = {
            "rate": RATE,
            "window": FRAMES,
            "shorter_side": SIZE,
            "crop": SIZE,
            "precision": placement.precision,
        }
        with torch.device("meta"):
            network = ResNeXt3D()
        load_state(files[0].paths[0], network, ignored=("fc.",), checkpoint=True)
        fold_batch_norms(network)
        self._network = WindowNetwork(network, self.cards[0], placement, 32, MEAN, STD)
        self.batch_size = self._network.batch_size

    def windows(self, clip: Clip) -> Iterator[Window]:
        """Yield the windows."""
        frames = sample_at_rate(clip, RATE)
        chunk = tuple(islice(frames, FRAMES)) or (len(clip) // 2,)
        while chunk:
            padding = FRAMES - len(chunk)
            chunk += (chunk[-1],) * padding
            yield Window(chunk, float(clip.times[chunk[FRAMES // 2]]), padded=padding > 0)
            chunk = tuple(islice(frames, FRAMES))

    def prepare(self, picture: Image) -> NDArray[Any]:
        """Resize a frame's shorter side to 112 pixels and crop it to the middle."""
        return resize_and_crop(picture, SIZE, Resampling.BICUBIC, gap=2)

    def forward(self, windows: Sequence[Sequence[NDArray[Any]]]) -> list[Arrays]:
        """Compute the features of windows of 16 prepared frames: rows (2048,) float32."""
        return self._network.apply(windows, self.arrays, lambda batch: [self._network.network(batch)])
