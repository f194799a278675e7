"""Miniatures from planes, as a device makes them: the bytes of swscale for every size and description."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from facerec.models import planes as planes_module
from facerec.models.planes import Planes
from facerec.pixels import Reduction, plane_bytes
from facerec.video import reduction as module
from facerec.video.conversion import copy_planes, plane_views
from facerec.video.miniature import LUMA_BYTES, miniature
from facerec.video.reduction import example, reduction_of
from tests.films import make_film

SIZES = [(640, 360), (638, 272), (720, 576), (1920, 800), (1280, 544), (854, 480), (270, 640)]
SMALL = [(2, 2), (4, 2), (16, 8), (46, 26), (48, 26), (48, 64), (50, 28), (30, 200), (96, 54), (98, 56)]
LIMITED, FULL = 1, 2


def frame_of(width: int, height: int, pixel_format: str = "yuv420p", color_range: int = 0) -> av.VideoFrame:
    frame = av.VideoFrame(width, height, pixel_format)
    frame.color_range = color_range
    return frame


def planes_of(frame: av.VideoFrame) -> NDArray[np.uint8]:
    planes = np.empty(plane_bytes(frame.height, frame.width), np.uint8)
    copy_planes(frame, planes)
    return planes


def on_device(planes: NDArray[np.uint8], reduction: Reduction) -> NDArray[np.float32]:
    found: NDArray[np.float32] = (
        Planes(torch.device("cpu")).to_miniatures(torch.from_numpy(planes), reduction).numpy()
    )
    return found


def assert_same_as_host(frame: av.VideoFrame, seeds: int = 3) -> None:
    """Compare pictures of noise, of areas and of one extreme value, which overflow where anything can."""
    pictures, expected = [], []
    rng = np.random.default_rng(frame.width + frame.height)
    for kind in range(seeds + 2):
        for view in plane_views(frame):
            if kind < 2:
                view[:] = 255 * kind
            elif kind == 2:
                view[:] = rng.integers(0, 256, view.shape)
            else:
                scale = 2 ** rng.integers(1, 6)
                coarse = rng.choice((0, 255, 16, 235, 128, 240), (view.shape[0] // scale + 1, 64))
                rows, columns = (np.arange(side) for side in view.shape)
                view[:] = coarse[rows // scale][:, columns // scale % 64]
        pictures.append(planes_of(frame))
        expected.append(miniature(frame))
    reduction = reduction_of(frame)
    assert reduction is not None
    np.testing.assert_array_equal(on_device(np.stack(pictures), reduction), expected)


@pytest.mark.parametrize("size", SIZES + SMALL)
def test_the_device_makes_the_bytes_of_swscale_at_any_size(size: tuple[int, int]) -> None:
    assert_same_as_host(frame_of(*size))


@pytest.mark.parametrize(
    ("pixel_format", "color_range"), [("yuv420p", LIMITED), ("yuv420p", FULL), ("yuvj420p", 0)]
)
@pytest.mark.parametrize("size", [(640, 360), (638, 272), (46, 26)])
def test_the_range_of_the_film_decides_the_conversion(
    size: tuple[int, int], pixel_format: str, color_range: int
) -> None:
    """A full-range film converted once more would be too bright, and the cuts would move."""
    assert_same_as_host(frame_of(*size, pixel_format, color_range))


def test_the_device_makes_the_bytes_of_swscale_at_1080p() -> None:
    assert_same_as_host(frame_of(1920, 1080), seeds=1)


def test_the_device_makes_the_bytes_of_swscale_at_2160p() -> None:
    frame = frame_of(3840, 2160)
    made, reduction = example(frame), reduction_of(frame)
    assert reduction is not None
    np.testing.assert_array_equal(on_device(made.planes[None], reduction), made.miniature[None])


def test_the_position_of_the_chroma_samples_of_a_film_counts(tmp_path: Path) -> None:
    """PyAV does not tell it, so it must be taken over from a decoded frame."""

    def noise(number: int, width: int, height: int) -> NDArray[np.uint8]:
        return np.random.default_rng(number).integers(0, 256, (height, width, 3), np.uint8)

    found = []
    for position in (0, 1, 5):  # left, centre, bottom
        options = {"x264-params": f"chromaloc={position}", "crf": "1"}
        path = make_film(tmp_path / f"{position}.mp4", 1, draw=noise, options=options)
        with av.open(str(path)) as container:
            frame = next(container.decode(video=0))
        reduction, made = reduction_of(frame), example(frame)
        assert reduction is not None
        planes = np.stack([planes_of(frame), made.planes])
        np.testing.assert_array_equal(on_device(planes, reduction), [miniature(frame), made.miniature])
        found.append(on_device(made.planes[None], reduction)[0])
    for one, other in ((0, 1), (0, 2), (1, 2)):
        np.testing.assert_array_equal(found[one][:LUMA_BYTES], found[other][:LUMA_BYTES])
        assert (found[one] != found[other]).sum() > 100


def test_a_device_that_rounds_products_to_8_bits_still_adds_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    """GPUs round the factors of float32 products to 11 bits (TF32) or 8 where a program allows it."""
    made, reduction = example(frame_of(640, 360)), reduction_of(frame_of(640, 360))
    assert reduction is not None
    exact = torch.Tensor.__matmul__

    def rounding(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        if one.dtype == torch.float32:
            one, other = one.bfloat16().float(), other.bfloat16().float()
        return exact(one, other)

    monkeypatch.setattr(torch.Tensor, "__matmul__", rounding)
    np.testing.assert_array_equal(on_device(made.planes[None], reduction), made.miniature[None])
    monkeypatch.setattr(planes_module, "_SPLIT", 1 << 14)  # as if the coefficients were not split
    assert (on_device(made.planes[None], reduction) != made.miniature).any()


WRONG: dict[str, Callable[[Reduction], Reduction]] = {
    "shifted": lambda right: replace(right, across=tuple(np.roll(part, 1, 1) for part in right.across)),
    "rounded to 11 bits": lambda right: replace(right, across=tuple(part & ~1 for part in right.across)),
    "upside down": lambda right: replace(right, down=tuple(part[::-1].copy() for part in right.down)),
    "limited range": lambda right: replace(right, ranges=None),
    "range of luma for chroma": lambda right: replace(right, ranges=(right.ranges[0],) * 2),
    "range of an older swscale": lambda right: replace(right, ranges=((19077, -39057361), right.ranges[1])),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_an_example_shows_arithmetic_that_is_slightly_wrong(mistake: str) -> None:
    """Otherwise the check at the start of a shard would prove little."""
    made, right = example(frame_of(640, 360)), reduction_of(frame_of(640, 360))
    assert right is not None
    assert (on_device(made.planes[None], WRONG[mistake](right)) != made.miniature).any()


def test_the_frame_that_is_asked_about_stays_as_it_is() -> None:
    frame = frame_of(48, 48, "yuv420p", LIMITED)
    for view in plane_views(frame):
        view[:] = 77
    frame.colorspace = 5
    example(frame), reduction_of(frame)
    assert (planes_of(frame) == 77).all()
    assert (frame.colorspace, frame.color_range) == (5, LIMITED)


def test_coefficients_that_are_not_whole_shares_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums of float32 are exact only if the coefficients of a pixel are shares of a whole."""
    monkeypatch.setattr(module, "_found", {})
    monkeypatch.setattr(module, "_rounded", lambda values, total: np.full(values.shape, 3, np.int16))
    assert reduction_of(frame_of(320, 180)) is None


def test_a_picture_that_swscale_refuses_has_no_reduction(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise av.FFmpegError(22, "Invalid argument")

    monkeypatch.setattr(module, "_found", {})
    monkeypatch.setattr(module, "reduce_to", refused)
    assert reduction_of(frame_of(320, 180)) is None
