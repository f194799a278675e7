"""Fused and Winograd convolutions compute what torch's own modules compute, for every geometry."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torchvision.models.resnet import Bottleneck, resnet50

from facerec.models import fused
from facerec.models.fused import (
    MIN_CHANNELS,
    FusedBottleneck,
    FusedConv,
    PackedLinear,
    WinogradConv,
    fuse_convolutions,
    use_winograd_convolutions,
    winograd_applies,
)
from facerec.models.loading import fold_batch_norms

GEOMETRY = "Tensor? B, int[] padding, int[] stride, int[] dilation, int groups"
SCHEMAS = {
    "_convolution_pointwise.default": f"(Tensor X, Tensor W, {GEOMETRY}, str attr, Scalar?[] scalars, "
    "str? algorithm) -> Tensor Y",
    "_convolution_pointwise_.binary": f"(Tensor(a!) other, Tensor X, Tensor W, {GEOMETRY}, str binary_attr, "
    "Scalar? alpha, str? unary_attr, Scalar?[] unary_scalars, str? unary_algorithm) -> Tensor(a!) Y",
    "_reorder_convolution_weight.default": "(Tensor self, int[2] padding=0, int[2] stride=1, "
    "int[2] dilation=1, int groups=1, int[]? input_size=None) -> Tensor Y",
    "_is_mkldnn_bf16_supported.default": "() -> bool _0",
    "_linear_pointwise.default": "(Tensor X, Tensor W, Tensor? B, str attr, Scalar?[] scalars, "
    "str? algorithm) -> Tensor Y",
    "_reorder_linear_weight.default": "(Tensor self, int? batch_size=None) -> Tensor Y",
}


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch was built without oneDNN")
def test_torch_still_has_the_private_operators():
    remedy = (
        f"torch {torch.__version__} changed private operators that facerec/models/fused.py calls. Without "
        "them results stay right but the detector and the embedder get slower. Look up the new names and "
        "arguments in torch/_inductor/mkldnn_ir.py, then adapt fused.py and this test, or pin torch to the "
        "last version that has them. Changed: "
    )
    missing = fused.missing_operators()
    assert not missing, remedy + ", ".join(missing)
    for name, arguments in SCHEMAS.items():
        packet, overload = name.split(".")
        schema = str(getattr(getattr(torch.ops.mkldnn, packet), overload)._schema)
        assert schema.partition("(")[2] == arguments.partition("(")[2], remedy + name
    assert {name.partition(".")[0] for name in SCHEMAS} == set(fused.REQUIRED_OPERATORS)
    network = nn.Sequential(nn.Conv2d(8, 8, 1))
    fuse_convolutions(network)
    assert type(network[0]) is FusedConv, remedy + "nothing was fused"


def assert_close(actual: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=1e-5)


def random_images(*shape: int) -> torch.Tensor:
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
def test_fused_convolutions_equal_torchs(count, channels, outputs, size, kernel, stride, bias, relu):
    plain = nn.Conv2d(channels, outputs, kernel, stride, padding=[k // 2 for k in kernel], bias=bias)
    images = random_images(count, channels, *size)
    with torch.inference_mode():
        expected = plain(images)
        fast = FusedConv(plain, relu)
        assert_close(fast(images), expected.relu() if relu else expected)
        shortcut = torch.randn_like(expected)
        assert_close(fast.add_to(shortcut.clone(), images), (expected + shortcut).relu())


def test_other_image_sizes_in_between_change_no_bit():
    fast, images = FusedConv(nn.Conv2d(64, 256, 1), relu=True), random_images(1, 64, 23, 40)
    with torch.inference_mode():
        first = fast(images)
        fast(random_images(1, 64, 11, 9))
        assert torch.equal(fast(images), first)


def test_only_one_order_of_the_weights_is_kept():
    """The portraits of a database all differ in size: one order each took 45 MiB of RetinaFace's memory."""
    plain = nn.Conv2d(256, 256, 1)
    fast = FusedConv(plain)
    with torch.inference_mode():
        for side in range(5, 25):
            fast(random_images(1, 256, side, side))
    kept = [value for value in vars(fast).values() if isinstance(value, tuple)]
    assert [weights.numel() for _, weights in kept] == [plain.weight.numel()]


@pytest.mark.parametrize(
    ("activation", "function"),
    [
        ("none", nn.Identity()),
        ("swish", nn.SiLU()),
        ("gelu none", nn.GELU()),
        ("gelu tanh", nn.GELU(approximate="tanh")),
    ],
)
@pytest.mark.parametrize("bias", [True, False])
def test_packed_linear_layers_equal_torchs(activation, function, bias):
    plain = nn.Linear(96, 40, bias=bias)
    fast = PackedLinear(plain.weight, plain.bias, activation)
    with torch.inference_mode():
        for shape in ((1,), (5,), (1, 1), (3, 1), (2, 7)):
            rows = torch.randn(*shape, 96)
            assert_close(fast(rows), function(plain(rows)))


@pytest.mark.parametrize("inputs", [64, 768, 3072])  # one row of 3072 alone was added up in another order
def test_a_row_of_a_packed_linear_layer_does_not_depend_on_the_others(inputs):
    plain = nn.Linear(inputs, 256)
    fast, rows = PackedLinear(plain.weight, plain.bias), torch.randn(9, inputs)
    with torch.inference_mode():
        alone = torch.cat([fast(row[None]) for row in rows])
        for count in (2, 3, 4, 9):
            assert torch.equal(fast(rows[:count]), alone[:count])


def test_identities_left_by_folding_do_not_prevent_fusion():
    network = nn.Sequential(nn.Sequential(nn.Identity(), nn.Conv2d(3, 4, 1), nn.ReLU()))
    images = random_images(1, 3, 6, 6)
    with torch.inference_mode():
        expected = network(images)
        fuse_convolutions(network)
        assert isinstance(network[0], FusedConv)
        assert_close(network(images), expected)


@pytest.mark.parametrize("channels", [64, 256], ids=["convolved shortcut", "identity shortcut"])
def test_a_fused_bottleneck_equals_torchvisions(channels):
    downsample = (
        None
        if channels == 256
        else nn.Sequential(nn.Conv2d(channels, 256, 1, bias=False), nn.BatchNorm2d(256))
    )
    block = Bottleneck(channels, 64, downsample=downsample).eval()
    for module in block.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
    images = random_images(1, channels, 13, 21)
    with torch.inference_mode():
        expected = block(images)
        fold_batch_norms(block)
        assert_close(FusedBottleneck(block)(images.clone()), expected)


def folded_resnet() -> nn.Module:
    torch.manual_seed(3)
    network = resnet50(weights=None).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.3, 0.6)
    fold_batch_norms(network)
    return network


def test_a_fused_network_computes_the_same_and_keeps_other_layers():
    network, images = folded_resnet(), random_images(2, 3, 64, 96)
    network.extra = nn.Sequential(nn.Conv2d(4, 4, 1, padding_mode="reflect"), nn.PReLU())
    with torch.inference_mode():
        expected = network(images)
        fuse_convolutions(network)
        torch.testing.assert_close(network(images), expected, atol=1e-4, rtol=1e-4)
    types = [type(module) for module in network.modules()]
    assert types.count(FusedBottleneck) == 16 and types.count(FusedConv) >= 32
    assert type(network.extra[0]) is nn.Conv2d


class CpuWithoutBfloat16:
    _convolution_pointwise = _convolution_pointwise_ = _reorder_convolution_weight = None
    _linear_pointwise = _reorder_linear_weight = None

    def _is_mkldnn_bf16_supported(self) -> bool:
        return False


@pytest.mark.parametrize(
    ("operators", "precision", "warned"),
    [
        (object(), torch.float32, True),
        (CpuWithoutBfloat16(), torch.bfloat16, False),
        (CpuWithoutBfloat16(), torch.float16, False),
    ],
)
def test_without_the_operators_the_network_stays_unfused(monkeypatch, caplog, operators, precision, warned):
    monkeypatch.setattr(fused, "_operators", lambda: operators)
    network = folded_resnet().to(precision)
    types = [type(module) for module in network.modules()]
    fuse_convolutions(network)
    assert [type(module) for module in network.modules()] == types
    assert ("run without fused operators" in caplog.text) == warned


def convolution_3x3(channels: int, outputs: int, **options) -> nn.Conv2d:
    torch.manual_seed(channels + outputs)
    return nn.Conv2d(channels, outputs, 3, **({"padding": 1} | options)).eval()


@given(
    count=st.integers(1, 3),
    channels=st.integers(1, 9),
    outputs=st.integers(1, 9),
    height=st.integers(1, 22),
    width=st.integers(1, 22),
    bias=st.booleans(),
    band=st.sampled_from([1, 7, 256]),
)
@settings(max_examples=60, deadline=None)
def test_winograd_equals_torch_for_every_size(count, channels, outputs, height, width, bias, band):
    plain = convolution_3x3(channels, outputs, bias=bias)
    images = random_images(count, channels, height, width)
    with pytest.MonkeyPatch.context() as patch, torch.inference_mode():
        patch.setattr(fused, "BAND_TILES", band)
        actual = WinogradConv(plain)(images)
        expected = plain.double()(images.double())
    assert actual.shape == expected.shape and actual.dtype == torch.float32
    torch.testing.assert_close(actual.double(), expected, atol=1e-4, rtol=0)


def test_winograds_rounding_error_stays_small_with_hundreds_of_channels():
    plain = convolution_3x3(256, 256)
    nn.init.normal_(plain.weight, std=(256 * 9) ** -0.5)
    images = torch.randn(1, 256, 45, 80)
    with torch.inference_mode():
        error = WinogradConv(plain)(images).double() - plain.double()(images.double())
    assert error.abs().max() < 1e-4


def test_winograd_gives_the_same_bits_each_time():
    fast, images = WinogradConv(convolution_3x3(128, 64)), torch.randn(1, 128, 33, 57)
    with torch.inference_mode():
        first = fast(images)
        held = torch.empty(12345)  # so that the second call gets other memory
        assert torch.equal(first, fast(images.clone()))
    del held


@pytest.mark.parametrize(
    "options",
    [
        {"stride": 2},
        {"padding": 0},
        {"dilation": 2, "padding": 2},
        {"groups": 2},
        {"padding_mode": "reflect"},
    ],
)
def test_winograd_applies_to_plain_wide_3x3_convolutions_only(options):
    assert winograd_applies(convolution_3x3(MIN_CHANNELS, 8))
    assert not winograd_applies(convolution_3x3(MIN_CHANNELS, 8, **options))
    assert not winograd_applies(convolution_3x3(MIN_CHANNELS - 1, 8))
    assert not winograd_applies(nn.Conv2d(MIN_CHANNELS, 8, 5, padding=1))


def test_winograd_replaces_nested_convolutions_and_the_network_computes_the_same():
    network = nn.Sequential(convolution_3x3(3, 128), nn.Sequential(nn.ReLU(), convolution_3x3(128, 5)))
    images = torch.randn(2, 3, 19, 30)
    with torch.inference_mode():
        expected = network(images)
        use_winograd_convolutions(network)
        leaves = [type(module) for module in network.modules() if not list(module.children())]
        assert leaves == [nn.Conv2d, nn.ReLU, WinogradConv]
        torch.testing.assert_close(network(images), expected, atol=1e-5, rtol=0)
