"""Convolutions on a CPU that add their bias, a block's shortcut and ReLU in the one pass over memory.

torch's own way makes a pass of each, sends a 1x1 convolution of one frame to a matrix product that first
fills the output with the bias, and lays the weights out anew at every call. The operators here are those
that `torch.compile` puts into its programs for CPUs (torch/_inductor/mkldnn_ir.py); called directly they
need no C++ compiler where the program runs. For inference only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn


class FusedConv(nn.Module):
    """`convolution` (padded with zeros), and then ReLU if `relu`."""

    def __init__(self, convolution: nn.Conv2d, relu: bool = False) -> None:
        super().__init__()
        self._weight, self._bias = convolution.weight, convolution.bias
        self._geometry = [convolution.padding, convolution.stride, convolution.dilation, convolution.groups]
        self._activation = "relu" if relu else "none"
        self._laid_out: tuple[tuple[int, ...], Tensor] | None = (
            None  # the weights as the last size wants them
        )

    def forward(self, images: Tensor) -> Tensor:
        """(n, channels, h, w) to (n, outputs, h', w')."""
        found: Tensor = _operators()._convolution_pointwise(
            images, self._weights(images), self._bias, *self._geometry, self._activation, [], ""
        )
        return found

    def add_to(self, shortcut: Tensor, images: Tensor) -> Tensor:
        """ReLU of `shortcut` (n, outputs, h', w') plus what `images` give, in `shortcut`'s own memory."""
        found: Tensor = _operators()._convolution_pointwise_.binary(
            shortcut, images, self._weights(images), self._bias, *self._geometry, "add", 1.0, "relu", [], ""
        )
        return found

    def _weights(self, images: Tensor) -> Tensor:
        """One layout is kept, that of a film's frames: portraits all differ, each would take more memory."""
        size, kept = tuple(images.shape[1:]), self._laid_out  # other threads may put theirs there meanwhile
        if kept is None or kept[0] != size:
            laid = _operators()._reorder_convolution_weight(self._weight, *self._geometry, [1, *size])
            kept = self._laid_out = (size, laid)
        return kept[1]


class FusedBottleneck(nn.Module):
    """torchvision's `Bottleneck` whose batch normalisations were folded into its convolutions.

    Overwrites what it is given where its shortcut is that itself.
    """

    def __init__(self, block: Any) -> None:
        super().__init__()
        self._narrow, self._wide = FusedConv(block.conv1, relu=True), FusedConv(block.conv3)
        self._middle = nn.Sequential(block.conv2, nn.ReLU(inplace=True))
        self._shortcut = nn.Identity() if block.downsample is None else FusedConv(block.downsample[0])

    def forward(self, images: Tensor) -> Tensor:
        """(n, channels, h, w) to (n, outputs, h', w')."""
        return self._wide.add_to(self._shortcut(images), self._middle(self._narrow(images)))


def fuse_convolutions(network: nn.Module) -> None:
    """Let `network` compute so where that is quicker, in place; not at all where torch or the CPU cannot.

    Its batch normalisations have been folded (`loading.fold_batch_norms`), its weights are on the CPU, and
    where a block has just a convolution and a ReLU it applies them in this order.
    """
    if not _can_fuse(next(network.parameters()).dtype):
        return
    from torchvision.models.resnet import Bottleneck

    _replace(network, FusedBottleneck, lambda module: isinstance(module, Bottleneck))
    _replace(network, lambda block: FusedConv(_parts(block)[0], relu=True), _is_convolution_and_relu)
    _replace(network, FusedConv, lambda module: _is_plain(module) and module.kernel_size == (1, 1))


def _can_fuse(precision: torch.dtype) -> bool:
    if not hasattr(_operators(), "_convolution_pointwise_"):
        return False
    if precision == torch.bfloat16:
        return bool(_operators()._is_mkldnn_bf16_supported())
    return precision == torch.float32


def _replace(network: nn.Module, made: Callable[[Any], nn.Module], if_: Callable[[Any], bool]) -> None:
    for name, module in list(network.named_modules()):
        if if_(module):
            network.set_submodule(name, made(module))


def _is_convolution_and_relu(block: nn.Module) -> bool:
    parts = _parts(block)
    return (
        len(parts) == 2
        and _is_plain(parts[0])
        and (isinstance(parts[1], nn.ReLU) or getattr(parts[1], "negative_slope", None) == 0)
    )


def _parts(block: nn.Module) -> list[Any]:
    return [part for part in block.children() if not isinstance(part, nn.Identity)]


def _is_plain(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d) and module.padding_mode == "zeros"


def _operators() -> Any:
    return torch.ops.mkldnn


TILE, WINDOW = 4, 6  # outputs of a tile, and the inputs they are made of, a side


MIN_CHANNELS = 128  # going in; with fewer the transforms cost what the multiplications save


BAND = 256  # tiles at once: what is between the steps stays in a core's share of the cache


# The paper's G and A^T, for the interpolation points 0, 1, -1, 2, -2; `_windows` computes B^T.
FILTERS = ((6, 0, 0), (-4, -4, -4), (-4, 4, -4), (1, 2, 4), (1, -2, 4), (0, 0, 24))  # of 24


OUTPUTS = ((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1))


class Winograd(nn.Module):
    """Computes what `convolution` does; see `winograd_applies`."""

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


def winograd_applies(module: nn.Module) -> bool:
    """Whether `module` is a convolution that `Winograd` can do, and does quicker."""
    return (
        isinstance(module, nn.Conv2d)
        and module.weight.dtype == torch.float32  # less would be rounded away
        and module.kernel_size == (3, 3)
        and module.stride == module.padding == module.dilation == (1, 1)
        and module.groups == 1
        and module.padding_mode == "zeros"
        and module.in_channels >= MIN_CHANNELS
    )


def use_winograd_convolutions(network: nn.Module) -> None:
    """Let the convolutions of `network` that suit be done so, in place."""
    for name, module in list(network.named_modules()):
        if winograd_applies(module):
            network.set_submodule(name, Winograd(module))
