"""Frames are upright, not mirrored and not squeezed, whatever the film's header or a later part says."""

from __future__ import annotations

import gc
import math
import struct
from pathlib import Path

import av
import numpy as np
import pytest

from facerec.geometry import Image
from facerec.video import open_film, read_frames
from facerec.video import orientation as module
from facerec.video.film import read_decoded
from facerec.video.orientation import Orientation, fitted_size, orientation_of, with_borders
from tests.films import make_film

ONE = 65536  # of the fixed-point numbers of a display matrix
WIDTH, HEIGHT = 160, 120
# a, b, c, d of a display matrix: a stored (x, y) is shown at (a x + c y, b x + d y)
MATRICES = {
    "as stored": (1, 0, 0, 1),
    "clockwise": (0, 1, -1, 0),
    "upside down": (-1, 0, 0, -1),
    "anticlockwise": (0, -1, 1, 0),
    "mirrored left to right": (-1, 0, 0, 1),
    "mirrored top to bottom": (1, 0, 0, -1),
    "transposed": (0, 1, 1, 0),
    "transposed across the other diagonal": (0, -1, -1, 0),
}


def transformed(image: Image, a: int, b: int, c: int, d: int) -> Image:
    """Move each pixel to where the matrix says."""
    height, width = image.shape[:2]
    y, x = np.mgrid[0:height, 0:width]
    new_x, new_y = a * x + c * y, b * x + d * y
    new_x, new_y = new_x - new_x.min(), new_y - new_y.min()
    shown = np.zeros((new_y.max() + 1, new_x.max() + 1, 3), np.uint8)
    shown[new_y, new_x] = image
    return shown


@pytest.mark.parametrize("matrix", MATRICES.values(), ids=MATRICES)
def test_a_mirrored_or_rotated_film_is_shown_as_its_display_matrix_says(
    matrix: tuple[int, int, int, int], tmp_path: Path
) -> None:
    plain = make_film(tmp_path / "1-plain.mp4", 8)
    (_, stored), *_ = read_frames(open_film(plain), 0, 1)
    a, b, c, d = (ONE * value for value in matrix)
    data = bytearray(plain.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    (tmp_path / "1-turned.mp4").write_bytes(data)
    film = open_film(tmp_path / "1-turned.mp4")
    (_, shown), *_ = read_frames(film, 0, 1)
    wanted = transformed(stored, *matrix)
    assert shown.shape == wanted.shape == (film.display_height, film.display_width, 3)
    assert np.array_equal(shown, wanted)


@pytest.mark.parametrize("askew", [-40, -10, 0, 10, 40])
@pytest.mark.parametrize(
    ("degrees", "shown"), [(0, (180, True)), (90, (270, True)), (180, (0, True)), (270, (90, True))]
)
def test_a_mirrored_film_that_is_askew_is_turned_to_the_next_right_angle(
    degrees: int, shown: tuple[int, bool], askew: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`degrees` clockwise after the picture was turned over."""
    angle = math.radians(degrees + askew)
    a, b = (round(ONE * part) for part in (math.cos(angle), math.sin(angle)))
    matrix = np.array([a, b, 0, b, -a, 0, 0, 0, 1 << 30], np.int32)
    monkeypatch.setattr(module, "SideDataContainer", lambda _: {"DISPLAYMATRIX": matrix.tobytes()})
    assert orientation_of(None, Orientation(7)) == Orientation(*shown)  # type: ignore[arg-type]


def joined(folder: Path, width: int, height: int) -> Path:
    """Make a film of 30 frames of 160x120 pixels and 30 white ones of another size."""

    def white(number: int, width: int, height: int) -> Image:
        return np.full((height, width, 3), 255, np.uint8)

    first = make_film(folder / "a.ts", 30, gop=15, width=WIDTH, height=HEIGHT)
    other = make_film(folder / "b.ts", 30, gop=15, width=width, height=height, draw=white, pts=range(30, 60))
    (folder / "1-joined.ts").write_bytes(first.read_bytes() + other.read_bytes())
    return folder / "1-joined.ts"


@pytest.mark.parametrize(
    ("width", "height", "shown"),
    [(320, 240, (160, 120)), (240, 120, (160, 80)), (120, 160, (90, 120)), (160, 122, (160, 120))],
)
def test_frames_of_another_shape_are_not_squeezed(
    width: int, height: int, shown: tuple[int, int], tmp_path: Path
) -> None:
    film = open_film(joined(tmp_path, width, height))
    images = dict(read_frames(film, 0, 60))
    assert len(images) == 60
    assert {image.shape for image in images.values()} == {(HEIGHT, WIDTH, 3)}
    bright = images[50].mean(axis=2) > 128
    assert (int(bright.any(axis=0).sum()), int(bright.any(axis=1).sum())) == shown


def test_a_change_between_square_and_other_pixels_keeps_the_display_size() -> None:
    """Recorders change between 720x576, 544x576 and 1920x1080, all of 16:9."""
    assert fitted_size((1920, 1080), (720, 576), (1024, 576)) == (1024, 576)
    assert fitted_size((544, 576), (720, 576), (1024, 576)) == (1024, 576)
    assert fitted_size((720, 576), (1920, 1080), (1920, 1080)) == (1920, 1080)
    assert fitted_size((640, 480), (1920, 1080), (1920, 1080)) == (1440, 1080)
    assert fitted_size((9000, 2), (1920, 1080), (1920, 1080)) == (1920, 1)
    assert fitted_size((2, 9000), (1920, 1080), (1920, 1080)) == (1, 1080)
    assert Orientation(90).is_sideways and not Orientation(180, mirrored=True).is_sideways


def test_pictures_of_nearly_the_displayed_shape_fill_it_and_others_fit_into_it() -> None:
    """Up to 3 % are due to cropping and rounding; the film is 1000x500 and shown as 1000x500."""
    film = (1000, 500), (1000, 500)
    assert fitted_size((1029, 500), *film) == fitted_size((971, 500), *film) == (1000, 500)
    assert fitted_size((1030, 500), *film) == (1000, 485) and fitted_size((970, 500), *film) == (970, 500)
    assert fitted_size((300, 310), *film) == (484, 500) and fitted_size((310, 100), *film) == (1000, 323)
    for broadcast in ((1440, 1080), (720, 576), (352, 480)):
        assert fitted_size(broadcast, *film) == (1000, 500)
    assert fitted_size((721, 576), *film) == (626, 500)
    assert fitted_size((640, 480), (500, 500), (1000, 500)) == (1000, 500), "the first has wide pixels"


@pytest.mark.parametrize(
    ("width", "height", "left", "top"), [(5, 7, 1, 0), (8, 4, 0, 1), (7, 7, 0, 0), (4, 3, 2, 2)]
)
def test_borders_are_black_and_equally_wide(width: int, height: int, left: int, top: int) -> None:
    image = np.random.default_rng(0).integers(1, 256, (height, width, 3), np.uint8)
    framed = with_borders(image, (8, 7))
    inside = np.s_[top : top + height, left : left + width]
    assert framed.shape == (7, 8, 3) and framed.dtype == np.uint8 and np.array_equal(framed[inside], image)
    assert framed.astype(int).sum() == image.astype(int).sum()


def pictures() -> list[object]:
    return [item for item in gc.get_objects() if issubclass(type(item), av.VideoFrame)]


def test_a_frame_whose_orientation_was_read_is_freed_at_once(tmp_path: Path) -> None:
    """Frames in a cycle of references would pile up, megabytes each, until Python next looks for cycles."""
    film = open_film(make_film(tmp_path / "1-plain.mp4", 8))
    gc.collect()
    gc.disable()
    try:
        before = pictures()  # of other tests
        for frame in read_decoded(film, 0, 8):
            frame.image()
        del frame
        assert len(pictures()) == len(before)
    finally:
        gc.enable()
