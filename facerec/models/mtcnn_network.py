"""The three networks of MTCNN, with the parameters of facenet-pytorch's files.

They are defined here because importing that library (and torchvision with it) takes longer than importing
torch.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


class Network(torch.nn.Module):
    """One of the cascade's networks; its parameters are named as in facenet-pytorch's files.

    Args:
        convolutions: (inputs, outputs, kernel size) of each; a PReLU follows each.
        pools: kernel size of the max pooling (stride 2, rounding up) after each; 0 for none.
        dense: (inputs, outputs) of the fully connected layer; None for none.
        heads: name and number of outputs of each head.
    """

    def __init__(
        self,
        convolutions: Sequence[tuple[int, int, int]],
        pools: Sequence[int],
        dense: tuple[int, int] | None,
        heads: dict[str, int],
    ) -> None:
        super().__init__()
        self._pools, self._heads = tuple(pools), tuple(heads)
        layer = 0
        for layer, (inputs, outputs, size) in enumerate(convolutions, start=1):
            self.add_module(f"conv{layer}", torch.nn.Conv2d(inputs, outputs, size))
            self.add_module(f"prelu{layer}", torch.nn.PReLU(outputs))
        self._dense = f"dense{layer + 1}" if dense else ""
        if dense:
            self.add_module(self._dense, torch.nn.Linear(*dense))
            self.add_module(f"prelu{layer + 1}", torch.nn.PReLU(dense[1]))
        for name, size in heads.items():
            head = torch.nn.Linear(dense[1], size) if dense else torch.nn.Conv2d(outputs, size, 1)
            self.add_module(name, head)

    def forward(self, x: Tensor) -> list[Tensor]:
        layers = self._modules
        for layer, pool in enumerate(self._pools, start=1):
            x = layers[f"prelu{layer}"](layers[f"conv{layer}"](x))  # type: ignore[misc]
            if pool == 2:
                x = _halve(x)
            elif pool:
                x = F.max_pool2d(x, pool, 2, ceil_mode=True)
        if self._dense:  # the weights expect the order width, height, channel
            x = layers[self._dense](x.permute(0, 3, 2, 1).flatten(1))  # type: ignore[misc]
            x = layers[f"prelu{len(self._pools) + 1}"](x)  # type: ignore[misc]
        return [layers[name](x) for name in self._heads]  # type: ignore[misc]


def _halve(x: Tensor) -> Tensor:
    """Max-pool by 2, rounding up; on a CPU twice as fast as torch, which is slow for few channels."""
    height, width = x.shape[-2:]
    if height % 2 or width % 2:
        x = F.pad(x, (0, width % 2, 0, height % 2), value=-torch.inf)
    rows = torch.maximum(x[..., 0::2, :], x[..., 1::2, :])
    return torch.maximum(rows[..., 0::2], rows[..., 1::2])


def networks() -> tuple[Network, Network, Network]:
    """Build P-Net, R-Net and O-Net; heads: face or not, box correction, and O-Net's keypoints."""
    return (
        Network([(3, 10, 3), (10, 16, 3), (16, 32, 3)], [2, 0, 0], None, {"conv4_1": 2, "conv4_2": 4}),
        Network(
            [(3, 28, 3), (28, 48, 3), (48, 64, 2)], [3, 3, 0], (576, 128), {"dense5_1": 2, "dense5_2": 4}
        ),
        Network(
            [(3, 32, 3), (32, 64, 3), (64, 64, 3), (64, 128, 2)],
            [3, 3, 2, 0],
            (1152, 256),
            {"dense6_1": 2, "dense6_2": 4, "dense6_3": 10},
        ),
    )
