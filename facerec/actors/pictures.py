"""Read pictures of any common format and mode as upright RGB."""

from __future__ import annotations

import importlib
import struct
import warnings
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from facerec.errors import ContractError, FacerecError, InputError
from facerec.geometry import Image
from facerec.settings import GallerySettings

if TYPE_CHECKING:
    import PIL.Image

# Formats that Pillow reads by itself. For others (EPS) it starts a program, which the file could exploit.
FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "BMP", "DIB", "GIF", "PPM", "JPEG2000", "TGA")
MAX_FILENAME_LENGTH = 255  # characters, the limit of file systems
_DEEP = ("I", "F")  # first letters of Pillow's modes with more than 8 bits per channel
_DARK = 64  # level of 8 bits below which a picture of 16 bits may have values of 10 to 14 bits
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_OTHER_KINDS = {
    "JPEG XL": (b"\xff\x0a", b"\0\0\0\x0cJXL "),
    "a Photoshop document": (b"8BPS",),
    "a PDF document": (b"%PDF",),
    "a drawing or a web page": (b"<svg", b"<?xml", b"<!DOCTYPE", b"<!doctype", b"<html"),
    "a video": (b"\x1aE\xdf\xa3",),
}
_ORIENTATION_TAG = 0x0112
# exceptions of Pillow for damaged pictures and odd metadata
DECODER_ERRORS = (
    ArithmeticError, AssertionError, AttributeError, LookupError, OSError, RuntimeError, SyntaxError,
    TypeError, ValueError, struct.error,
)  # fmt: skip
_EXIF_TEXT = 2  # type of an entry
_EXIF_NUMBERS = {1: "B", _EXIF_TEXT: "B", 3: "H", 4: "I", 6: "b", 7: "B", 8: "h", 9: "i"}  # by type
# how to turn a picture upright, by its EXIF orientation
_TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}


def read_picture(path: Path | str, max_side: int = GallerySettings.max_side) -> Image:
    """Read a picture as (height, width, 3) uint8 RGB.

    EXIF orientation is applied, other metadata are ignored. Transparent parts become white, and CMYK,
    palette, gray and 16-bit pictures are converted. The first image of an animation is taken.

    Args:
        max_side: pixels of the longer side to which larger pictures are shrunk.

    Raises:
        InputError: the file is missing, not a picture, damaged, or has too many pixels.
    """
    import PIL.Image
    from PIL import UnidentifiedImageError

    path = Path(path)
    if not path.is_file():  # a pipe might never end
        raise InputError(f"{path}: no such picture")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of large pictures and unusual metadata
        try:
            with PIL.Image.open(path, formats=_formats(path)) as picture:
                picture.draft(None, (2 * max_side, 2 * max_side))  # decode large JPEGs at low resolution
                has_deep_colours = picture.mode.startswith(("RGB", "LA")) and ";16" in str(picture.tile)
                picture.load()
                rgb = _rgb((_deep_colours(path, picture) if has_deep_colours else None) or picture)
                turn = _TURNS.get(_orientation(picture))
                rgb = rgb.transpose(PIL.Image.Transpose[turn]) if turn else rgb
                rgb.thumbnail((max_side, max_side), PIL.Image.Resampling.LANCZOS)
        except FacerecError:  # a signal stops the program
            raise
        except PIL.Image.DecompressionBombError:
            raise InputError(f"{path}: the picture has too many pixels; shrink it") from None
        except UnidentifiedImageError:
            raise InputError(f"{path}: not a picture that can be read{_remedy(path)}") from None
        except MemoryError:
            raise InputError(f"{path}: there is not enough memory for the picture; shrink it") from None
        except Exception as error:  # damaged files make decoders raise exceptions of any type
            what = str(error) or type(error).__name__
            raise InputError(f"{path}: the picture is damaged ({what})") from None
    return np.array(rgb, dtype=np.uint8)


def picture_format(path: Path) -> str:
    """Return Pillow's name of a picture's format; empty if its header cannot be read."""
    import PIL.Image

    with suppress(*DECODER_ERRORS), PIL.Image.open(path, formats=_formats(path)) as picture:
        return picture.format or ""
    return ""


def is_upright(path: Path) -> bool:
    """Return whether a picture is shown upright without regard to its metadata."""
    import PIL.Image

    with suppress(*DECODER_ERRORS), PIL.Image.open(path, formats=_formats(path)) as picture:
        return _orientation(picture) not in _TURNS
    return True


def _formats(path: Path) -> tuple[str, ...]:
    """Return the formats that may be read; HEIF if the file is one and the package pillow-heif is there."""
    if _is_heif(path):
        with suppress(ImportError):
            importlib.import_module("pillow_heif").register_heif_opener()
            return (*FORMATS, "HEIF")
    return FORMATS


def _is_heif(path: Path) -> bool:
    start = _start(path)
    return start[4:8] == b"ftyp" and start[8:12] in _HEIF_BRANDS and b"avif" not in start[8:]


def _remedy(path: Path) -> str:
    """Return what to do about a file that Pillow cannot read, to be appended to a message."""
    if _is_heif(path):
        return "; for HEIC pictures install the Python package pillow-heif, or save it as JPEG"
    start = _start(path)
    kind = next((kind for kind, magic in _OTHER_KINDS.items() if start.startswith(magic)), None)
    return f": it is {kind}; save it as JPEG or PNG" if kind else ""


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(32)


def _orientation(picture: PIL.Image.Image) -> int:
    """Return the EXIF orientation of a picture, 1 to 8; 1 if its metadata have none or cannot be read."""
    with suppress(*DECODER_ERRORS):
        return int(picture.getexif()[_ORIENTATION_TAG])
    with suppress(*DECODER_ERRORS):
        return _orientation_entry((picture.info.get("exif") or b"").removeprefix(b"Exif\0\0"))
    return 1


def _orientation_entry(tiff: bytes) -> int:
    """Find the orientation in EXIF data of which other entries are damaged.

    Raises:
        struct.error, KeyError, ValueError: there is none.
    """
    order = {b"II": "<", b"MM": ">"}[tiff[:2]]
    (begin,) = struct.unpack_from(f"{order}I", tiff, 4)
    (count,) = struct.unpack_from(f"{order}H", tiff, begin)
    for entry in range(begin + 2, begin + 2 + 12 * count, 12):
        tag, kind = struct.unpack_from(f"{order}HH", tiff, entry)
        if tag == _ORIENTATION_TAG:
            value: int = struct.unpack_from(order + _EXIF_NUMBERS.get(kind, "H"), tiff, entry + 8)[0]
            return value - ord("0") if kind == _EXIF_TEXT else value
    raise ValueError("no orientation")


def _rgb(picture: PIL.Image.Image) -> PIL.Image.Image:
    """Convert a picture of any mode to 8-bit RGB."""
    import PIL.Image

    if picture.mode.startswith(_DEEP):  # Pillow would clip values at 255
        values = np.asarray(picture, dtype=np.float64)
        return PIL.Image.fromarray(_scaled(values)).convert("RGB")
    if picture.has_transparency_data:
        rgba = picture.convert("RGBA")
        return PIL.Image.alpha_composite(PIL.Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return picture.convert("RGB")


def _scaled(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Scale values to 0..255 from 0..1 or from the fewest bits (8, 10, 12, 14, 16) that hold them all.

    Cameras and scanners of 10 to 14 bits write files of 16 bits.
    """
    top = values.max(initial=0)
    limits = (1, *(2**bits - 1 for bits in (8, 10, 12, 14, 16)))
    scale = 255 / next((limit for limit in limits if top <= limit), top)
    return np.clip(values * scale, 0, 255).astype(np.uint8)


def _deep_colours(path: Path, picture: PIL.Image.Image) -> PIL.Image.Image | None:
    """Read a dark picture of 16-bit colours, of which Pillow keeps the upper 8 bits; None if it is bright."""
    import cv2
    import PIL.Image

    top = max(int(np.asarray(band).max(initial=0)) for band in picture.split()[:3])
    if top >= _DARK:
        return None
    flags = cv2.IMREAD_ANYDEPTH | cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    deep = cv2.imdecode(np.fromfile(path, np.uint8), flags)
    if deep is None or deep.dtype != np.uint16 or deep.shape[1::-1] != picture.size:
        return None
    rgb = PIL.Image.fromarray(_scaled(deep[..., ::-1].astype(np.float64)))
    if "A" in picture.getbands():
        rgb.putalpha(picture.getchannel("A"))
    return rgb


def checked_filename(filename: str, table: Path, line: int | None) -> str:
    """Return a picture's file name after checking that it does not lead out of the folder of pictures.

    Raises:
        ContractError: it does; `table` and `line` are where the name was read.
    """
    parts = filename.split("/")
    odd = "\\" in filename or "\0" in filename or len(filename) > MAX_FILENAME_LENGTH
    if odd or not {"", ".", ".."}.isdisjoint(parts):
        raise ContractError(table, f"{filename[:80]!r} is not a file name inside actor_images/", line)
    return filename
