"""Convolutions by Winograd's filtering must be those of torch, whatever the size of the picture."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from facerec.models import fused as winograd
from facerec.models.fused import MIN_CHANNELS, Winograd, use_winograd_convolutions, winograd_applies


def convolution(inner: int, out: int, **given) -> nn.Conv2d:
    torch.manual_seed(inner + out)
    return nn.Conv2d(inner, out, 3, **({"padding": 1} | given)).eval()


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
def test_every_size_band_and_border_gives_torchs_own(count, channels, outputs, height, width, bias, band):
    exact = convolution(channels, outputs, bias=bias)
    images = torch.randn(count, channels, height, width).to(memory_format=torch.channels_last)
    with pytest.MonkeyPatch.context() as patch, torch.inference_mode():
        patch.setattr(winograd, "BAND", band)
        found = Winograd(exact)(images)
        expected = exact.double()(images.double())
    assert found.shape == expected.shape and found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, atol=1e-4, rtol=0)


def test_hundreds_of_channels_round_in_the_fifth_digit_only():
    exact = convolution(256, 256)
    nn.init.normal_(exact.weight, std=(256 * 9) ** -0.5)
    images = torch.randn(1, 256, 45, 80)
    with torch.inference_mode():
        error = Winograd(exact)(images).double() - exact.double()(images.double())
    assert error.abs().max() < 1e-4


def test_a_frame_has_the_same_bits_each_time():
    quick, images = Winograd(convolution(128, 64)), torch.randn(1, 128, 33, 57)
    with torch.inference_mode():
        first = quick(images)
        held = torch.empty(12345)  # memory lies elsewhere the second time
        assert torch.equal(first, quick(images.clone()))
    del held


@pytest.mark.parametrize(
    "other",
    [
        {"stride": 2},
        {"padding": 0},
        {"dilation": 2, "padding": 2},
        {"groups": 2},
        {"padding_mode": "reflect"},
    ],
)
def test_other_convolutions_stay_as_they_are(other):
    assert winograd_applies(convolution(MIN_CHANNELS, 8))
    assert not winograd_applies(convolution(MIN_CHANNELS, 8, **other))
    assert not winograd_applies(convolution(MIN_CHANNELS - 1, 8))
    assert not winograd_applies(nn.Conv2d(MIN_CHANNELS, 8, 5, padding=1))


def test_a_network_is_changed_in_depth_and_computes_the_same():
    network = nn.Sequential(convolution(3, 128), nn.Sequential(nn.ReLU(), convolution(128, 5)))
    images = torch.randn(2, 3, 19, 30)
    with torch.inference_mode():
        expected = network(images)
        use_winograd_convolutions(network)
        assert [type(m).__name__ for m in network.modules() if not list(m.children())] == [
            "Conv2d",
            "ReLU",
            "Winograd",
        ]
        torch.testing.assert_close(network(images), expected, atol=1e-5, rtol=0)
