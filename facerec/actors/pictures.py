"""Pictures of people from anywhere, as the upright RGB that a detector takes."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from facerec.errors import InputError
from facerec.geometry import Image
from facerec.settings import GallerySettings

if TYPE_CHECKING:
    import PIL.Image

# What Pillow reads by itself: for some others (EPS) it starts programs, which a picture may tell what to do.
FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "BMP", "DIB", "GIF", "PPM", "JPEG2000", "TGA")
_DEEP = ("I", "F")  # Pillow's modes of more than 8 bits a channel; their variants begin alike


def read_picture(path: Path | str, max_side: int = GallerySettings.max_side) -> Image:
    """Read a picture as it is meant to be seen: (height, width, 3) uint8 RGB.

    EXIF orientation is applied, transparency laid on white, CMYK, palette, gray and 16-bit pictures
    converted; of an animation the first image is taken.

    Args:
        max_side: pixels of the longer side, to which larger pictures are shrunk.

    Raises:
        InputError: the file is missing, no picture, damaged, or has absurdly many pixels.
    """
    import PIL.Image
    from PIL import ImageOps, UnidentifiedImageError

    path = Path(path)
    if not path.is_file():  # neither a folder, nor a pipe that never ends
        raise InputError(f"{path}: no such picture")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Pillow thinks of large pictures and odd metadata
        try:
            with PIL.Image.open(path, formats=FORMATS) as picture:
                picture.draft(None, (2 * max_side, 2 * max_side))  # a JPEG can be decoded small
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
    import PIL.Image

    if picture.mode.startswith(_DEEP):  # Pillow would clip these at 255
        values = np.asarray(picture, dtype=np.float64)
        top = values.max(initial=0)
        scale = 255 if top <= 1 else 1 if top <= 255 else 255 / 65535 if top <= 65535 else 255 / top
        return PIL.Image.fromarray(np.clip(values * scale, 0, 255).astype(np.uint8)).convert("RGB")
    if picture.has_transparency_data:
        seen = picture.convert("RGBA")
        return PIL.Image.alpha_composite(PIL.Image.new("RGBA", seen.size, "white"), seen).convert("RGB")
    return picture.convert("RGB")
