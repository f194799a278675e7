"""Conversion to RGB: a device that adds the tables has the bytes of swscale, and only where that is true."""

from __future__ import annotations

import platform
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from facerec.models.planes import Planes
from facerec.pixels import plane_bytes
from facerec.video import conversion
from facerec.video.conversion import copy_planes, plane_views, to_channels, to_rgb, yuv_tables
from facerec.video.film import open_film, read_decoded
from tests.films import make_film


def random_picture(width: int, height: int, pixel_format: str = "yuv420p") -> av.VideoFrame:
    rng = np.random.default_rng(width * height)
    picture = av.VideoFrame(width, height, pixel_format)
    for view in plane_views(picture):
        view[:] = rng.integers(0, 256, view.shape, dtype=np.uint8)
    return picture


def on_device(picture: av.VideoFrame) -> np.ndarray:
    """Convert as a detector on a device does."""
    tables = yuv_tables(picture)
    assert tables is not None
    planes = np.empty((2, plane_bytes(picture.height, picture.width)), np.uint8)
    for target in planes:
        copy_planes(picture, target)
    converted = Planes(torch.device("cpu")).to_rgb(
        torch.from_numpy(planes), tables, picture.height, picture.width
    )
    assert torch.equal(converted[0], converted[1])
    return converted[1].permute(1, 2, 0).numpy()


def apart(picture: av.VideoFrame) -> np.ndarray:
    """Convert with the channels apart, as for YuNet; not all processors compute the same bytes so."""
    planes = to_channels(picture)
    assert planes is not None or picture.width % 16 or platform.machine() not in ("x86_64", "AMD64")
    return to_rgb(picture, picture.width, picture.height) if planes is None else planes.image()


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuvj420p"])
@pytest.mark.parametrize("colorspace", [1, 2, 5, 7, 9])
@pytest.mark.parametrize("color_range", [0, 1, 2])
def test_every_colour_description_has_the_bytes_of_the_host(
    pixel_format: str, colorspace: int, color_range: int
) -> None:
    picture = random_picture(320, 180, pixel_format)
    picture.colorspace, picture.color_range = colorspace, color_range
    np.testing.assert_array_equal(on_device(picture), to_rgb(picture, 320, 180))
    np.testing.assert_array_equal(apart(picture), to_rgb(picture, 320, 180))


@pytest.mark.parametrize("size", [(2, 2), (34, 6), (48, 6), (514, 30), (638, 362), (1918, 802), (1920, 1080)])
def test_widths_that_leave_a_rest_in_the_processors_routine(size: tuple[int, int]) -> None:
    picture = random_picture(*size)
    np.testing.assert_array_equal(on_device(picture), to_rgb(picture, *size))
    np.testing.assert_array_equal(apart(picture), to_rgb(picture, *size))


@pytest.mark.slow
@pytest.mark.parametrize("colorspace", [1, 5, 9])
def test_all_colours_have_the_bytes_of_the_host(colorspace: int) -> None:
    picture = av.VideoFrame(2048, 2048, "yuv420p")
    y, u, v = plane_views(picture)
    u[:] = np.arange(1024)[:, None] // 4
    v[:] = np.arange(1024) // 4
    picture.colorspace = colorspace
    for low in range(0, 256, 64):  # 8x8 pixels of each pair of chroma have 64 values of luma
        y[:] = low + np.arange(2048)[:, None] % 8 * 8 + np.arange(2048) % 8
        np.testing.assert_array_equal(on_device(picture), to_rgb(picture, 2048, 2048))
        np.testing.assert_array_equal(apart(picture), to_rgb(picture, 2048, 2048))


def test_a_picture_is_converted_the_same_whatever_was_converted_before_it() -> None:
    """A thread uses its tables again: for the next picture, but not where that is of another kind."""
    pictures = [
        random_picture(width, height, pixel_format)
        for width, height in ((64, 48), (48, 64))
        for pixel_format in ("yuv420p", "yuvj420p", "yuv422p", "yuv420p10le")
    ]
    for colorspace, color_range in ((1, 1), (1, 2), (5, 1), (9, 0), (1, 1)):
        for picture in pictures:
            picture.colorspace, picture.color_range = colorspace, color_range
            for width, height in ((picture.width, picture.height), (32, 80)):
                alone = picture.reformat(width, height, "rgb24", interpolation="BILINEAR").to_ndarray()
                np.testing.assert_array_equal(to_rgb(picture, width, height), alone)


def test_formats_without_tables_have_none() -> None:
    for other in (random_picture(64, 48, "nv12"), random_picture(63, 48), random_picture(64, 47)):
        assert to_channels(other) is None
    assert yuv_tables(random_picture(64, 48, "yuv422p")) is None
    assert yuv_tables(random_picture(64, 48, "gray")) is None
    assert yuv_tables(random_picture(63, 48)) is None
    assert yuv_tables(random_picture(64, 47)) is None
    assert yuv_tables(av.VideoFrame(64, 48, "yuv420p10le")) is None
    assert yuv_tables(random_picture(64, 48)) is yuv_tables(random_picture(64, 48))


@pytest.mark.parametrize("colorspace", [3, 8, 14])
def test_a_colour_description_that_swscale_refuses_is_converted_without_tables_and_channels(
    colorspace: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Reserved and rare ones are in real files; the film must not end there."""
    caplog.set_level("DEBUG", logger=conversion.log.name)
    conversion._tables.cache_clear()
    conversion._has_same_channels.cache_clear()
    picture = random_picture(64, 48)
    picture.colorspace = colorspace
    assert yuv_tables(picture) is None and to_channels(picture) is None
    refusals = [message for message in caplog.messages if f"yuv420p, colour space {colorspace}, " in message]
    assert len(refusals) == 2, "both were tried"
    np.testing.assert_array_equal(to_rgb(picture, 64, 48), to_rgb(random_picture(64, 48), 64, 48))


def test_a_routine_that_is_no_sum_has_no_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    original = conversion._reformat

    def differs(picture: av.VideoFrame, width: int, height: int) -> np.ndarray:
        image = original(picture, width, height)
        image[7, 7] ^= 1
        return image

    monkeypatch.setattr(conversion, "_reformat", differs)
    assert conversion._tables.__wrapped__("yuv420p", 1, 1) is None


def test_a_processor_that_computes_channels_apart_in_another_way_has_them_not_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original = conversion._reformat

    def differs(picture: av.VideoFrame, width: int, height: int) -> np.ndarray:
        image = original(picture, width, height).copy()
        image[7, -1, 2] ^= 1
        return image

    monkeypatch.setattr(conversion, "_has_same_channels", conversion._has_same_channels.__wrapped__)
    assert to_channels(random_picture(64, 48)) is not None
    monkeypatch.setattr(conversion, "_reformat", differs)
    assert to_channels(random_picture(64, 48)) is None


def test_a_buffer_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="64x48"):
        copy_planes(random_picture(64, 48), np.empty(plane_bytes(50, 64), np.uint8))


def test_frames_that_are_turned_or_scaled_have_no_tables(tmp_path: Path) -> None:
    plain = make_film(tmp_path / "1-plain.mp4", 4)
    frame = next(read_decoded(open_film(plain), 0, 1))
    assert frame.yuv_tables() is not None
    np.testing.assert_array_equal(apart(frame.picture), frame.image())
    np.testing.assert_array_equal(on_device(frame.picture), frame.image())
    copied, expected = (np.empty(plane_bytes(120, 160), np.uint8) for _ in range(2))
    frame.copy_planes(copied)
    copy_planes(frame.picture, expected)
    np.testing.assert_array_equal(copied, expected)
    frame = next(read_decoded(open_film(plain, display_aspect=Fraction(2)), 0, 1))
    assert frame.image().shape == (120, 240, 3)
    assert frame.yuv_tables() is None and frame.channels() is None
    turned = make_film(tmp_path / "1-turned.mp4", 4, width=128, height=128, rotation=90)
    frame = next(read_decoded(open_film(turned), 0, 1))
    assert frame.image().shape == (128, 128, 3)
    assert frame.yuv_tables() is None and frame.channels() is None
