"""Read pictures of any common format and mode as upright RGB."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from facerec.errors import ContractError, InputError
from facerec.geometry import Image
from facerec.settings import GallerySettings

if TYPE_CHECKING:
    import PIL.Image

# Formats that Pillow reads by itself. For others (EPS) it starts a program, which the file could exploit.
FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "BMP", "DIB", "GIF", "PPM", "JPEG2000", "TGA")
MAX_FILENAME_LENGTH = 255  # characters, the limit of file systems
_DEEP = ("I", "F")  # first letters of Pillow's modes with more than 8 bits per channel


def read_picture(path: Path | str, max_side: int = GallerySettings.max_side) -> Image:
    """Read a picture as (height, width, 3) uint8 RGB.

    EXIF orientation is applied, transparent parts become white, and CMYK, palette, gray and 16-bit pictures
    are converted. The first image of an animation is taken.

    Args:
        max_side: pixels of the longer side to which larger pictures are shrunk.

    Raises:
        InputError: the file is missing, not a picture, damaged, or has too many pixels.
    """
    import PIL.Image
    from PIL import ImageOps, UnidentifiedImageError

    path = Path(path)
    if not path.is_file():  # a pipe might never end
        raise InputError(f"{path}: no such picture")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of large pictures and unusual metadata
        try:
            with PIL.Image.open(path, formats=FORMATS) as picture:
                picture.draft(None, (2 * max_side, 2 * max_side))  # decode large JPEGs at low resolution
                rgb = _rgb(ImageOps.exif_transpose(picture))
        except PIL.Image.DecompressionBombError:
            raise InputError(f"{path}: the picture has too many pixels; shrink it") from None
        except UnidentifiedImageError:
            raise InputError(f"{path}: not a picture that can be read") from None
        except (OSError, ValueError, SyntaxError, EOFError) as error:
            raise InputError(f"{path}: the picture is damaged ({error})") from None
    rgb.thumbnail((max_side, max_side), PIL.Image.Resampling.LANCZOS)
    return np.array(rgb, dtype=np.uint8)


def _rgb(picture: PIL.Image.Image) -> PIL.Image.Image:
    """Convert a picture of any mode to 8-bit RGB."""
    import PIL.Image

    if picture.mode.startswith(_DEEP):  # Pillow would clip values at 255
        values = np.asarray(picture, dtype=np.float64)
        top = values.max(initial=0)
        scale = 255 if top <= 1 else 1 if top <= 255 else 255 / 65535 if top <= 65535 else 255 / top
        return PIL.Image.fromarray(np.clip(values * scale, 0, 255).astype(np.uint8)).convert("RGB")
    if picture.has_transparency_data:
        rgba = picture.convert("RGBA")
        return PIL.Image.alpha_composite(PIL.Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return picture.convert("RGB")


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
