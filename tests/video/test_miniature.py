"""Miniatures: of every pixel format and size, from any thread, of one frame only."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import av
import numpy as np
import pytest

from facerec.geometry import MINIATURE_BYTES
from facerec.video.miniature import HEIGHT, LUMA_BYTES, WIDTH, luma, miniature, to_rgb

FORMATS = (
    "yuv420p", "yuvj420p", "yuv422p10le", "yuv444p12le", "nv12", "p010le", "gray", "gray10le", "rgb24",
    "gbrp", "gbrp12le", "gbrap16le", "gbrpf32le", "rgb48le", "rgba", "pal8", "xyz12le", "monow", "ya8",
    "uyvy422", "yuva444p", "yuv411p", "bayer_rggb8",
)  # fmt: skip


def frame_of(width: int, height: int, seed: int = 0) -> av.VideoFrame:
    rng = np.random.default_rng(seed)
    blocks = np.repeat(rng.integers(0, 256, (9, 16, 1), np.uint8), 3, 2)  # grey, the same for every matrix
    picture = np.repeat(np.repeat(blocks, -(-height // 9), 0), -(-width // 16), 1)[:height, :width]
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")


@pytest.mark.parametrize("name", FORMATS)
def test_every_pixel_format_gives_nearly_the_same_luma(name: str) -> None:
    expected = luma(miniature(frame_of(320, 180))[None])[0].astype(int)
    if name in ("bayer_rggb8", "pal8"):  # swscale reads these, but does not write them
        plain = av.VideoFrame(320, 180, name)
        for plane in plain.planes:
            plane.update(bytes([100]) * plane.buffer_size)
        assert np.ptp(miniature(plain)[:LUMA_BYTES]) < 8
        return
    other = frame_of(320, 180).reformat(format=name)
    found = miniature(other)
    assert found.shape == (MINIATURE_BYTES,) and found.dtype == np.uint8
    off = np.abs(luma(found[None])[0].astype(int) - expected).mean()
    assert off < (40 if name == "monow" else 12 if name == "xyz12le" else 4), off


@pytest.mark.parametrize(
    ("width", "height"),
    [(1, 1), (2, 2), (3, 5), (16, 16), (47, 26), (48, 27), (49, 28), (90, 1600), (8192, 64)],
)
def test_every_size(width: int, height: int) -> None:
    frame = av.VideoFrame(width, height, "yuv420p")
    for plane, value in zip(frame.planes, (120, 90, 200), strict=True):
        plane.update(bytes([value]) * plane.buffer_size)
    found = miniature(frame)
    assert np.ptp(found[:LUMA_BYTES]) <= 1 and abs(int(found[0]) - 121) <= 1  # 120 of 16..235 in full range


def test_reserved_colour_descriptions_are_no_obstacle() -> None:
    expected = miniature(frame_of(320, 180).reformat(format="yuv420p"))
    for space in range(20):
        frame = frame_of(320, 180).reformat(format="yuv420p")
        frame.colorspace, frame.color_trc, frame.color_primaries = space, 3, 3
        np.testing.assert_array_equal(miniature(frame), expected)
        assert frame.colorspace == space


def test_threads_and_frames_of_other_sizes_between_change_nothing() -> None:
    def of(seed: int) -> bytes:
        return miniature(frame_of(64 + 16 * (seed % 5), 48, seed)).tobytes()

    alone = [of(seed) for seed in range(60)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(of, range(60))) == alone


def test_a_pixel_is_the_mean_of_what_it_covers() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (27 * 8, 48 * 8), np.uint8)
    found = luma(miniature(av.VideoFrame.from_ndarray(picture, format="gray"))[None])[0]
    means = picture.reshape(27, 8, 48, 8).mean((1, 3))
    assert np.abs(found - means).max() < 2


@pytest.mark.parametrize(
    "colour", [(0, 0, 0), (255, 255, 255), (90, 90, 90), (200, 80, 30), (30, 200, 80), (80, 30, 200)]
)
def test_colours_of_miniatures_are_those_of_bt_709(colour: tuple[int, int, int]) -> None:
    red, green, blue = colour
    y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    of_one = [y, (blue - y) / 1.8556 + 128, (red - y) / 1.5748 + 128]
    parts = [np.full(size, round(value)) for size, value in zip((1296, 336, 336), of_one, strict=True)]
    two = np.stack([np.concatenate(parts), np.full(MINIATURE_BYTES, 128)]).astype(np.uint8)
    found = to_rgb(two)
    assert found.shape == (2, HEIGHT, WIDTH, 3) and found.dtype == np.uint8
    assert np.abs(found[0].astype(int) - colour).max() <= 2
    assert (found[1] == 128).all()


def test_each_colour_sample_of_a_miniature_covers_four_pixels() -> None:
    red = np.full((2, MINIATURE_BYTES), 128, np.uint8)
    red[1, LUMA_BYTES + 336 + 24 * 2 + 5] = 200  # of Cr: row 2, column 5
    red[1, -1] = 200  # the last row of samples covers one row of pixels
    changed = (to_rgb(red)[1] != 128).any(-1)
    assert np.argwhere(changed).tolist() == [[4, 10], [4, 11], [5, 10], [5, 11], [26, 46], [26, 47]]
    assert to_rgb(red)[1, 4, 10].tolist() == [round(128 + 1.5748 * 72), round(128 - 0.4681 * 72), 128]


def test_colours_out_of_range_are_clipped() -> None:
    picture = np.full((1, MINIATURE_BYTES), 255, np.uint8)
    picture[:, LUMA_BYTES:] = 0
    assert to_rgb(picture)[0, 0, 0].tolist() == [round(255 - 1.5748 * 128), 255, round(255 - 1.8556 * 128)]
    picture[:, :LUMA_BYTES] = 0
    assert to_rgb(picture)[0, 0, 0].tolist() == [0, round(0.6554 * 128), 0]
