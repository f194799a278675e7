"""Convolutions fused with what follows them are those of torch, also where torch has no such operators."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torchvision.models.resnet import Bottleneck, resnet50

from facerec.models import fused
from facerec.models.fused import FusedBottleneck, FusedConv, fuse_convolutions
from facerec.models.loading import fold_batch_norms


def same(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def images(*shape: int) -> torch.Tensor:
    return torch.randn(*shape).to(memory_format=torch.channels_last)


@given(
    count=st.integers(1, 5),
    channels=st.integers(1, 40),
    outputs=st.integers(1, 40),
    size=st.tuples(st.integers(7, 19), st.integers(7, 19)),
    kernel=st.sampled_from([(1, 1), (3, 3), (1, 7), (7, 1)]),
    stride=st.integers(1, 2),
    bias=st.booleans(),
    relu=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_every_geometry_gives_torchs_own(count, channels, outputs, size, kernel, stride, bias, relu):
    plain = nn.Conv2d(channels, outputs, kernel, stride, padding=[k // 2 for k in kernel], bias=bias)
    given_ = images(count, channels, *size)
    with torch.inference_mode():
        expected = plain(given_)
        quick = FusedConv(plain, relu)
        same(quick(given_), expected.relu() if relu else expected)
        shortcut = torch.randn_like(expected)
        same(quick.add_to(shortcut.clone(), given_), (expected + shortcut).relu())


def test_a_picture_has_the_same_bits_after_other_sizes():
    quick, one = FusedConv(nn.Conv2d(64, 256, 1), relu=True), images(1, 64, 23, 40)
    with torch.inference_mode():
        first = quick(one)
        quick(images(1, 64, 11, 9))
        assert torch.equal(quick(one), first)


def test_pictures_of_many_sizes_leave_one_layout_of_the_weights():
    """A database's portraits all differ: a layout each took 45 MiB of RetinaFace's memory."""
    weights = nn.Conv2d(256, 256, 1)
    quick = FusedConv(weights)
    with torch.inference_mode():
        for side in range(5, 25):
            quick(images(1, 256, side, side))
    held = [value for value in vars(quick).values() if isinstance(value, tuple)]
    assert [part.numel() for _, part in held] == [weights.weight.numel()]


def test_a_block_that_begins_with_what_was_folded_away_is_fused_all_the_same():
    made = nn.Sequential(nn.Sequential(nn.Identity(), nn.Conv2d(3, 4, 1), nn.ReLU()))
    given_ = images(1, 3, 6, 6)
    with torch.inference_mode():
        expected = made(given_)
        fuse_convolutions(made)
        assert isinstance(made[0], FusedConv)
        same(made(given_), expected)


@pytest.mark.parametrize("inner", [64, 256], ids=["with a convolved shortcut", "with itself as shortcut"])
def test_a_block_gives_torchvisions_own(inner):
    shortcut = (
        None if inner == 256 else nn.Sequential(nn.Conv2d(inner, 256, 1, bias=False), nn.BatchNorm2d(256))
    )
    block = Bottleneck(inner, 64, downsample=shortcut).eval()
    for module in block.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
    given_ = images(1, inner, 13, 21)
    with torch.inference_mode():
        expected = block(given_)
        fold_batch_norms(block)
        same(FusedBottleneck(block)(given_.clone()), expected)


def network() -> nn.Module:
    torch.manual_seed(3)
    made = resnet50(weights=None).eval()
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.3, 0.6)
    fold_batch_norms(made)
    return made


def test_a_whole_network_computes_the_same_and_keeps_what_does_not_suit():
    made, given_ = network(), images(2, 3, 64, 96)
    made.extra = nn.Sequential(nn.Conv2d(4, 4, 1, padding_mode="reflect"), nn.PReLU())
    with torch.inference_mode():
        expected = made(given_)
        fuse_convolutions(made)
        torch.testing.assert_close(made(given_), expected, atol=1e-4, rtol=1e-4)
    kinds = [type(module) for module in made.modules()]
    assert kinds.count(FusedBottleneck) == 16 and kinds.count(FusedConv) >= 32
    assert type(made.extra[0]) is nn.Conv2d


class CpuWithoutBfloat16:
    _convolution_pointwise_ = None

    def _is_mkldnn_bf16_supported(self) -> bool:
        return False


@pytest.mark.parametrize(
    ("operators", "precision"),
    [
        (object(), torch.float32),
        (CpuWithoutBfloat16(), torch.bfloat16),
        (CpuWithoutBfloat16(), torch.float16),
    ],
)
def test_a_torch_or_cpu_without_the_operators_computes_as_before(monkeypatch, operators, precision):
    monkeypatch.setattr(fused, "_operators", lambda: operators)
    made = network().to(precision)
    kinds = [type(module) for module in made.modules()]
    fuse_convolutions(made)
    assert [type(module) for module in made.modules()] == kinds
