"""The command that makes a film of a folder has the options that this folder needs."""

from __future__ import annotations

import shlex
import struct
from pathlib import Path

import pytest

from facerec.folder.film_commands import film_command, id_in_name, needs_film_of


def options(folder: Path, movie_id: int | None = None, title: str = "") -> list[str]:
    """The words after the folder."""
    words = shlex.split(film_command(folder, movie_id, title))
    assert words[words.index(str(folder)) - 1].endswith("make_film.py")
    return words[words.index(str(folder)) + 1 :]


def folder_of(path: Path, **files: bytes) -> Path:
    """A folder of files, named as in Python: `a_dpx` is a.dpx."""
    path.mkdir()
    for name, content in files.items():
        (path / name.replace("_", ".")).write_bytes(content)
    return path


def dpx(order: str, at: int = 0, rate: float = 0, end: int = 2048, size: int = 2048) -> bytes:
    """The header of a DPX picture with a frame rate at an offset."""
    header = bytearray(size)
    header[:4] = b"SDPX" if order == ">" else b"XPDS"
    struct.pack_into(f"{order}I", header, 4, end)
    if at:
        struct.pack_into(f"{order}f", header, at, rate)
    return bytes(header)


@pytest.mark.parametrize(
    ("name", "picture", "has_rate"),
    [
        ("a_dpx", dpx(">", 1724, 24), True), ("a_dpx", dpx("<", 1724, 24), True),
        ("a_dpx", dpx(">", 1940, 25), True), ("a_dpx", dpx("<", 1940, 1), True),
        ("a_DPX", dpx(">", 1724, 240), True), ("a_dpx", dpx(">", 1724, 241), False),
        ("a_dpx", dpx(">", 1724, 0.5), False), ("a_dpx", dpx(">"), False),
        ("a_dpx", dpx(">", 1940, 25, end=1944), True), ("a_dpx", dpx(">", 1940, 25, end=1943), False),
        ("a_dpx", dpx(">", 1940, 25, size=1944), True), ("a_dpx", dpx(">", 1724, 25)[:1727], False),
        ("a_dpx", b"SDPX\0\0\0", False), ("a_dpx", b"SDPX\0\0\0\0", False), ("a_dpx", b"", False),
        ("a_exr", b"..framesPerSecond\0rational", True), ("a_exr", b"..compression\0", False),
        ("a_exr", bytes(1 << 16) + b"framesPerSecond\0", False),
        ("a_png", b"framesPerSecond\0", False), ("a_png", dpx(">", 1724, 24), False),
    ],
)  # fmt: skip
def test_a_rate_is_asked_for_where_the_pictures_have_none(
    name: str, picture: bytes, has_rate: bool, tmp_path: Path
) -> None:
    folder = folder_of(tmp_path / "7-Scan", **{name: picture})
    assert options(folder) == ([] if has_rate else ["--fps", "24"])
    assert ("with their frame rate after --fps" in needs_film_of(folder)) is not has_rate


def test_the_first_picture_decides_and_hidden_files_do_not(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "7-Scan", b_dpx=dpx(">"), a_dpx=dpx(">", 1724, 24), __a_dpx=b"", c_txt=b"")
    assert options(folder) == []


def test_a_picture_that_cannot_be_read_has_no_rate(tmp_path: Path) -> None:
    (tmp_path / "7-Scan" / "a.dpx").mkdir(parents=True)
    assert options(tmp_path / "7-Scan") == ["--fps", "24"]


def test_packages_and_parts_have_a_rate_of_their_own(tmp_path: Path) -> None:
    for number, files in enumerate(
        ({"ASSETMAP": b"", "a_png": b""}, {"ASSETMAP_xml": b"", "a_png": b""}, {"a_vob": b""})
    ):
        assert options(folder_of(tmp_path / f"{number}-Film", **files)) == []
    assert options(tmp_path / "8-Missing") == []


def test_the_film_gets_the_movie_id_that_its_folder_lacks(tmp_path: Path) -> None:
    frames = folder_of(tmp_path / "Scan", a_png=b"")
    parts = folder_of(tmp_path / "Parts", a_vob=b"")
    package = folder_of(tmp_path / "Package", ASSETMAP=b"")
    named = folder_of(tmp_path / "7-Scan", a_vob=b"")
    assert options(frames) == ["--fps", "24", "--out", str(tmp_path / "12345-Scan.mp4")]
    assert options(parts, 8) == ["--out", str(tmp_path / "8-Parts.mkv")]
    assert options(package, 0, "Title") == ["--out", str(tmp_path / "0-Title.mp4")]
    assert options(named) == options(named, 7) == []
    assert options(named, 8, "Other") == ["--out", str(tmp_path / "8-Other.mkv")]
    assert film_command(parts) == film_command(parts, None, "")
    assert needs_film_of(parts) == needs_film_of(parts, None, "")
    assert ": is a folder, not a film; make one film of its frames or parts with: " in needs_film_of(parts)
    example = "12345 stands for the movie's id"
    assert example in needs_film_of(parts) and example not in needs_film_of(parts, 8)
    assert example not in needs_film_of(named) and "--fps" not in needs_film_of(named)
    assert needs_film_of(parts, 8, "Title").endswith("8-Title.mkv")


@pytest.mark.parametrize(
    ("name", "movie_id"),
    [
        ("7-a", 7), ("7-a-b", 7), ("007-a", 7), ("0-a", 0), ("2147483647-a", 2147483647),
        ("2147483648-a", None), ("7", None), ("-a", None), ("a7-a", None), ("٧-a", None), ("²-a", None),
        ("0" * 18 + "7-a", 7), ("0" * 19 + "7-a", None), ("9" * 5000 + "-a", None),
    ],
)  # fmt: skip
def test_a_movie_id_is_the_number_before_the_first_dash(name: str, movie_id: int | None) -> None:
    assert id_in_name(name) == movie_id
