"""Names of pictures: order, gaps, and other files among them."""

from __future__ import annotations

from pathlib import Path

import pytest

from facerec.errors import InputError
from facerec.masters.numbered import describe_gaps, files_in_order, list_pictures


def _touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).write_bytes(b"")
    return folder


def test_numbers_without_padding_are_in_the_order_of_their_values(tmp_path: Path) -> None:
    found = list_pictures(_touch(tmp_path, *(f"f{n}.tif" for n in (8, 9, 10, 11, 100, 99))))
    assert found.numbers == (8, 9, 10, 11, 99, 100)
    assert found.names[2:4] == ("f10.tif", "f11.tif")


def test_gaps_are_named_and_held_frames_keep_the_numbers(tmp_path: Path) -> None:
    found = list_pictures(_touch(tmp_path, *(f"{n:04d}.dpx" for n in (5, 6, 9, 10, 12))))
    assert describe_gaps(found.gaps) == "3 frames are missing: 7-8, 11"
    assert found.frame_count == 8
    names = [path.name for path in found.frame_files()]
    assert names == [f"{n:04d}.dpx" for n in (5, 6, 6, 6, 9, 10, 10, 12)]


def test_hidden_files_and_other_files_are_no_frames(tmp_path: Path) -> None:
    folder = _touch(tmp_path, "a_1.dpx", "a_2.DPX".lower(), "._a_3.dpx", ".DS_Store", "a.md5", "sound.wav")
    (folder / "a_4.dpx").mkdir()
    found = list_pictures(folder)
    assert found.names == ("a_1.dpx", "a_2.dpx")
    assert "sound.wav" in found.ignored


def test_the_last_number_of_a_name_counts(tmp_path: Path) -> None:
    found = list_pictures(_touch(tmp_path, "reel2_4k_000001.exr", "reel2_4k_000002.exr"))
    assert found.numbers == (1, 2)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ["left_1.tif", "left_2.tif", "right_1.tif"],
            "2 sequences of pictures: left_#.tif (2), right_#.tif (1)",
        ),
        (["a_1.tif", "a_01.tif"], "have the same number 1"),
        (["a_1.tif", "poster.tif"], "no number in the name of 'poster.tif'"),
        (["a.txt"], "no picture here"),
        (["a_1.tif", "a_1.dpx"], "2 sequences"),
    ],
)
def test_doubtful_folders_are_refused(tmp_path: Path, names: list[str], message: str) -> None:
    with pytest.raises(InputError) as error:
        list_pictures(_touch(tmp_path, *names))
    assert message in str(error.value)


def test_one_of_two_sequences_can_be_chosen(tmp_path: Path) -> None:
    _touch(tmp_path, "left_1.tif", "left_2.tif", "right_1.tif")
    assert list_pictures(tmp_path, "left_*").names == ("left_1.tif", "left_2.tif")


def test_parts_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    _touch(tmp_path, "reel 10.mov", "reel 2.mov", "reel 1.mov", ".hidden.mov")
    assert [path.name for path in files_in_order(tmp_path)] == ["reel 1.mov", "reel 2.mov", "reel 10.mov"]
