"""3x3 convolutions by Winograd's minimal filtering, for CPUs.

Lavin and Gray, "Fast algorithms for convolutional neural networks" (2016), F(4x4, 3x3): a tile of 4 x 4
outputs costs 36 multiplications a pair of channels, not 144, and transforms of 6 x 6 inputs and outputs
that all channels share. torch's CPU library only has the direct way, which already runs at the rate of
the cores' multipliers; with 128 channels or more this halves the time (bench/README.md). Rounding grows
from 4e-6 to 2e-5 of a unit output.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

TILE, WINDOW = 4, 6  # outputs of a tile, and the inputs they are made of, a side
LEAST_CHANNELS = 128  # going in; with fewer the transforms cost what the multiplications save
BAND = 256  # tiles at once: what is between the steps stays in a core's share of the cache

# The paper's G and A^T, for the interpolation points 0, 1, -1, 2, -2; `_windows` computes B^T.
FILTERS = ((6, 0, 0), (-4, -4, -4), (-4, 4, -4), (1, 2, 4), (1, -2, 4), (0, 0, 24))  # of 24
OUTPUTS = ((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1))


class Winograd(nn.Module):
    """Computes what `convolution` does; see `suits`."""

    _weight: Tensor  # (36, channels, outputs)
    _outputs: Tensor
    _bias: Tensor

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        filters = torch.tensor(FILTERS, dtype=torch.float64) / 24
        weight = convolution.weight.detach().double()
        moved = torch.einsum("ia,ocab,jb->jico", filters, weight, filters)
        out, inner = weight.shape[:2]
        self.register_buffer("_weight", moved.reshape(WINDOW * WINDOW, inner, out).float())
        self.register_buffer("_outputs", torch.tensor(OUTPUTS, dtype=torch.float32))
        bias = torch.zeros(out) if convolution.bias is None else convolution.bias.detach()
        self.register_buffer("_bias", bias)

    def forward(self, images: Tensor) -> Tensor:
        """(n, channels, h, w) float32 to (n, outputs, h, w), both channels last in memory."""
        count, channels, height, width = images.shape
        rows, columns = -(-height // TILE), -(-width // TILE)
        border = WINDOW - TILE
        padded = images.new_zeros((count, rows * TILE + border, columns * TILE + border, channels))
        padded[:, 1 : height + 1, 1 : width + 1] = images.permute(0, 2, 3, 1)
        outputs = self._weight.shape[2]
        found = images.new_empty((count, rows, TILE, columns, TILE, outputs))
        band = max(1, BAND // (count * columns))
        for top in range(0, rows, band):
            part = padded[:, top * TILE : (top + band) * TILE + border]
            torch.add(self._band(part), self._bias, out=found[:, top : top + band])
        found = found.view(count, rows * TILE, columns * TILE, outputs)
        return found[:, :height, :width].permute(0, 3, 1, 2)

    def _band(self, padded: Tensor) -> Tensor:
        """Some rows of tiles: (n, 4 r + 2, 4 c + 2, channels) to (n, r, 4, c, 4, outputs)."""
        count, height, width, channels = padded.shape
        rows, columns = height // TILE, width // TILE
        down = padded.new_empty((WINDOW, count, rows, width, channels))
        _windows([padded[:, i : i + TILE * rows - 3 : TILE] for i in range(WINDOW)], down)
        both = padded.new_empty((WINDOW, WINDOW, count, rows, columns, channels))
        _windows([down[..., j : j + TILE * columns - 3 : TILE, :] for j in range(WINDOW)], both)
        products = torch.bmm(both.view(WINDOW * WINDOW, -1, channels), self._weight)
        across = torch.mm(self._outputs, products.view(WINDOW, -1)).view(TILE, WINDOW, -1)
        tiles = torch.bmm(self._outputs.expand(TILE, TILE, WINDOW), across)
        return tiles.view(TILE, TILE, count, rows, columns, -1).permute(2, 3, 1, 4, 0, 5)


def _windows(inputs: Sequence[Tensor], into: Tensor) -> None:
    """The paper's B^T on six neighbours, all tiles and channels at once, shared sums computed once."""
    a, b, c, d, e, f = inputs
    torch.sub(e, c, alpha=5, out=into[0]).add_(a, alpha=4)
    even, odd = torch.sub(e, c, alpha=4), torch.sub(d, b, alpha=4)
    torch.add(even, odd, out=into[1])
    torch.sub(even, odd, out=into[2])
    torch.sub(e, c, out=even)
    torch.sub(d, b, out=odd)
    torch.add(even, odd, alpha=2, out=into[3])
    torch.sub(even, odd, alpha=2, out=into[4])
    torch.sub(f, d, alpha=5, out=into[5]).add_(b, alpha=4)


def suits(module: nn.Module) -> bool:
    """Whether `module` is a convolution that `Winograd` can do, and does quicker."""
    return (
        isinstance(module, nn.Conv2d)
        and module.weight.dtype == torch.float32  # less would be rounded away
        and module.kernel_size == (3, 3)
        and module.stride == module.padding == module.dilation == (1, 1)
        and module.groups == 1
        and module.padding_mode == "zeros"
        and module.in_channels >= LEAST_CHANNELS
    )


def use_winograd(network: nn.Module) -> None:
    """Let the convolutions of `network` that suit be done so, in place."""
    for name, module in list(network.named_modules()):
        if suits(module):
            network.set_submodule(name, Winograd(module))
