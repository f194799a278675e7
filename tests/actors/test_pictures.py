"""Pictures of every format and mode are read as upright RGB; other files are refused."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from facerec.actors.pictures import read_picture
from facerec.errors import InputError

LEFT, RIGHT = (200, 40, 40), (40, 40, 200)


@pytest.fixture
def halves() -> PIL.Image.Image:
    """60x40, the left half red, the right half blue."""
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:, :30], pixels[:, 30:] = LEFT, RIGHT
    return PIL.Image.fromarray(pixels)


def close(pixel: np.ndarray, colour: tuple[int, int, int], tolerance: int = 12) -> bool:
    return bool(np.abs(pixel.astype(int) - colour).max() <= tolerance)


def test_exif_orientation_is_applied(tmp_path: Path, halves: PIL.Image.Image) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # the camera was held upright: show it turned clockwise by 90 degrees
    halves.save(tmp_path / "a.jpg", exif=exif, quality=95)
    seen = read_picture(tmp_path / "a.jpg")
    assert seen.shape == (60, 40, 3)
    assert close(seen[5, 20], LEFT) and close(seen[55, 20], RIGHT)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "1", "CMYK", "YCbCr", "RGBA"])
def test_every_mode_becomes_rgb(tmp_path: Path, halves: PIL.Image.Image, mode: str) -> None:
    path = tmp_path / ("a.jpg" if mode in ("CMYK", "YCbCr") else "a.png")
    halves.convert(mode).save(path)
    seen = read_picture(path)
    assert seen.shape == (40, 60, 3) and seen.dtype == np.uint8
    gray = mode in ("L", "LA", "1")
    assert gray or (close(seen[20, 5], LEFT, 60) and close(seen[20, 55], RIGHT, 60))


@pytest.mark.parametrize("dtype, top", [(np.uint16, 65535), (np.int32, 65535), (np.float32, 1.0)])
def test_more_than_8_bits_are_scaled_not_clipped(tmp_path: Path, dtype: type, top: float) -> None:
    ramp = np.tile(np.linspace(0, top, 64), (48, 1)).astype(dtype)
    PIL.Image.fromarray(ramp).save(tmp_path / "a.tiff")
    row = read_picture(tmp_path / "a.tiff")[24, :, 0].astype(int)
    assert np.abs(row - np.linspace(0, 255, 64)).max() <= 2


def test_transparent_parts_become_white(tmp_path: Path) -> None:
    PIL.Image.new("RGBA", (20, 20), (0, 0, 0, 0)).save(tmp_path / "a.png")
    assert (read_picture(tmp_path / "a.png") == 255).all()


def test_large_picture_is_shrunk_with_its_aspect_ratio(tmp_path: Path) -> None:
    PIL.Image.new("RGB", (6000, 3000), LEFT).save(tmp_path / "a.jpg")
    seen = read_picture(tmp_path / "a.jpg", max_side=500)
    assert seen.shape == (250, 500, 3) and close(seen[100, 100], LEFT)


def test_small_picture_is_not_enlarged(tmp_path: Path, halves: PIL.Image.Image) -> None:
    halves.save(tmp_path / "a.png")
    assert read_picture(tmp_path / "a.png").shape == (40, 60, 3)


def whole_png() -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (80, 80, 3), dtype=np.uint8)
    PIL.Image.fromarray(noise).save(buffer, "PNG")
    return buffer.getvalue()


def bomb() -> bytes:
    """A small PNG whose header claims 30000x30000 pixels."""
    data = whole_png()
    header = b"IHDR" + struct.pack(">II", 30000, 30000) + data[24:29]
    return data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]


BAD = {
    "text": b"this is not a picture\n",
    "empty": b"",
    "truncated": whole_png()[:5000],
    "bomb": bomb(),
    "header_only": whole_png()[:40],
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_file_that_is_no_picture_is_refused_by_name(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "ada.png").write_bytes(data)
    with pytest.raises(InputError, match=r"ada\.png"):
        read_picture(tmp_path / "ada.png")


def test_postscript_is_refused_and_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow hands PostScript to Ghostscript, whatever the file is called."""
    ghostscript = tmp_path / "gs"
    ghostscript.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
    ghostscript.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    code = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n"
    (tmp_path / "ada.jpg").write_bytes(code)
    with pytest.raises(InputError, match=r"ada\.jpg: not a picture that can be read"):
        read_picture(tmp_path / "ada.jpg")
    assert not (tmp_path / "started").exists()


def test_missing_picture_and_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.png", tmp_path):
        with pytest.raises(InputError, match="no such picture"):
            read_picture(path)
