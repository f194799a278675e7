"""Convolutions on a CPU that add their bias, a block's shortcut and ReLU in the one pass over memory.

torch's own way makes a pass of each, sends a 1x1 convolution of one frame to a matrix product that first
fills the output with the bias, and lays the weights out anew at every call. The operators here are those
that `torch.compile` puts into its programs for CPUs (torch/_inductor/mkldnn_ir.py); called directly they
need no C++ compiler where the program runs. For inference only.
"""

from __future__ import annotations

from collections.abc import Callable
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
