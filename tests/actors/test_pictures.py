"""Pictures of every format and mode are read as upright RGB; other files are refused."""

from __future__ import annotations

import io
import os
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import PIL.Image
import PIL.ImageFile
import pytest

from facerec.actors.pictures import read_picture
from facerec.errors import InputError, Interrupted

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


def exif(*entries: tuple[int, int, int, bytes]) -> bytes:
    """Return EXIF data with entries (tag, type, count, value)."""
    size = 8 + 2 + 12 * len(entries) + 4
    directory = values = b""
    for tag, kind, count, value in sorted(entries):
        if len(value) > 4:
            value, values = struct.pack("<I", size + len(values)), values + value
        directory += struct.pack("<HHI", tag, kind, count) + value.ljust(4, b"\0")
    head = b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(entries))
    return head + directory + bytes(4) + values


TURNED = 0x0112, 3, 1, struct.pack("<H", 6)
ODD = {
    "text for a number": (TURNED, (0x0128, 2, 2, b"2\0")),
    "a fraction for text": (TURNED, (0x010F, 5, 1, struct.pack("<II", 1, 0))),
    "text for a fraction": (TURNED, (0x011A, 2, 3, b"72\0")),
    "an unknown type": (TURNED, (0x0131, 99, 1, b"1234")),
    "a value outside": (TURNED, (0x0100, 5, 1000, struct.pack("<II", 90000, 0))),
    "a directory outside": (TURNED, (0x8769, 4, 1, struct.pack("<I", 1 << 30))),
    "the orientation as text": ((0x0112, 2, 2, b"6\0"),),
    "the orientation as a byte": ((0x0112, 1, 1, b"\6"),),
    "two orientations": ((0x0112, 3, 2, struct.pack("<HH", 6, 6)),),
}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("entries", ODD.values(), ids=ODD)
def test_odd_metadata_do_not_make_a_picture_unusable(
    entries: tuple[tuple[int, int, int, bytes], ...], kind: str, tmp_path: Path, halves: PIL.Image.Image
) -> None:
    halves.save(tmp_path / "a", kind, exif=exif(*entries), quality=95)
    seen = read_picture(tmp_path / "a")
    assert seen.shape == (60, 40, 3) and close(seen[5, 20], LEFT) and close(seen[55, 20], RIGHT)


@pytest.mark.parametrize("entry", [(0x0112, 3, 1, struct.pack("<H", 77)), (0x0112, 2, 3, b"up\0")])
def test_an_impossible_orientation_is_ignored(
    entry: tuple[int, int, int, bytes], tmp_path: Path, halves: PIL.Image.Image
) -> None:
    halves.save(tmp_path / "a.jpg", exif=exif(entry))
    assert read_picture(tmp_path / "a.jpg").shape == (40, 60, 3)


@pytest.mark.parametrize("kind", ["AVIF", "WEBP", "JPEG2000", "TIFF", "GIF", "TGA"])
def test_changed_bytes_are_a_clear_error_or_a_picture(kind: str, tmp_path: Path) -> None:
    """Each decoder has its own exceptions for damage."""
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    PIL.Image.fromarray(noise).save(buffer, kind)
    whole, rng, refused = buffer.getvalue(), np.random.default_rng(1), 0
    for _ in range(40):
        at = int(rng.integers(4, len(whole) - 40))
        (tmp_path / "ada.bin").write_bytes(whole[:at] + rng.bytes(40) + whole[at + 40 :])
        try:
            assert read_picture(tmp_path / "ada.bin").dtype == np.uint8
        except InputError as error:
            assert "ada.bin" in str(error)
            refused += 1
    print(f"{kind}: {refused} of 40 refused")  # noqa: T201


def test_any_exception_of_a_decoder_is_a_clear_error_but_a_signal_stops(
    tmp_path: Path, halves: PIL.Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    halves.save(tmp_path / "ada.png")

    def failing(error: Exception) -> Callable[..., object]:
        def load(picture: object) -> object:
            raise error

        return load

    for error in (RuntimeError("odd"), AssertionError(), ZeroDivisionError("division"), MemoryError()):
        monkeypatch.setattr("PIL.ImageFile.ImageFile.load", failing(error))
        with pytest.raises(InputError, match=r"ada\.png: "):
            read_picture(tmp_path / "ada.png")
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", failing(Interrupted("stopped")))
    with pytest.raises(Interrupted):
        read_picture(tmp_path / "ada.png")


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
@pytest.mark.parametrize("kind", ["png", "tiff"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_values_of_fewer_bits_than_the_file_has_are_not_near_black(
    bits: int, kind: str, channels: int, tmp_path: Path
) -> None:
    ramp = np.tile(np.linspace(0, 2**bits - 1, 64), (48, 1)).astype(np.uint16)
    colours = ramp if channels == 1 else np.dstack([ramp] * 3)
    if channels == 4:
        colours = np.dstack([colours, np.full_like(ramp, 65535)])
    assert cv2.imwrite(str(tmp_path / f"a.{kind}"), colours)
    row = read_picture(tmp_path / f"a.{kind}")[24].astype(int)
    assert np.abs(row - np.linspace(0, 255, 64)[:, None]).max() <= 2


def test_a_heic_picture_is_refused_with_the_package_that_reads_it(
    tmp_path: Path, halves: PIL.Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ada.jpg").write_bytes(b"\0\0\0\x24ftypheic\0\0\0\0mif1heic" + bytes(200))
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(InputError, match=r"ada\.jpg: .*pillow-heif"):
        read_picture(tmp_path / "ada.jpg")


@pytest.mark.parametrize(
    "start, kind", [(b"\xff\x0a" + bytes(20), "JPEG XL"), (b"%PDF-1.7\n", "a PDF document")]
)
def test_other_kinds_of_files_are_named(start: bytes, kind: str, tmp_path: Path) -> None:
    (tmp_path / "ada.jpg").write_bytes(start)
    with pytest.raises(InputError, match=f"it is {kind}; save it as JPEG or PNG"):
        read_picture(tmp_path / "ada.jpg")


def test_a_heic_picture_is_read_by_the_package_if_it_is_there(
    tmp_path: Path, halves: PIL.Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for pillow-heif, which registers a format like this and leaves None for absent EXIF data."""

    class HeifFile(PIL.ImageFile.ImageFile):
        format = "HEIF"

        def _open(self) -> None:
            self._size, self._mode, self.info["exif"] = halves.size, "RGB", None

        def load(self) -> object:
            self.im = halves.copy().im
            return None

    def register_heif_opener() -> None:
        PIL.Image.register_open("HEIF", HeifFile, lambda start: start[8:12] == b"heic")

    monkeypatch.setattr(PIL.Image, "OPEN", dict(PIL.Image.OPEN))
    monkeypatch.setattr(PIL.Image, "ID", list(PIL.Image.ID))
    package = SimpleNamespace(register_heif_opener=register_heif_opener)
    monkeypatch.setitem(sys.modules, "pillow_heif", package)
    (tmp_path / "ada.heic").write_bytes(b"\0\0\0\x24ftypheic\0\0\0\0mif1heic" + bytes(200))
    assert read_picture(tmp_path / "ada.heic").shape == (40, 60, 3)
