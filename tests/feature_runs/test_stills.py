"""Pictures as footage: order, bad pictures, sizes, and files that are opened only if they are needed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pictures

from facerec.errors import InputError
from facerec.feature_runs.stills import open_frame_folder, open_picture
from tests.films import number_in, picture

ALL = np.ones(0, np.bool_)  # pictures are opened only when they are converted


def _save(path: Path, number: int, width: int = 160) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Pictures.fromarray(picture(number, width)).save(path, quality=95)


def _numbers(folder: Path, beg: int = 0, end: int = 99) -> list[tuple[int, int]]:
    return [(n, number_in(convert())) for n, convert in open_frame_folder(folder, 25).frames(beg, end, ALL)]


def test_frames_are_in_natural_order_and_other_files_left_out(tmp_path: Path) -> None:
    for n in (10, 9, 100, 1):
        _save(tmp_path / f"img_{n:02d}.jpg", n)
    _save(tmp_path / "poster.jpg", 5)
    (tmp_path / "img_list.txt").touch()
    (tmp_path / ".img_0.jpg").touch()
    assert _numbers(tmp_path) == [(0, 1), (1, 9), (2, 10), (3, 100)]
    assert _numbers(tmp_path, 2, 3) == [(1, 9), (2, 10)]
    footage = open_frame_folder(tmp_path, 25)
    assert footage.times.tolist() == [0, 1 / 25, 2 / 25, 3 / 25]
    assert (footage.duration, footage.width, footage.height) == (4 / 25, 160, 120)
    assert footage.sound(0, None, 16000) is None


def test_frames_with_other_names_and_types(tmp_path: Path) -> None:
    for n, name in enumerate(["frame_2.png", "frame_010.PNG", "frame_10b.jpeg"]):
        _save(tmp_path / name, n)
    assert _numbers(tmp_path) == [(0, 0), (1, 1), (2, 2)]


def test_pictures_of_any_mode_are_rgb(tmp_path: Path) -> None:
    Pictures.new("L", (40, 30), 7).save(tmp_path / "gray.png")
    Pictures.new("CMYK", (40, 30)).save(tmp_path / "cmyk.jpg")
    exif = Pictures.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    Pictures.new("RGB", (40, 30)).save(tmp_path / "turned.jpg", exif=exif)
    shapes = {}
    for path in tmp_path.iterdir():
        footage = open_picture(path)
        ((number, convert),) = footage.frames(0, 1, ALL)
        assert (number, footage.duration, len(footage.times)) == (0, 0, 1)
        assert convert().dtype == np.uint8
        shapes[path.stem] = convert().shape, (footage.height, footage.width)
    assert shapes == {
        "gray": ((30, 40, 3), (30, 40)), "cmyk": ((30, 40, 3), (30, 40)), "turned": ((40, 30, 3), (40, 30)),
    }  # fmt: skip


def test_a_bad_frame_is_replaced_by_its_neighbour(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for n in range(5):
        _save(tmp_path / f"img_{n}.jpg", n)
    for n in (0, 2, 3):
        data = (tmp_path / f"img_{n}.jpg").read_bytes()
        (tmp_path / f"img_{n}.jpg").write_bytes(data[: len(data) // 3])
    assert _numbers(tmp_path) == [(0, 1), (1, 1), (2, 1), (3, 1), (4, 4)]
    assert "img_2.jpg: the picture is damaged" in caplog.text


def test_folders_without_usable_frames(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no frames; they should be pictures named img_00001.jpg, …"):
        open_frame_folder(tmp_path, 25)
    for n in range(3):
        (tmp_path / f"img_{n}.jpg").write_text("no picture")
    with pytest.raises(InputError, match=r"img_0.jpg: not a picture .*, nor can the other 2 pictures"):
        open_frame_folder(tmp_path, 25)


def test_frames_of_different_sizes_are_refused(tmp_path: Path) -> None:
    _save(tmp_path / "img_1.jpg", 1)
    _save(tmp_path / "img_2.jpg", 2, width=170)
    with pytest.raises(InputError, match=r"img_2.jpg: has 170x120 pixels, but the first frame 160x120"):
        _numbers(tmp_path)


def test_frames_that_are_not_needed_are_not_opened(tmp_path: Path) -> None:
    for n in range(3):
        _save(tmp_path / f"img_{n}.jpg", n)
    frames = dict(open_frame_folder(tmp_path, 25).frames(0, 3, ALL))
    (tmp_path / "img_1.jpg").unlink()
    assert number_in(frames[2]()) == 2
