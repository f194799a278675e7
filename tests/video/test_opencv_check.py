"""A seek of OpenCV that ends at another frame is told from other colours and small changes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from facerec.geometry import Image
from facerec.video import opencv_check as module
from facerec.video.opencv_check import opencv_decodes, opencv_seek_mismatches, video_codec
from tests.films import make_film

WEIGHTS = {
    "BT.601": (0.299, 0.587, 0.114),
    "BT.709": (0.2126, 0.7152, 0.0722),
    "BT.2020": (0.2627, 0.678, 0.0593),
}


class Capture:
    """Stands in for OpenCV's reader: `shown` has what it finds at each position."""

    def __init__(self, shown: dict[int, Image], is_open: bool = True) -> None:
        self.shown, self.is_open, self.position, self.released = shown, is_open, 0, False

    def set(self, what: int, value: int) -> None:
        assert what == cv2.CAP_PROP_POS_FRAMES
        self.position = value

    def read(self) -> tuple[bool, Image | None]:
        image = self.shown.get(self.position)
        return image is not None, None if image is None else np.ascontiguousarray(image[..., ::-1])

    def isOpened(self) -> bool:  # noqa: N802 — OpenCV's name
        return self.is_open

    def release(self) -> None:
        self.released = True


def grey(level: float, number: int = 0) -> Image:
    """Make a picture of a mean level, with the number's own pattern."""
    pattern = np.random.default_rng(number).integers(-50, 51, (36, 64, 1))
    return np.asarray(level + pattern.repeat(3, 2), np.uint8)


@pytest.fixture
def film(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A film of 100 frames of its own brightness each, and OpenCV's reader of it."""
    near = {n + off for n in (1, 16, 33, 49, 66, 82, 99) for off in range(-2, 3)} | {56}
    ours = {n: grey(60 + n, n) for n in sorted(near) if 0 <= n < 100}
    made = SimpleNamespace(
        path=Path("7-a.mkv"), frame_count=100, ours=ours, transfer=1, capture=Capture(dict(ours))
    )

    @contextmanager
    def opened(path: Path) -> Iterator[tuple[object, Any]]:
        yield None, SimpleNamespace(codec_context=SimpleNamespace(color_trc=made.transfer))

    def read(of: SimpleNamespace, beg: int, end: int) -> Iterator[tuple[int, Image]]:
        assert of is made and beg >= 0
        return ((n, made.ours[n]) for n in range(max(0, beg - 1), min(end, 100)) if n in made.ours)

    def reader(path: str, backend: int) -> Capture:
        assert path.startswith("file:/") and path.endswith("/7-a.mkv") and backend == cv2.CAP_FFMPEG
        return made.capture

    monkeypatch.setattr(module, "open_video", opened)
    monkeypatch.setattr(module, "read_frames", read)
    monkeypatch.setattr(cv2, "VideoCapture", reader)
    return made


def found(film: Any, samples: int = 6) -> list[int]:
    numbers = opencv_seek_mismatches(film, samples)
    assert film.capture.released
    return numbers


def test_frames_spread_over_the_film_are_compared_up_to_the_last_one(film: SimpleNamespace) -> None:
    assert found(film) == []
    film.capture.shown = {}
    assert found(film) == opencv_seek_mismatches(film) == [16, 33, 49, 66, 82, 99]  # type: ignore[arg-type]
    assert found(film, 2) == [49, 99]
    del film.ours[49]  # cannot be decoded, so it is never asked for
    assert found(film, 2) == [99]
    film.frame_count = 2
    assert found(film) == [0, 1]


@pytest.mark.parametrize("transfer", [1, 16])
@pytest.mark.parametrize(("off", "is_other"), [(0, False), (1, True), (-1, True), (-2, True), (7, True)])
def test_another_frame_is_a_mismatch(transfer: int, off: int, is_other: bool, film: SimpleNamespace) -> None:
    film.transfer = transfer
    film.capture.shown[49] = film.ours[49 + off]
    assert found(film, 2) == ([49] if is_other else [])


def test_where_all_frames_look_alike_no_other_frame_is_nearer(film: SimpleNamespace) -> None:
    for n in range(40, 60):
        film.ours[n] = grey(100)
    film.capture.shown = {49: grey(100), 99: film.ours[99]}
    assert found(film, 2) == []
    film.capture.shown[49] = grey(102)
    assert found(film, 2) == [], "a slightly other decoding"
    film.ours[50] = grey(101)
    assert found(film, 2) == [], "half as far is not near enough"
    film.ours[50] = grey(102)
    assert found(film, 2) == [49]
    film.capture.shown[49] = grey(103)
    assert found(film, 2) == [49], "a third as far is"


@pytest.mark.parametrize(("transfer", "limit"), [(1, 3), (16, 10), (18, 10)])
def test_a_difference_up_to_a_few_grey_levels_is_another_decoding(
    transfer: int, limit: int, film: SimpleNamespace
) -> None:
    film.transfer = transfer
    noise = np.random.default_rng(7).choice([-1, 1], (36, 64, 1)).repeat(3, 2)
    for n in range(47, 52):
        film.ours[n] = np.full((36, 64, 3), 100, np.uint8)  # one colour, which is mapped to its mean
    for size, is_other in ((limit, False), (limit + 1, True)):
        film.capture.shown[49] = np.asarray(100 + size * noise, np.uint8)
        assert found(film, 2) == ([49] if is_other else []), size


@pytest.mark.parametrize("name", WEIGHTS)
def test_the_weights_of_our_luma_or_of_theirs_are_no_difference(name: str, film: SimpleNamespace) -> None:
    """OpenCV may convert a film of any matrix by that of BT.601; its luma is then the same."""
    rng = np.random.default_rng(1)
    green = WEIGHTS["BT.601"][1]
    ours, theirs = rng.integers(40, 216, (2, 36, 64, 3)).astype(np.float64)  # as colourful as can be
    ours[..., 1] += (128 - ours @ WEIGHTS["BT.601"]) / green
    theirs[..., 1] += (ours @ WEIGHTS[name] - theirs @ WEIGHTS["BT.601"]) / green
    assert theirs.min() >= 0 and theirs.max() < 256
    alike = theirs.copy()
    alike[..., 1] += (ours - alike) @ WEIGHTS[name] / WEIGHTS[name][1]
    assert alike.min() >= 0 and alike.max() < 256
    film.ours[49], film.capture.shown[49] = ours.astype(np.uint8), alike.round().astype(np.uint8)
    assert found(film, 2) == [], "another version of OpenCV uses the film's own matrix"
    film.ours[49], film.capture.shown[49] = ours.astype(np.uint8), theirs.round().astype(np.uint8)
    assert found(film, 2) == []
    film.capture.shown[49] = (theirs + 5).clip(0, 255).round().astype(np.uint8)
    assert found(film, 2) == [49]


def test_a_frame_that_differs_in_one_part_is_another_one(film: SimpleNamespace) -> None:
    """Something moves before a still background."""
    for axis in (0, 1):
        for n in range(47, 52):
            film.ours[n] = np.full((36, 64, 3), 100, np.uint8)
        shown = film.ours[49].swapaxes(0, axis).copy()
        shown[: len(shown) // 3] = 140
        film.capture.shown[49] = shown.swapaxes(0, axis)
        assert found(film, 2) == [49]


@pytest.mark.parametrize("channel", [0, 1, 2])
def test_other_colours_of_high_dynamic_range_are_no_difference(channel: int, film: SimpleNamespace) -> None:
    """Each of our colours is another one of theirs, but always the same."""
    film.transfer = 16
    rng = np.random.default_rng(2)
    for n in range(47, 52):
        film.ours[n] = np.full((36, 64, 3), 40, np.uint8)
        film.ours[n][..., channel] = rng.integers(0, 15, (36, 64)) * 16
    levels = rng.permutation(15) * 16
    film.capture.shown[49] = (
        levels[film.ours[49][..., channel] // 16][..., None].repeat(3, 2).astype(np.uint8)
    )
    assert found(film, 2) == []
    film.capture.shown[49] = (
        levels[film.ours[50][..., channel] // 16][..., None].repeat(3, 2).astype(np.uint8)
    )
    assert found(film, 2) == [49]


@pytest.mark.parametrize(
    "colours",
    [
        ((0, 16, 128), (0, 32, 0)), ((16, 240, 0), (32, 0, 0)), ((0, 0, 240), (16, 0, 0)),
        ((0, 240, 16), (16, 0, 0)),
    ],
)  # fmt: skip
def test_no_two_colours_of_high_dynamic_range_are_taken_for_one(
    colours: tuple[tuple[int, ...], ...], film: SimpleNamespace
) -> None:
    film.transfer = 18
    chosen = np.random.default_rng(3).integers(0, 2, (144, 256))
    for n in range(47, 52):
        film.ours[n] = np.array(colours, np.uint8)[chosen]
    film.capture.shown[49] = np.array([50, 200], np.uint8)[chosen][..., None].repeat(3, 2)
    assert found(film, 2) == []


def test_another_frame_of_high_dynamic_range_is_a_mismatch_though_no_two_pixels_are_equal(
    film: SimpleNamespace,
) -> None:
    """Else each pixel would be a colour of its own, which explains every picture."""
    film.transfer = 16
    rng = np.random.default_rng(4)
    for n in range(47, 52):
        film.ours[n] = rng.integers(0, 64, (36, 64, 3), np.uint8)
    film.capture.shown[49] = rng.integers(0, 256, (36, 64, 3), np.uint8)
    assert found(film, 2) == [49]


def test_pictures_of_other_sizes_are_compared(film: SimpleNamespace) -> None:
    chess = 40 * (-1) ** np.add.outer(np.arange(4 * 144), np.arange(4 * 256))[..., None]
    for n in (47, 48, 49, 50, 51):
        film.ours[n] = film.ours[n].repeat(4, 0).repeat(4, 1)
    film.capture.shown[49] = np.asarray(film.ours[49].repeat(4, 0).repeat(4, 1) + chess, np.uint8)
    assert found(film, 2) == [], "what is finer than a small picture does not count"


def test_opencv_decodes_a_film_if_it_opens_it_and_gives_a_frame(film: SimpleNamespace) -> None:
    picture = {0: grey(100)}
    for shown, is_open, decodes in ((picture, True, True), ({}, True, False), (picture, False, False)):
        film.capture = Capture(shown, is_open)
        assert opencv_decodes(film) is decodes and film.capture.released  # type: ignore[arg-type]


def test_the_codec_has_its_common_name(tmp_path: Path) -> None:
    for name, codec in (("a.mp4", "h264"), ("a.mpg", "mpeg2video")):
        path = make_film(tmp_path / name, 2, codec={"h264": "libx264"}.get(codec, codec))
        assert video_codec(SimpleNamespace(path=path)) == codec  # type: ignore[arg-type]
