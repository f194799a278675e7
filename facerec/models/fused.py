"""Faster layers for inference on CPUs: fused convolutions, Winograd's algorithm, linear layers.

Fused convolutions add bias, shortcut and ReLU in one pass over memory. torch's own modules make a pass for
each, run a 1x1 convolution of one frame as a matrix product that first fills the output with the bias,
and reorder the weights at every call. The operators used are those that `torch.compile` emits for CPUs
(torch/_inductor/mkldnn_ir.py); calling them directly needs no C++ compiler. They are private to torch:
only this module names them, `REQUIRED_OPERATORS` lists them, and a test fails when torch changes one.
Linear layers, too, get weights in an order that suits the CPU, which takes a fifth less time.

Winograd convolutions are those of Lavin and Gray, "Fast algorithms for convolutional neural networks"
(2016), F(4x4, 3x3): a tile of 4x4 outputs takes 36 multiplications for each pair of channels instead of
144, plus transforms of the 6x6 inputs and of the outputs, which all channels share. torch's CPU library
(oneDNN) only convolves directly, at the full rate of the cores' multipliers; with 128 input channels or
more Winograd halves the time (bench/README.md). The rounding error grows from 4e-6 to 2e-5 of a unit output.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

log = logging.getLogger(__name__)

REQUIRED_OPERATORS = (  # in torch.ops.mkldnn
    "_convolution_pointwise",
    "_convolution_pointwise_",
    "_reorder_convolution_weight",
    "_is_mkldnn_bf16_supported",
    "_linear_pointwise",
    "_reorder_linear_weight",
)

OUTPUT_TILE, INPUT_TILE = 4, 6  # Winograd: pixels per side of a tile of outputs, and of the inputs it needs
MIN_CHANNELS = 128  # input channels below which the transforms cost as much as the multiplications save
BAND_TILES = 256  # tiles computed at once, so that intermediate values fit a core's share of the cache
# G and A^T of the paper for the interpolation points 0, 1, -1, 2, -2; `_transform_inputs` computes B^T.
FILTER_TRANSFORM = ((6, 0, 0), (-4, -4, -4), (-4, 4, -4), (1, 2, 4), (1, -2, 4), (0, 0, 24))  # times 24
OUTPUT_TRANSFORM = ((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1))


def fuse_convolutions(network: nn.Module) -> None:
    """Fuse convolutions in place; no-op where torch or the CPU lacks the operators.

    Args:
        network: on the CPU, with batch normalisations folded (`loading.fold_batch_norms`). A block
            with only a convolution and a ReLU as children must apply them in this order.
    """
    if not can_fuse(next(network.parameters()).dtype):
        return
    from torchvision.models.resnet import Bottleneck

    _replace(network, FusedBottleneck, lambda module: isinstance(module, Bottleneck))
    _replace(network, lambda block: FusedConv(_layers(block)[0], relu=True), _is_convolution_and_relu)
    _replace(network, FusedConv, lambda module: _is_zero_padded(module) and module.kernel_size == (1, 1))


def use_winograd_convolutions(network: nn.Module) -> None:
    """Replace the convolutions of `network` to which Winograd's algorithm applies, in place."""
    _replace(network, WinogradConv, winograd_applies)


class FusedConv(nn.Module):
    """A zero-padded convolution, followed by ReLU if `relu`."""

    def __init__(self, convolution: nn.Conv2d, relu: bool = False) -> None:
        super().__init__()
        self._weight, self._bias = convolution.weight, convolution.bias
        self._geometry = [convolution.padding, convolution.stride, convolution.dilation, convolution.groups]
        self._activation = "relu" if relu else "none"
        self._reordered: tuple[tuple[int, ...], Tensor] | None = None  # (image size, weights ordered for it)

    def forward(self, images: Tensor) -> Tensor:
        """Convolve (n, channels, h, w) to (n, outputs, h', w')."""
        result: Tensor = _operators()._convolution_pointwise(
            images, self._weights(images), self._bias, *self._geometry, self._activation, [], ""
        )
        return result

    def add_to(self, shortcut: Tensor, images: Tensor) -> Tensor:
        """Return ReLU(shortcut + convolution of `images`), computed in the memory of `shortcut`.

        Args:
            shortcut: (n, outputs, h', w'); overwritten.
        """
        result: Tensor = _operators()._convolution_pointwise_.binary(
            shortcut, images, self._weights(images), self._bias, *self._geometry, "add", 1.0, "relu", [], ""
        )
        return result

    def _weights(self, images: Tensor) -> Tensor:
        """Return the weights in the order that suits the size of `images`.

        Keeps the order for the last size only: the frames of a film share one, while each portrait of a
        database has its own, which would add up in memory.
        """
        size, cached = tuple(images.shape[1:]), self._reordered  # read once: other threads replace it
        if cached is None or cached[0] != size:
            weights = _operators()._reorder_convolution_weight(self._weight, *self._geometry, [1, *size])
            cached = self._reordered = (size, weights)
        return cached[1]


class PackedLinear(nn.Module):
    """A linear layer with its weights in the order that suits the CPU; see `can_fuse`.

    A row gets the same bits however many there are: one alone, which oneDNN adds up in another order, is
    computed twice.

    Args:
        weight: (outputs, inputs); not kept.
        bias: (outputs,), or None.
        activation: applied to the outputs: "none", "swish" (x * sigmoid(x)), "gelu" or "gelu tanh".
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, activation: str = "none") -> None:
        super().__init__()
        self._weight = _operators()._reorder_linear_weight(weight.detach())
        self._bias = None if bias is None else bias.detach().clone()
        self._activation, _, form = activation.partition(" ")
        self._form = (form or "none") if self._activation == "gelu" else ""

    def forward(self, rows: Tensor) -> Tensor:
        """Map (n, …, inputs) to (n, …, outputs)."""
        if rows.shape[:-1].numel() == 1:
            return self.forward(torch.cat((rows, rows)))[:1]
        result: Tensor = _operators()._linear_pointwise(
            rows, self._weight, self._bias, self._activation, [], self._form
        )
        return result


class FusedBottleneck(nn.Module):
    """torchvision's `Bottleneck` with batch normalisations folded into its convolutions.

    Overwrites its input if the block has an identity shortcut.
    """

    def __init__(self, block: Any) -> None:
        super().__init__()
        self._reduce, self._expand = FusedConv(block.conv1, relu=True), FusedConv(block.conv3)
        self._middle = nn.Sequential(block.conv2, nn.ReLU(inplace=True))
        self._shortcut = nn.Identity() if block.downsample is None else FusedConv(block.downsample[0])

    def forward(self, images: Tensor) -> Tensor:
        """Map (n, channels, h, w) to (n, outputs, h', w')."""
        return self._expand.add_to(self._shortcut(images), self._middle(self._reduce(images)))


class WinogradConv(nn.Module):
    """A 3x3 convolution by Winograd's algorithm; see `winograd_applies`."""

    _weight: Tensor  # (36, channels, outputs)
    _output_transform: Tensor
    _bias: Tensor

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        filters = torch.tensor(FILTER_TRANSFORM, dtype=torch.float64) / 24
        weight = convolution.weight.detach().double()
        transformed = torch.einsum("ia,ocab,jb->jico", filters, weight, filters)
        outputs, channels = weight.shape[:2]
        self.register_buffer("_weight", transformed.reshape(INPUT_TILE**2, channels, outputs).float())
        self.register_buffer("_output_transform", torch.tensor(OUTPUT_TRANSFORM, dtype=torch.float32))
        bias = torch.zeros(outputs) if convolution.bias is None else convolution.bias.detach()
        self.register_buffer("_bias", bias)

    def forward(self, images: Tensor) -> Tensor:
        """Convolve (n, channels, h, w) float32 to (n, outputs, h, w), both channels last in memory."""
        count, channels, height, width = images.shape
        rows, columns = -(-height // OUTPUT_TILE), -(-width // OUTPUT_TILE)
        border = INPUT_TILE - OUTPUT_TILE
        padded = images.new_zeros(
            (count, rows * OUTPUT_TILE + border, columns * OUTPUT_TILE + border, channels)
        )
        padded[:, 1 : height + 1, 1 : width + 1] = images.permute(0, 2, 3, 1)
        outputs = self._weight.shape[2]
        result = images.new_empty((count, rows, OUTPUT_TILE, columns, OUTPUT_TILE, outputs))
        band = max(1, BAND_TILES // (count * columns))
        for top in range(0, rows, band):
            part = padded[:, top * OUTPUT_TILE : (top + band) * OUTPUT_TILE + border]
            torch.add(self._convolve_band(part), self._bias, out=result[:, top : top + band])
        result = result.view(count, rows * OUTPUT_TILE, columns * OUTPUT_TILE, outputs)
        return result[:, :height, :width].permute(0, 3, 1, 2)

    def _convolve_band(self, padded: Tensor) -> Tensor:
        """Convolve r rows of c tiles: (n, 4 r + 2, 4 c + 2, channels) to (n, r, 4, c, 4, outputs)."""
        count, height, width, channels = padded.shape
        rows, columns = height // OUTPUT_TILE, width // OUTPUT_TILE
        vertical = padded.new_empty((INPUT_TILE, count, rows, width, channels))
        _transform_inputs(
            [padded[:, i : i + OUTPUT_TILE * rows - 3 : OUTPUT_TILE] for i in range(INPUT_TILE)], vertical
        )
        both = padded.new_empty((INPUT_TILE, INPUT_TILE, count, rows, columns, channels))
        _transform_inputs(
            [vertical[..., j : j + OUTPUT_TILE * columns - 3 : OUTPUT_TILE, :] for j in range(INPUT_TILE)],
            both,
        )
        products = torch.bmm(both.view(INPUT_TILE**2, -1, channels), self._weight)
        transform = self._output_transform
        horizontal = torch.mm(transform, products.view(INPUT_TILE, -1)).view(OUTPUT_TILE, INPUT_TILE, -1)
        tiles = torch.bmm(transform.expand(OUTPUT_TILE, OUTPUT_TILE, INPUT_TILE), horizontal)
        return tiles.view(OUTPUT_TILE, OUTPUT_TILE, count, rows, columns, -1).permute(2, 3, 1, 4, 0, 5)


def winograd_applies(module: nn.Module) -> bool:
    """Whether `module` is a convolution that `WinogradConv` can replace and accelerate."""
    return (
        isinstance(module, nn.Conv2d)
        and module.weight.dtype == torch.float32  # lower precision would lose too much to rounding
        and module.kernel_size == (3, 3)
        and module.stride == module.padding == module.dilation == (1, 1)
        and module.groups == 1
        and module.padding_mode == "zeros"
        and module.in_channels >= MIN_CHANNELS
    )


def missing_operators() -> list[str]:
    """Return those of `REQUIRED_OPERATORS` that the installed torch lacks."""
    return [name for name in REQUIRED_OPERATORS if not hasattr(_operators(), name)]


def _transform_inputs(inputs: Sequence[Tensor], out: Tensor) -> None:
    """Apply the paper's B^T to six neighbouring values, for all tiles and channels at once."""
    a, b, c, d, e, f = inputs
    torch.sub(e, c, alpha=5, out=out[0]).add_(a, alpha=4)
    even, odd = torch.sub(e, c, alpha=4), torch.sub(d, b, alpha=4)
    torch.add(even, odd, out=out[1])
    torch.sub(even, odd, out=out[2])
    torch.sub(e, c, out=even)
    torch.sub(d, b, out=odd)
    torch.add(even, odd, alpha=2, out=out[3])
    torch.sub(even, odd, alpha=2, out=out[4])
    torch.sub(f, d, alpha=5, out=out[5]).add_(b, alpha=4)


def can_fuse(precision: torch.dtype) -> bool:
    """Return whether torch and the CPU have fused operators for a number format."""
    if missing := missing_operators():
        log.warning(
            "torch %s lacks %s; networks on the CPU run without fused operators, which is slower",
            torch.__version__,
            ", ".join(missing),
        )
        return False
    if precision == torch.bfloat16:
        return bool(_operators()._is_mkldnn_bf16_supported())
    return precision == torch.float32


def _replace(network: nn.Module, build: Callable[[Any], nn.Module], condition: Callable[[Any], bool]) -> None:
    for name, module in list(network.named_modules()):
        if condition(module):
            network.set_submodule(name, build(module))


def _is_convolution_and_relu(block: nn.Module) -> bool:
    layers = _layers(block)
    return (
        len(layers) == 2
        and _is_zero_padded(layers[0])
        and (isinstance(layers[1], nn.ReLU) or getattr(layers[1], "negative_slope", None) == 0)
    )


def _layers(block: nn.Module) -> list[Any]:
    """Return the children of `block` without the identities that folding left."""
    return [layer for layer in block.children() if not isinstance(layer, nn.Identity)]


def _is_zero_padded(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d) and module.padding_mode == "zeros"


def _operators() -> Any:
    return torch.ops.mkldnn
