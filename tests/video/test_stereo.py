"""Films of 3D are recognised by their mark, their name or their halves; ordinary films are not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from facerec.geometry import Image
from facerec.video import open_film
from facerec.video import stereo as module
from facerec.video.stereo import SIDE_BY_SIDE, TOP_BOTTOM, stereo_layout
from tests.films import make_film


def scene(number: int, width: int, height: int) -> Image:
    """Coloured blocks that move, without symmetry."""
    blocks = np.random.default_rng(number // 12).integers(0, 255, (6, 9, 3), dtype=np.uint8)
    drawn: Image = cv2.resize(blocks, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.roll(drawn, number % 12, axis=1)


def side_by_side(number: int, width: int, height: int) -> Image:
    return np.hstack([np.roll(scene(number, width // 2, height), shift, axis=1) for shift in (0, 1)])


def top_bottom(number: int, width: int, height: int) -> Image:
    return np.vstack([np.roll(scene(number, width, height // 2), shift, axis=1) for shift in (0, 1)])


@pytest.mark.parametrize(
    ("draw", "layout"),
    [(scene, None), (side_by_side, SIDE_BY_SIDE), (top_bottom, TOP_BOTTOM)],
    ids=["ordinary", "side by side", "top and bottom"],
)
def test_the_halves_of_the_frames_are_compared(draw: object, layout: str | None, tmp_path: Path) -> None:
    film = make_film(tmp_path / "1-film.mp4", 96, draw=draw)  # type: ignore[arg-type]
    assert stereo_layout(open_film(film)) == layout


def test_symmetric_dark_and_flat_films_are_ordinary(tmp_path: Path) -> None:
    def symmetric(number: int, width: int, height: int) -> Image:
        half = scene(number, width // 2, height)
        return np.hstack([half, half[:, ::-1]])

    def striped(number: int, width: int, height: int) -> Image:
        return np.repeat(scene(number, width, height)[:1], height, axis=0)

    for k, draw in enumerate((symmetric, striped, lambda n, w, h: np.full((h, w, 3), n, np.uint8))):
        assert stereo_layout(open_film(make_film(tmp_path / f"{k}-film.mp4", 96, draw=draw))) is None


@pytest.mark.parametrize(
    ("name", "layout"),
    [
        ("1-Film.3D.HSBS.1080p.mkv", SIDE_BY_SIDE),
        ("1-Film-half-sbs.mkv", SIDE_BY_SIDE),
        ("1-Film 3D Half-OU.mkv", TOP_BOTTOM),
        ("1-Film.H-TAB.mkv", TOP_BOTTOM),
        ("1-Taboo.mkv", None),
        ("1-Lesbos.mkv", None),
    ],
)
def test_names_of_releases_are_known(name: str, layout: str | None, tmp_path: Path) -> None:
    assert stereo_layout(open_film(make_film(tmp_path / name, 12))) == layout


def test_the_mark_of_the_stream_decides(tmp_path: Path) -> None:
    options = {"preset": "ultrafast", "x264-params": "keyint=12:frame-packing=3"}
    film = make_film(tmp_path / "1-film.mkv", 12, options=options)
    assert stereo_layout(open_film(film)) == SIDE_BY_SIDE


def by_contents(
    images: dict[int, Image], monkeypatch: pytest.MonkeyPatch, *, count: int = 160, seekable: bool = True
) -> str | None:
    """Return the layout of a film without a mark, in which the frames that are not in `images` are lost."""

    def read(film: object, beg: int, end: int) -> Iterator[tuple[int, Image]]:
        assert end == beg + 1
        return iter([(n, images[n]) for n in (beg - 1, beg) if n in images])

    monkeypatch.setattr(module, "frames_around", lambda *_: iter([]))
    monkeypatch.setattr(module, "read_frames", read)
    film: Any = SimpleNamespace(path=Path("1-film.mkv"), index=None, frame_count=count, seekable=seekable)
    return stereo_layout(film)


TRIED = [10, 30, 50, 70, 90, 110, 130, 150]  # of 160 frames: the middles of eight equal parts


@pytest.mark.parametrize(
    ("frames", "layout"),
    [(TRIED, SIDE_BY_SIDE), (TRIED[:5], SIDE_BY_SIDE), (TRIED[3:], SIDE_BY_SIDE), (TRIED[4:], None)],
)
def test_five_of_eight_frames_must_have_contents(
    frames: Sequence[int], layout: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = {n: side_by_side(n, 128, 64) for n in frames}
    assert by_contents(images, monkeypatch) == layout, "the others are lost"
    dark = {n: np.full((64, 128, 3), 20, np.uint8) for n in TRIED}
    assert by_contents({**dark, **images}, monkeypatch) == layout, "the others are dark"
    assert by_contents(images, monkeypatch, seekable=False) is None
    shifted = {n - 1: image for n, image in images.items()}
    assert by_contents(shifted, monkeypatch) is None, "only the frame before each is there"
    other = {**images, frames[-1]: scene(7, 128, 64)}
    assert by_contents(other, monkeypatch) is None, "one frame with other halves"


@pytest.mark.parametrize(("noise", "layout"), [(0, SIDE_BY_SIDE), (8, SIDE_BY_SIDE), (40, None)])
def test_the_halves_may_differ_a_little(
    noise: int, layout: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    images = {}
    for n in TRIED:
        half = cv2.resize(rng.integers(40, 216, (9, 7, 3), np.uint8), (32, 64), interpolation=cv2.INTER_CUBIC)
        both = np.hstack([half, half]).astype(int) + rng.integers(-noise, noise + 1, (64, 64, 3)) * 2
        images[n] = both.clip(0, 255).astype(np.uint8)
    assert by_contents(images, monkeypatch) == layout
    upright = {n: np.ascontiguousarray(image.swapaxes(0, 1)) for n, image in images.items()}
    assert by_contents(upright, monkeypatch) == (TOP_BOTTOM if layout else None)


def test_a_film_with_an_empty_half_is_ordinary(monkeypatch: pytest.MonkeyPatch) -> None:
    """A face before a wall."""
    image = np.random.default_rng(0).integers(20, 236, (64, 64, 3), np.uint8)
    image[:, 32:] = 128
    for mirrored in (image, image[:, ::-1]):
        upright = np.ascontiguousarray(mirrored.swapaxes(0, 1))
        assert by_contents(dict.fromkeys(TRIED, np.ascontiguousarray(mirrored)), monkeypatch) is None
        assert by_contents(dict.fromkeys(TRIED, upright), monkeypatch) is None


@pytest.mark.parametrize("axis", [0, 1])
def test_halves_that_look_alike_because_of_stripes_are_ordinary(
    axis: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fence, or blinds: the halves are also like themselves a quarter further."""
    waves = 128 + 90 * np.sin(np.arange(64) * 2 * np.pi / (8 if axis else 16))
    striped = np.broadcast_to(waves[None, :] if axis else waves[:, None], (64, 64))
    image = np.asarray(striped[..., None].repeat(3, 2), np.uint8)
    assert by_contents(dict.fromkeys(TRIED, image), monkeypatch) is None


def test_halves_that_look_alike_because_of_columns_are_ordinary(monkeypatch: pytest.MonkeyPatch) -> None:
    """Like themselves further down; a fence whose pickets have no equal distance."""
    columns = np.tile(np.random.default_rng(4).integers(20, 236, 32), 2)
    fence = np.broadcast_to(columns[:, None], (64, 64, 3)).swapaxes(0, 1)
    image = np.ascontiguousarray(fence, np.uint8)
    assert by_contents(dict.fromkeys(TRIED, image), monkeypatch) is None
    upright = np.ascontiguousarray(image.swapaxes(0, 1))
    assert by_contents(dict.fromkeys(TRIED, upright), monkeypatch) is None


@pytest.mark.parametrize(
    ("kind", "layout"), [(0, None), (1, SIDE_BY_SIDE), (2, TOP_BOTTOM), (5, SIDE_BY_SIDE)]
)
def test_the_mark_of_the_first_frame_comes_before_its_contents(
    kind: int, layout: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    film: Any = SimpleNamespace(path=Path("1-film-hsbs.mkv"), index=None, frame_count=160, seekable=False)
    whole, short = np.array([kind, 9], np.int32).tobytes(), b"\1\0\0"
    for mark, found in ((whole, layout), (whole[:4], layout), (short, SIDE_BY_SIDE)):
        frame = SimpleNamespace(side_data={"STEREO3D": mark})
        monkeypatch.setattr(module, "frames_around", lambda *_, frame=frame: iter([(0, frame)]))
        assert stereo_layout(film) == found, "a mark that is too short does not count"
